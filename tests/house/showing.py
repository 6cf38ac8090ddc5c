"""A server that shows a browser the very answers, headers and all, that a test's client was given."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders


class Shown(ThreadingHTTPServer):
    """`answers` has the headers and the body for each address; static files are shown as they are."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Showing)
        self.answers: dict[str, tuple[Any, bytes]] = {}
        self.address = f"http://127.0.0.1:{self.server_port}"


class Showing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shown

    def do_GET(self) -> None:
        found = finders.find(self.path.removeprefix("/static/")) if self.path.startswith("/static/") else None
        if found:
            kind = mimetypes.guess_type(str(found))[0] or "application/octet-stream"
            self.show(200, {"Content-Type": kind, "Cache-Control": "max-age=3600"}, Path(str(found)).read_bytes())
        else:
            headers, body = self.server.answers.get(self.path, ({}, b""))
            self.show(200 if headers else 404, headers, body)

    def show(self, status: int, headers: Any, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: Any) -> None:
        """What was asked for says nothing."""


@contextmanager
def showing() -> Iterator[Shown]:
    with Shown() as shown:
        threading.Thread(target=shown.serve_forever, daemon=True).start()
        try:
            yield shown
        finally:
            shown.shutdown()
