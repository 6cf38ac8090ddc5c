"""HTTP/1.1 to a server that nobody here controls: kept connections, checked addresses, bounded in time and in size.

httptools parses (it is what uvicorn parses with); nothing is followed, decompressed or sent again. A connection goes to
the very address that was looked at, so a name that answers otherwise a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import select
import socket
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import cast
from urllib.parse import urlsplit

import httptools

CONNECT_SECONDS = 2.0
CONNECT_ATTEMPTS = 2
# Shorter than any server's own patience with a silent connection, so that none is used while it is being closed.
IDLE_SECONDS = 1.0
KEPT_AT_MOST = 32
LARGEST_HEAD = 64 * 1024


class Unreachable(Exception):
    """No connection could be opened."""


class Lost(Exception):
    """The connection ended before anything was answered."""


class Garbled(Exception):
    """What came is no HTTP answer, or too much of one, or it ended early."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    encoding: bytes


class Line(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[Reply] | None = None
        self.clean = True
        self.used = 0.0
        self.begin(0)

    def begin(self, limit: int) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.limit, self.size, self.head = limit, 0, 0
        self.parts: list[bytes] = []
        self.headed = self.measured = False
        self.encoding = b""

    async def ask(self, message: bytes, limit: int, until: float) -> Reply:
        """`until` is a time of the loop. Raises TimeoutError, Lost or Garbled."""
        assert self.transport is not None
        self.begin(limit)
        loop = asyncio.get_running_loop()
        self.waiting = loop.create_future()
        self.transport.write(message)
        # What asyncio.timeout does, at a fifth of its cost.
        late = loop.call_at(until, self.fail, TimeoutError())
        try:
            return await self.waiting
        finally:
            late.cancel()
            self.waiting = None

    @property
    def usable(self) -> bool:
        return self.clean and self.transport is not None and not self.transport.is_closing()

    def spoken_to(self) -> bool:
        """Whether there is something to read that nobody asked for: mostly, that the other side has closed it."""
        assert self.transport is not None
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def fail(self, error: Exception) -> None:
        self.clean = False
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(error)
        self.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one without being called so

    def data_received(self, data: bytes) -> None:
        if self.waiting is None or self.waiting.done():
            self.fail(Garbled("it speaks without being asked"))
            return
        self.head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail(Garbled("no HTTP"))
        if not self.headed and self.head > LARGEST_HEAD:
            self.fail(Garbled("its headers are too long"))

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting is not None and not self.waiting.done():
            if self.headed and not self.measured and error is None:
                self.clean = False
                self.complete()
            else:
                self.fail(Garbled("it ended early") if self.head else Lost())
        self.clean = False

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self.waiting is None or self.waiting.done():
            self.clean = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self.measured = True
        elif name == b"content-encoding":
            self.encoding = value.lower()

    def on_headers_complete(self) -> None:
        self.headed = self.parser.get_status_code() >= 200

    def on_body(self, part: bytes) -> None:
        self.size += len(part)
        if self.size > self.limit:
            self.fail(Garbled("it is too large"))
        else:
            self.parts.append(part)

    def on_message_complete(self) -> None:
        if not self.headed:  # 100 to 199: the answer is still to come
            return
        self.clean = self.clean and self.parser.should_keep_alive()
        self.complete()

    def complete(self) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(Reply(self.parser.get_status_code(), b"".join(self.parts), self.encoding))


class Host:
    """The connections to one server."""

    def __init__(self, url: str, internal: Collection[str]) -> None:
        parts = urlsplit(url)
        self.secure = parts.scheme == "https"
        self.name = parts.hostname or ""
        self.port = parts.port or (443 if self.secure else 80)
        self.internal = self.name in internal
        self.idle: list[Line] = []
        self.closed = False

    async def ask(self, message: bytes, limit: int, seconds: float) -> Reply:
        """Send a request and read an answer of at most `limit` bytes, all within `seconds`.

        Raises TimeoutError, Unreachable, Lost or Garbled.
        """
        until = asyncio.get_running_loop().time() + seconds
        line = self.kept()
        if line is None:
            async with asyncio.timeout_at(until):
                line = await self.connected()
        try:
            return await line.ask(message, limit, until)
        except BaseException:
            line.clean = False
            raise
        finally:
            self.put_back(line)

    def kept(self) -> Line | None:
        now = asyncio.get_running_loop().time()
        while self.idle:
            line = self.idle.pop()
            if line.usable and now - line.used < IDLE_SECONDS and not line.spoken_to():
                return line
            line.close()
        return None

    def put_back(self, line: Line) -> None:
        sent = line.transport is not None and not line.transport.get_write_buffer_size()
        if line.usable and sent and not self.closed and len(self.idle) < KEPT_AT_MOST:
            line.used = asyncio.get_running_loop().time()
            self.idle.append(line)
        else:
            line.close()

    async def connected(self) -> Line:
        """A new connection; tried again, at its next address, only where none could be opened. Raises Unreachable."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await self.addresses()
        except (OSError, UnicodeError) as error:
            raise Unreachable from error
        for attempt in range(CONNECT_ATTEMPTS):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self.opened(addresses[attempt % len(addresses)])
            except OSError as error:  # the time-out is one
                failure = error
        raise Unreachable from failure

    async def opened(self, address: str) -> Line:
        _, line = await asyncio.get_running_loop().create_connection(
            Line, address, self.port, ssl=context() if self.secure else None,
            server_hostname=self.name if self.secure else None,
        )  # fmt: skip
        return line

    async def addresses(self) -> list[str]:
        """All that the name leads to. Raises NotPublic where one is inside and the administrator did not name it."""
        from ledger.anchors.guard import NotPublic, public  # beside it are models, which are not ready at start

        if not self.secure and not self.internal:
            raise NotPublic("only an internal host is asked over http")
        found = [self.name]
        if not is_address(self.name):
            loop = asyncio.get_running_loop()
            told = await loop.getaddrinfo(self.name, self.port, type=socket.SOCK_STREAM)
            found = [str(each[4][0]) for each in told]
        if not self.internal and not all(map(public, found)):
            raise NotPublic("it leads inside")
        return found

    def close(self) -> None:
        self.closed = True
        while self.idle:
            self.idle.pop().close()


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def context() -> ssl.SSLContext:
    return ssl.create_default_context()
