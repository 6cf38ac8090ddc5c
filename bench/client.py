"""An HTTP client for benches: one asyncio protocol a connection, canned bytes out, status and length read back."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import uvloop

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class Seen:
    """`latencies` in seconds, one for each answer; an answer with another status than expected counts as a failure.

    `cpu` is for the caller: processor seconds that the server used for one answer.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, part: float) -> float:
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(part * len(self.latencies)))]


class Connection(asyncio.Protocol):
    """Sends again as soon as the answer is there; with `every`, at fixed times, late or not."""

    def __init__(self, request: bytes, status: bytes, seen: Seen, until: float, every: float, first: float) -> None:
        self.request, self.status, self.seen, self.until, self.every = request, status, seen, until, every
        self.due = first
        self.buffer = b""
        self.loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.next()

    def next(self) -> None:
        now = time.perf_counter()
        if now >= self.until:
            self.transport.close()
        elif self.every and now < self.due:
            self.loop.call_later(self.due - now, self.send)
        else:
            self.send()

    def send(self) -> None:
        # From when it was due, not from when it could be sent: a slow answer also delays the next question.
        self.start = self.due if self.every else time.perf_counter()
        self.due += self.every
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        found = LENGTH.search(self.buffer, 0, head)
        if found is None or len(self.buffer) < head + 4 + int(found[1]):
            return
        self.seen.latencies.append(time.perf_counter() - self.start)
        self.seen.failures += self.buffer[9:12] != self.status
        self.buffer = b""
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


def load(port: int, request: bytes, *, seconds: float, connections: int, rate: float = 0.0, status: int = 200) -> Seen:
    """Send one request over and over. `rate` is requests a second over all connections; 0 is as many as possible."""

    async def run() -> Seen:
        seen, start = Seen(), time.perf_counter()
        every, first = connections / rate if rate else 0.0, start + 0.01
        made = [
            await asyncio.get_running_loop().create_connection(
                partial(
                    Connection,
                    request,
                    str(status).encode(),
                    seen,
                    start + seconds,
                    every,
                    first + every * turn / connections,
                ),
                "127.0.0.1",
                port,
            )
            for turn in range(connections)
        ]
        await asyncio.wait_for(asyncio.gather(*(protocol.closed for _, protocol in made)), seconds + 20)
        seen.seconds = time.perf_counter() - start
        return seen

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
