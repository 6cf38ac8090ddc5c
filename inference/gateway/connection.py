"""A client's connection: HTTP/1.1 for an application that answers each request in one piece.

uvicorn starts and ends the process, listens, and would speak HTTP too; its protocol serves every kind of application,
which costs a request three times what this one does (docs/performance.md). Bytes are parsed by httptools, as there.
"""

from __future__ import annotations

import asyncio
import http
import logging
import urllib.parse
from collections import deque
from collections.abc import Iterable, MutableMapping
from typing import Any, cast

import httptools
from uvicorn import Config
from uvicorn.server import ServerState

from inference.gateway.refused import Refused

log = logging.getLogger("inference.gateway")
# As much of a body as is held before the application asks for it.
AHEAD = 64 * 1024
BODY_SECONDS = 20.0
# Bytes beside each byte of a chunked body: its length, an end of line before and after.
BESIDE = 16
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STATUS = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in http.HTTPStatus}
NEVER = float("inf")
NOT_HTTP = Refused(400, "not_http", "This cannot be read as a request in HTTP/1.1. Send it again as one.")
UPGRADE = Refused(400, "upgrade_refused", "Only HTTP/1.1 is spoken here. Send the request without the header Upgrade.")
HEAD_LATE = Refused(408, "head_timeout", "The head of the request did not arrive in time. Send it at once.")
HEAD_LARGE = Refused(431, "head_too_large", "The headers are longer than 64 KiB. Send fewer or shorter ones.")


class Exchange:
    """A request and its answer, as ASGI's `receive` and `send`."""

    __slots__ = (
        "answered", "connection", "expects", "gone", "headers", "keep", "late", "method", "parts", "path", "size",
        "start", "url", "version", "waiter", "whole",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.url = b""
        self.method = self.path = self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        self.size = 0
        # The body is there to its end, or will not come: the other side has gone, or takes too long.
        self.whole = self.gone = self.late = False
        self.expects = self.answered = False
        self.keep = True
        self.waiter: asyncio.Future[None] | None = None
        self.start: MutableMapping[str, Any] = {}

    async def receive(self) -> MutableMapping[str, Any]:
        """The next part of the body. Raises TimeoutError where it did not come in time."""
        while not (self.parts or self.whole or self.gone or self.late):
            if self.expects:
                self.expects = False
                self.connection.write(CONTINUE)
            self.connection.read_on()
            self.waiter = self.connection.loop.create_future()
            await self.waiter
        if self.late and not self.whole:
            raise TimeoutError
        if self.gone or (self.whole and self.answered):
            return {"type": "http.disconnect"}
        parts, self.parts, self.size = self.parts, [], 0
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": not self.whole}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """First status and headers, the length of the body among them; then all of the body."""
        if message["type"] == "http.response.start":
            self.start = message
            return
        if self.connection.writable is not None:
            await self.connection.writable
        if not self.gone and not self.answered:
            self.connection.answer(self, self.start["status"], self.start["headers"], message.get("body", b""))

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Connection(asyncio.Protocol):
    """Requests one after the other, also where they are sent without waiting for answers (RFC 9112, section 9.3.2).

    It is closed where the head of a request takes longer than `patience` seconds or more than `most` bytes, where
    nothing comes for `idle` seconds, and where the other side does not read its answer.
    """

    patience = 10.0
    most = 64 * 1024
    idle = 5.0
    body_seconds = BODY_SECONDS

    def __init__(
        self, config: Config, server_state: ServerState, app_state: Any, _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.app, self.state = config.loaded_app, server_state
        self.loop = _loop or asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        # What follows a request that closes is not looked at: the answer need not wait for it.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.reading: Exchange | None = None
        self.answering: Exchange | None = None
        self.queue: deque[Exchange] = deque()
        self.task: asyncio.Task[None] | None = None
        self.paused = self.ending = self.completed = self.heading = False
        # Bytes of the message that is being read: of its body, and all others; and how many of the body were counted.
        self.body = self.beside = self.counted = 0
        self.writable: asyncio.Future[None] | None = None
        self.unsent = 0
        # One timer looks whether the time is over, and is not set anew for each request.
        self.until = self.armed = NEVER
        self.timer: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without being called so
        peer = transport.get_extra_info("peername")
        self.client = peer[:2] if isinstance(peer, tuple) else None
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self.state.connections.add(cast(Any, self))
        self.wait(self.patience)

    def data_received(self, data: bytes) -> None:
        before, self.completed = self.heading, False
        try:
            self.feed(data)
        except httptools.HttpParserError:
            self.refuse(NOT_HTTP)
            return
        if self.reading is None:
            return
        if self.heading and not before and self.answering is None:
            self.wait(self.patience)
        if not self.completed:  # else most of it may be the request before
            self.beside += len(data) - (self.body - self.counted)
            self.counted = self.body
            # Trailers and what stands beside chunks are nothing that anybody reads.
            if self.beside > self.most + BESIDE * self.body:
                self.refuse(HEAD_LARGE)

    def feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return

    def connection_lost(self, error: Exception | None) -> None:
        self.state.connections.discard(cast(Any, self))
        self.until = NEVER
        if self.timer is not None:
            self.timer.cancel()
        self.resume_writing()
        for each in (self.reading, self.answering, *self.queue):
            if each is not None:
                each.gone = True
                each.wake()
        self.queue.clear()

    def pause_writing(self) -> None:
        if self.writable is None:
            self.writable = self.loop.create_future()

    def resume_writing(self) -> None:
        if self.writable is not None:
            if not self.writable.done():
                self.writable.set_result(None)
            self.writable = None
            self.unsent = 0

    # What httptools calls.

    def on_message_begin(self) -> None:
        self.reading, self.heading = Exchange(self), True
        self.body = self.beside = self.counted = 0

    def on_url(self, part: bytes) -> None:
        assert self.reading is not None
        self.reading.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self.reading
        assert exchange is not None
        if not self.heading:
            return  # a trailer, which is no header (RFC 9110, section 6.5.1): nobody's address may come from it
        name = name.lower()
        exchange.headers.append((name, value))
        if name == b"expect" and value.lower() == b"100-continue":
            exchange.expects = True

    def on_headers_complete(self) -> None:
        exchange = self.reading
        assert exchange is not None
        self.heading = False
        exchange.method, exchange.version = self.parser.get_method().decode("ascii"), self.parser.get_http_version()
        exchange.path = path_of(exchange.url)
        exchange.keep = self.parser.should_keep_alive() and exchange.version != "1.0"
        if self.parser.should_upgrade() and has_body(exchange.headers):
            # Without a body it goes on in HTTP/1.1, as it may (RFC 9110, section 7.8); httptools leaves bodies unread.
            self.refuse(UPGRADE)
        elif self.answering is None:
            self.begin(exchange)
        else:
            self.queue.append(exchange)
            self.read_no_more()

    def on_body(self, part: bytes) -> None:
        exchange = self.reading
        assert exchange is not None
        self.body += len(part)
        if exchange.answered:
            return
        exchange.parts.append(part)
        exchange.size += len(part)
        if exchange.size > AHEAD:
            self.read_no_more()
        exchange.wake()

    def on_message_complete(self) -> None:
        exchange, self.reading = self.reading, None
        assert exchange is not None
        exchange.whole = self.completed = True
        exchange.wake()
        if self.answering is exchange:
            self.until = NEVER
        elif exchange.answered and not exchange.keep:
            self.transport.close()
        elif exchange.answered:
            self.wait(self.idle)

    # What happens between.

    def begin(self, exchange: Exchange) -> None:
        """Let the application answer."""
        self.answering = exchange
        if exchange.whole:
            self.until = NEVER
        else:
            self.wait(self.body_seconds)
        self.task = self.loop.create_task(self.run(exchange))
        # Where uvicorn looks for what is not finished when it ends.
        self.state.tasks.add(self.task)

    async def run(self, exchange: Exchange) -> None:
        task = self.task
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": exchange.version, "method": exchange.method,
            "scheme": self.scheme, "client": self.client, "headers": exchange.headers, "path": exchange.path,
        }  # fmt: skip
        try:
            await self.app(cast(Any, scope), cast(Any, exchange.receive), cast(Any, exchange.send))
        except Exception:
            log.exception("a request failed")
        finally:
            assert task is not None
            self.state.tasks.discard(task)
            if not exchange.answered and not exchange.gone:
                exchange.keep = False
                self.answer(exchange, 500, [(b"content-length", b"0")], b"")

    def answer(self, exchange: Exchange, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Write it, and turn to the next request. Raises ValueError where a header would be more than one."""
        # A body that the other side was to hold back comes or not: where the next request begins, nobody knows.
        held = exchange.expects and not exchange.whole
        exchange.keep = exchange.keep and not self.ending and not held
        message = self.message(status, headers, body, exchange.keep)
        exchange.answered = True
        self.write(message)
        exchange.parts.clear()
        self.answering = None
        if exchange.whole or not exchange.keep:
            self.wait(self.patience if self.heading else self.idle)
        if not exchange.keep and (exchange.whole or exchange.late or held or self.ending):
            self.transport.close()
            return
        # Where the rest of a body is on its way, closing now could take the answer along (RFC 9112, section 9.6).
        self.read_on()
        if self.queue:
            self.begin(self.queue.popleft())

    def refuse(self, refused: Refused) -> None:
        """Say what is wrong with a request and close, after the answer that is on its way."""
        broken, current = self.reading, self.answering
        if current is not None and current is not broken:
            self.ending = True
            self.read_no_more()
            return
        if current is not None:
            self.answering = None
            current.gone = True
            current.wake()
        if not self.transport.is_closing() and (broken is None or not broken.answered):
            told = refused.answer("")
            headers = [(b"content-type", told.media_type), (b"content-length", b"%d" % len(told.body))]
            self.write(self.message(told.status, headers, told.body, keep=False))
        self.wait(self.idle)
        self.transport.close()

    def message(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, keep: bool) -> bytes:
        lines = [name + b": " + value for name, value in (*self.state.default_headers, *headers)]
        if not keep:
            lines.append(b"connection: close")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1:
            raise ValueError("a header holds a line break")
        return b"%b%b\r\n\r\n%b" % (STATUS[status], head, body)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def read_no_more(self) -> None:
        if not self.paused:
            self.paused = True
            self.transport.pause_reading()

    def read_on(self) -> None:
        if self.paused and not self.transport.is_closing():
            self.paused = False
            self.transport.resume_reading()

    def shutdown(self) -> None:
        """The server ends: what was begun is answered."""
        self.ending = True
        if self.answering is None:
            self.transport.close()

    # How long it waits.

    def wait(self, seconds: float) -> None:
        self.until = self.loop.time() + seconds
        if self.until < self.armed:
            if self.timer is not None:
                self.timer.cancel()
            self.arm(self.until)

    def arm(self, when: float) -> None:
        self.armed = when
        self.timer = self.loop.call_at(when, self.look)

    def look(self) -> None:
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        if now < self.until and (self.writable is None or not unsent):
            self.arm(min(self.until, now + self.idle))
            return
        self.armed = NEVER
        if unsent and unsent != self.unsent:
            # Somebody reads, if slowly.
            self.unsent = unsent
            self.wait(self.idle)
        elif unsent:
            self.transport.abort()
        elif self.answering is not None and self.answering.whole:
            self.until = NEVER
            self.arm(now + self.idle)
        elif self.answering is not None:
            self.answering.late, self.answering.keep = True, False
            self.answering.wake()
        elif self.heading:
            self.refuse(HEAD_LATE)
        else:
            self.transport.close()


def path_of(url: bytes) -> str:
    """Raises HttpParserInvalidURLError or UnicodeError where it is none."""
    path = (url if url.startswith(b"/") else httptools.parse_url(url).path or b"/").partition(b"?")[0].decode("ascii")
    return urllib.parse.unquote(path) if "%" in path else path


def has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)
