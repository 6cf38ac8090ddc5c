"""A receiver of OTLP over HTTP: keeps what arrives, decoded, and answers as a test wants."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.inference.gateway import until


class Receiver:
    """`answers` are statuses for the next posts, with headers and a body; after them it is 200 and nothing more."""

    def __init__(self) -> None:
        self.posts: list[Any] = []
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.gate = threading.Event()
        self.gate.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                receiver.posts.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                receiver.gate.wait(5)
                status, headers, text = receiver.answers.pop(0) if receiver.answers else (200, {}, b"{}")
                if status == 200:
                    receiver.bodies.append(json.loads(body))
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All that has arrived, with attributes as a plain mapping."""
        return [
            {**span, "attributes": plain(span["attributes"])}
            for body in self.bodies
            for resource in body["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def roots(self, count: int) -> list[dict[str, Any]]:
        """The server spans of so many requests, once they are here."""
        until(lambda: len([span for span in self.spans if span["kind"] == 2]) >= count, 5)
        return [span for span in self.spans if span["kind"] == 2]

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


def plain(attributes: list[Any]) -> dict[str, str | int]:
    return {
        each["key"]: int(each["value"]["intValue"]) if "intValue" in each["value"] else each["value"]["stringValue"]
        for each in attributes
    }
