"""One server span a request, children for its parts, and the tracer that begins them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from inference.gateway.refused import Refused
from inference.gateway.tracing.config import Config
from inference.gateway.tracing.context import Context, read, written
from inference.gateway.tracing.export import Exporter
from inference.gateway.untraced import INTERNAL, OFF, SERVER, Attributes, Part, Untraced
from inference.keys import PREFIX

if TYPE_CHECKING:
    from inference.gateway.board import Served

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER = "_OTHER"
PATH_CHARACTERS = 256
now = time.perf_counter_ns


class Span(NamedTuple):
    """`start` and `end` by `now`, in nanoseconds. `parent` is 0 at a root; `error` is empty where all went well."""

    id: int
    parent: int
    name: str
    kind: int
    start: int
    end: int
    attributes: Attributes
    error: str


class Tracer:
    def __init__(self, config: Config) -> None:
        """Raises OSError or ValueError where certificates cannot be read."""
        self.sampler = config.sampler
        self.exporter = Exporter(config)
        # Of its own: whatever else seeds or uses the common one must not make ids that repeat.
        self.bits = random.Random(os.urandom(32)).getrandbits  # noqa: S311 - names, not secrets

    @property
    def lost(self) -> int:
        """Spans that were not delivered since the process began."""
        return self.exporter.lost

    def begin(self, scope: Mapping[str, Any], request_id: str) -> Untraced:
        """What asks something of an endpoint is traced; checks of health and addresses that lead nowhere are not."""
        path = scope["path"]
        if not (path.startswith("/v2/models/") or path.endswith("/invocations")):
            return OFF
        headers = scope["headers"]
        parents = [value for name, value in headers if name == b"traceparent"]
        parent = read(parents, [value for name, value in headers if name == b"tracestate"]) if parents else None
        trace_id = parent.trace_id if parent is not None else self.bits(128) or 1
        if not self.sampler.samples(trace_id, parent):
            return Unsampled(trace_id, parent, self.bits)
        return Trace(trace_id, parent, self, scope, request_id)

    def close(self) -> None:
        """Send what is left, for a moment."""
        self.exporter.close()


class Unsampled(Untraced):
    """Records nothing, but servers behind are told that nobody does, so that no trace begins in its middle."""

    __slots__ = ("bits", "parent", "trace_id")

    def __init__(self, trace_id: int, parent: Context | None, bits: Callable[[int], int]) -> None:
        self.trace_id, self.parent, self.bits = trace_id, parent, bits

    def onward(self) -> dict[str, str]:
        return written(self.trace_id, self.bits(64) or 1, False, self.parent.state if self.parent is not None else "")


class Trace(Untraced):
    """A request that is recorded. `spans` are the parts that have ended, `innermost` is the span that is open."""

    __slots__ = (
        "attributes", "bits", "code", "exporter", "innermost", "name", "parent", "path", "root", "shift", "spans",
        "start", "trace_id",
    )  # fmt: skip

    def __init__(
        self, trace_id: int, parent: Context | None, tracer: Tracer, scope: Mapping[str, Any], request_id: str
    ) -> None:
        self.start = now()
        # The clock of the wall is looked at once, so that no part is shorter than nothing when it is set.
        self.shift = time.time_ns() - self.start
        self.trace_id, self.parent, self.exporter, self.bits = trace_id, parent, tracer.exporter, tracer.bits
        self.root = self.innermost = self.bits(64) or 1
        self.spans: list[Span] = []
        method = scope["method"] if scope["method"] in METHODS else OTHER
        # Strangers choose the path, and some put a key into it.
        self.path: str = scope["path"][:PATH_CHARACTERS] if PREFIX not in scope["path"] else "/withheld"
        self.name = "HTTP" if method == OTHER else method
        self.code = ""
        self.attributes: dict[str, str | int] = {
            "http.request.method": method,
            "url.path": self.path,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", "1.1"),
            "countersign.request_id": request_id,
        }
        if method == OTHER:
            self.attributes["http.request.method_original"] = scope["method"][:16]

    def part(self, name: str, kind: int = INTERNAL, attributes: Attributes | None = None) -> Part:
        return Timed(self, name, kind, attributes or {})

    def onward(self) -> dict[str, str]:
        return written(self.trace_id, self.innermost, True, self.parent.state if self.parent is not None else "")

    def serves(self, served: Served) -> None:
        self.name = f"infer {served.name}"
        self.attributes["http.route"] = route(self.path)
        self.attributes["countersign.endpoint"] = served.name
        if served.version:
            self.attributes["countersign.version"] = served.version
        if served.approved is not None:
            self.attributes["countersign.artifact"] = served.approved.artifact

    def refused(self, code: str) -> None:
        self.code = self.attributes["countersign.refusal"] = code

    def end(self, status: int) -> None:
        self.attributes["http.response.status_code"] = status
        # Of a server only 5xx are errors; a refusal of the caller's is an answer.
        error = self.code or str(status) if status >= 500 else ""
        above = self.parent.span_id if self.parent is not None else 0
        self.spans.append(Span(self.root, above, self.name, SERVER, self.start, now(), self.attributes, error))
        self.exporter.take(self)


class Timed(Part):
    """A part that is recorded when it ends, whether well or not."""

    __slots__ = ("above", "attributes", "id", "kind", "name", "start", "trace")

    def __init__(self, trace: Trace, name: str, kind: int, attributes: Attributes) -> None:
        self.trace, self.name, self.kind, self.attributes = trace, name, kind, attributes

    def __enter__(self) -> None:
        trace = self.trace
        self.above = trace.innermost
        self.id = trace.innermost = trace.bits(64) or 1
        self.start = now()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        end = now()
        fault = "" if error is None else fault_of(error)
        self.trace.innermost = self.above
        self.trace.spans.append(
            Span(self.id, self.above, self.name, self.kind, self.start, end, self.attributes, fault)
        )


def fault_of(error: BaseException) -> str:
    """Its code or its kind; never its text, which may quote what was sent."""
    if isinstance(error, Refused):
        return error.code if error.status >= 500 else ""
    return type(error).__name__


def route(path: str) -> str:
    """The template of a path that has led to an endpoint."""
    parts = path.split("/")
    if parts[1] == "v2":
        parts[3] = "{endpoint}"
        if parts[4] == "versions":
            parts[5] = "{version}"
    elif parts[1] == "endpoints":
        parts[2] = "{endpoint}"
    return "/".join(parts)
