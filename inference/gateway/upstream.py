"""Predictions that another server makes: asked for within bounds of time and size, believed only if they fit."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from inference.gateway.board import Board, Served, clock
from inference.gateway.breaker import Breaker
from inference.gateway.dialects import Differs, Target, Unfit, answer, request
from inference.gateway.outside import Garbled, Host, Lost, Reply, Unreachable
from inference.gateway.refused import Refused, unavailable
from inference.gateway.tensors import Asked
from registry.onnx.decision import Output

log = logging.getLogger("inference.gateway")
LARGEST_ANSWER = 16 * 1024**2
AT_ONCE = 100
# More is written and read beside the event loop.
INLINE_VALUES, INLINE_BYTES = 8 * 1024, 64 * 1024
# Says that it cannot at the moment. A 500 may be the fault of one caller's values, so it does not count for all.
BUSY = frozenset({429, 502, 503, 504})


Aside = Callable[..., Awaitable[Any]]  # runs a function with its arguments in a thread


class Caller:
    """One upstream: its connections, its breaker, and how many wait for it."""

    def __init__(self, target: Target, internal: Collection[str], agent: str, aside: Aside) -> None:
        self.target, self.breaker, self.waiting, self.aside = target, Breaker(), 0, aside
        self.host = Host(target.url, internal)
        parts = urlsplit(target.url)
        lines = [
            f"POST {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1", f"Host: {parts.netloc}",
            "Content-Type: application/json", "Accept: application/json", "Accept-Encoding: identity",
            f"User-Agent: {agent}",
        ]  # fmt: skip
        if target.header is not None:
            lines.append(": ".join(target.header))
        self.head = "".join(f"{line}\r\n" for line in lines).encode()

    async def run(self, served: Served, asked: Asked, headers: Mapping[str, str]) -> list[Output]:
        """The outputs of the approved version; `headers` go with this request. Raises Refused 502, 503 or 504."""
        if self.waiting >= AT_ONCE:
            raise unavailable("overloaded", "Too many requests wait for the server behind this endpoint. Try again.")
        given = self.target, served.inputs, served.features, served.outputs, asked
        small = sum(each.size for each in asked.feed.values()) <= INLINE_VALUES
        body = request(*given) if small else await self.aside(request, *given)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = b"%b%bContent-Length: %d\r\n\r\n" % (self.head, lines.encode(), len(body))
        self.open(self.breaker.wait(clock()))
        self.waiting += 1
        try:
            reply = await self.reply(head + body)
        finally:
            self.waiting -= 1
        return await self.understood(reply, served, asked)

    def ready(self) -> None:
        """Raises Refused 503 `upstream_open` while it is left alone; tries nothing."""
        until = self.breaker.open_until
        self.open(max(0.0, until - clock()) if until is not None else 0.0)

    def open(self, wait: float) -> None:
        """Raises Refused 503 `upstream_open` where there is a time to wait."""
        if wait:
            sentence = "The server behind this endpoint failed several times in a row, so it is left alone for a while."
            raise unavailable("upstream_open", f"{sentence} Try again later.", max(1, math.ceil(wait)))

    async def reply(self, message: bytes) -> Reply:
        """Raises Refused 502 or 504; the breaker is told how it went, whatever happens."""
        try:
            found = await self.host.ask(message, LARGEST_ANSWER, self.target.seconds)
        except TimeoutError as error:
            self.failed("took too long")
            sentence = f"The server behind this endpoint did not answer within {self.target.seconds:g} s. Try again."
            raise Refused(504, "upstream_timeout", sentence) from error
        except (Unreachable, Lost) as error:
            self.failed("cannot be reached" if isinstance(error, Unreachable) else "ended the connection")
            raise failed("does not answer") from error
        except Garbled as error:
            self.failed(f"did not answer in HTTP: {error}")
            raise invalid("garbled") from error
        except BaseException:
            self.breaker.left()
            raise
        if found.status in BUSY:
            self.failed(f"answered with status {found.status}")
        else:
            self.breaker.succeeded()
        return found

    def failed(self, how: str) -> None:
        self.breaker.failed(clock())
        if self.breaker.open_until is not None:
            log.warning("the upstream of endpoint %s %s; it is left alone for a while", self.target.endpoint, how)

    async def understood(self, reply: Reply, served: Served, asked: Asked) -> list[Output]:
        if not 200 <= reply.status < 300:
            raise failed(f"answered with status {reply.status}")
        if reply.encoding not in (b"", b"identity"):
            raise invalid("compressed")
        given = self.target, served.outputs, asked.rows, reply.body
        try:
            found: list[Output] = (
                answer(*given) if len(reply.body) <= INLINE_BYTES else await self.aside(answer, *given)
            )
            return found
        except Unfit as unfit:
            raise invalid(str(unfit)) from unfit
        except Differs:
            sentence = "The server behind this endpoint does not say that it runs the approved model version."
            raise Refused(502, "upstream_differs", sentence) from None


class Upstreams:
    """The callers of all endpoints that have an upstream elsewhere, each made when it is first asked."""

    def __init__(self, board: Board, internal: Collection[str], agent: str, aside: Aside) -> None:
        self.board, self.internal, self.agent, self.aside = board, internal, agent, aside
        self.callers: dict[Target, Caller] = {}

    def of(self, target: Target) -> Caller:
        """Raises Refused 503 `upstream_unusable`."""
        if not target.usable:
            sentence = (
                "The secret for the server behind this endpoint cannot be read. An administrator must set it anew."
            )
            raise unavailable("upstream_unusable", sentence, 10)
        caller = self.callers.get(target)
        if caller is None:
            self.forget()
            caller = self.callers[target] = Caller(target, self.internal, self.agent, self.aside)
        return caller

    def forget(self) -> None:
        """Close what no endpoint uses any more."""
        snapshot = self.board.snapshot
        used = {one.upstream for one in snapshot.endpoints.values()} if snapshot is not None else set()
        for target in [each for each in self.callers if each not in used]:
            self.callers.pop(target).host.close()

    def close(self) -> None:
        for caller in self.callers.values():
            caller.host.close()
        self.callers.clear()


def failed(how: str) -> Refused:
    sentence = f"The server behind this endpoint {how}. Whoever runs it finds the reason in its own log."
    return Refused(502, "upstream_failed", sentence)


def invalid(fault: str) -> Refused:
    """`fault` is a stable word for what does not fit."""
    sentence = f"The server behind this endpoint did not answer as the approved version does ({fault})."
    return Refused(502, "upstream_invalid", sentence, extra={"fault": fault})
