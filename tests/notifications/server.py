"""A mail server of a few lines, in a thread: it keeps what it is given, or refuses with the codes it was told."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, refuse: bytes, data: bytes, greeting: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.refuse, self.data, self.greeting, self.got = refuse, data, greeting, list[str]()

    @property
    def port(self) -> int:
        port: int = self.server_address[1]
        return port


class Talk(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.say(self.server.greeting)
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA" and self.server.data:
                self.say(self.server.data)
                continue
            if verb == b"DATA":
                self.say(b"354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.got.append(b"".join(lines).decode())
            self.say(b"221 bye" if verb == b"QUIT" else (verb == b"RCPT" and self.server.refuse) or b"250 fine")
            if verb == b"QUIT":
                return

    def say(self, words: bytes) -> None:
        self.wfile.write(words + b"\r\n")


@contextmanager
def mail_server(
    settings: Any, refuse: bytes = b"", data: bytes = b"", greeting: bytes = b"220 ready"
) -> Iterator[Server]:
    """Within it the portal's mail goes to this server."""
    with Server(refuse, data, greeting) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        try:
            yield server
        finally:
            server.shutdown()
