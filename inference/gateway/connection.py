"""A connection whose request does not come, or has no end: uvicorn waits for headers as long as somebody sends them."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """Closes itself where the head of a request takes longer than `patience` seconds, or more than `most` bytes."""

    patience = 10.0
    most = 64 * 1024
    late: asyncio.TimerHandle | None = None
    part = 0  # bytes that came last
    head = 0  # bytes of the head so far, at most

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.wait()

    def wait(self) -> None:
        self.head = self.part
        self.late = self.loop.call_later(self.patience, self.end, 408, "Request Timeout")

    def data_received(self, data: bytes) -> None:
        self.part = len(data)
        self.head += self.part
        super().data_received(data)
        if self.late is not None and self.head > self.most:
            self.end(431, "Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        if self.late is None:  # a further request on this connection
            self.wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.come()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.come()
        super().connection_lost(exc)

    def come(self) -> None:
        if self.late is not None:
            self.late.cancel()
            self.late = None

    def end(self, status: int, words: str) -> None:
        """Say why, where anything of a request has come and no other answer is on its way, and close."""
        self.come()
        if self.transport.is_closing():
            return
        answering: Any = self.cycle
        if self.head and (answering is None or answering.response_complete):
            self.transport.write(
                f"HTTP/1.1 {status} {words}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
            )
        self.transport.close()
