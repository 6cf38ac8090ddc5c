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
    begun = False  # a head that is not complete
    head = 0  # its bytes so far, at most

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.wait()

    def wait(self) -> None:
        self.late = self.loop.call_later(self.patience, self.end, 408, "Request Timeout")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.begun:
            self.head += len(data)
            if self.head > self.most:
                self.end(431, "Request Header Fields Too Large")
                return
        elif self.cycle is not None and not self.cycle.response_complete:
            return  # as nearly always: a whole head, which is being answered
        if self.late is None:
            self.wait()

    def on_message_begin(self) -> None:
        self.begun, self.head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.begun = False
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
