"""Sends spans by OTLP over HTTP, as JSON, in batches from a thread. https://opentelemetry.io/docs/specs/otlp/

Requests only put what they recorded into a queue that is bounded. A receiver that is away, slow or full loses spans,
which are counted, and never an answer.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from inference.gateway.tracing.config import Config

if TYPE_CHECKING:
    from inference.gateway.tracing.spans import Span, Trace

log = logging.getLogger("inference.gateway")
CLOSING_SECONDS = 2.0
ANSWER_BYTES = 64 * 1024
LONGEST_PAUSE = 30.0
RETRIED = frozenset({429, 502, 503, 504})
STATUS_ERROR = 2
# So many traces are encoded before the event loop may go on: a whole batch would hold the interpreter for milliseconds.
AT_ONCE = 16
# Flags of OTLP: sampled, whether the parent is remote is known, and whether it is.
LOCAL, REMOTE = 0x101, 0x301


class Failed(Exception):
    """Spans did not arrive. `again` is after how many seconds another try may help, None where none will."""

    def __init__(self, why: str, again: float | None) -> None:
        super().__init__(why)
        self.again = again


class Exporter:
    """`entered` and `dropped` are the event loop's to count, `left` and `failed` the thread's, so none needs a lock."""

    def __init__(self, config: Config) -> None:
        """Raises OSError or ValueError where certificates cannot be read."""
        self.config = config
        self.tls = tls(config) if config.url.scheme == "https" else None
        self.queue: deque[tuple[Trace, list[Span]]] = deque()
        self.entered = self.left = self.dropped = self.failed = 0
        self.wake, self.stopping = threading.Event(), threading.Event()
        self.well, self.told = True, 0
        self.thread = threading.Thread(target=self.run, name="traces", daemon=True)
        self.thread.start()

    @property
    def lost(self) -> int:
        return self.dropped + self.failed

    def take(self, trace: Trace) -> None:
        """All spans of a request that has ended, or none where there is no room."""
        spans, trace.spans = trace.spans, []
        waiting = self.entered - self.left + len(spans)
        if waiting > self.config.queue:
            self.dropped += len(spans)
            return
        self.entered += len(spans)
        self.queue.append((trace, spans))
        if waiting >= self.config.batch and not self.wake.is_set():
            self.wake.set()

    def close(self) -> None:
        self.stopping.set()
        self.wake.set()
        self.thread.join(CLOSING_SECONDS)

    def run(self) -> None:
        while not self.stopping.is_set():
            self.wake.wait(self.config.delay)
            self.wake.clear()
            self.export()
            while self.entered - self.left >= self.config.batch and not self.stopping.is_set():
                self.export()
        while self.queue and self.well:
            self.export()

    def export(self) -> None:
        """One batch, tried again while that may help. What fails is counted."""
        traces, count, good = list[bytes](), 0, 0
        while self.queue and count < self.config.batch:
            trace, spans = self.queue.popleft()
            count += len(spans)
            try:
                traces.append(encoded(trace, spans))
                good += len(spans)
            except TypeError:
                # An attribute that is no text.
                self.failed += len(spans)
            if len(traces) % AT_ONCE == 0:
                time.sleep(0)
        if traces:
            try:
                self.failed += self.deliver(payload(self.config.resource, traces))
            except Failed:
                self.failed += good
                self.told = self.lost
            else:
                self.say("more spans come than are taken" if self.lost > self.told else "")
        self.left += count

    def deliver(self, body: bytes) -> int:
        """How many spans the receiver rejected. Raises Failed when it was tried often enough."""
        pauses = iter(self.config.pauses)
        while True:
            try:
                return self.post(body)
            except Failed as error:
                self.say(str(error))
                pause = next(pauses, None)
                if error.again is None or pause is None:
                    raise
                if self.stopping.wait(min(LONGEST_PAUSE, max(pause, error.again))):
                    raise

    def say(self, why: str) -> None:
        """Once when spans begin to be lost, and once when that is over."""
        if why and self.well:
            self.well = False
            log.warning("traces do not reach %s: %s. Answers are not affected", self.config.url.hostname, why)
        elif not why and not self.well:
            self.well = True
            log.warning("traces reach %s again; %d spans were lost so far", self.config.url.hostname, self.lost)
        self.told = self.lost

    def post(self, body: bytes) -> int:
        """How many spans the receiver rejected. Raises Failed where it took none."""
        url, headers = self.config.url, {"content-type": "application/json", **self.config.headers}
        if self.config.gzip:
            body, headers["content-encoding"] = gzip.compress(body, 1), "gzip"
        host, port, timeout = url.hostname or "", url.port, self.config.timeout
        connection = (
            http.client.HTTPConnection(host, port, timeout)
            if self.tls is None
            else http.client.HTTPSConnection(host, port, timeout=timeout, context=self.tls)
        )
        try:
            connection.request("POST", f"{url.path or '/'}{'?' if url.query else ''}{url.query}", body, headers)
            answer = connection.getresponse()
            told, status, after = answer.read(ANSWER_BYTES), answer.status, answer.headers.get("retry-after", "")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Failed(getattr(error, "strerror", None) or type(error).__name__, 0.0) from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            again = float(after) if after.isdecimal() and len(after) < 6 else 0.0
            raise Failed(f"it answered {status}", again if status in RETRIED else None)
        return rejected(told)


def tls(config: Config) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.authority)
    if config.certificate is not None:
        context.load_cert_chain(config.certificate, config.key)
    return context


def rejected(answer: bytes) -> int:
    """The count of a partial success; 0 where the receiver says nothing that can be read."""
    try:
        return max(0, int(orjson.loads(answer)["partialSuccess"]["rejectedSpans"]))
    except (ValueError, KeyError, TypeError):
        return 0


def payload(resource: Mapping[str, str], traces: Sequence[bytes]) -> bytes:
    about = orjson.dumps({"attributes": attributes(resource)})
    scope = orjson.dumps({"name": "inference.gateway", "version": resource["service.version"]})
    before = b'{"resourceSpans":[{"resource":%b,"scopeSpans":[{"scope":%b,"spans":[' % (about, scope)
    return b"".join((before, b",".join(traces), b"]}]}]}"))


def encoded(trace: Trace, spans: Sequence[Span]) -> bytes:
    """The spans of one trace as JSON with commas between. Raises TypeError where an attribute is no text."""
    trace_id, shift, parent = f"{trace.trace_id:032x}", trace.shift, trace.parent
    found = []
    for one in spans:
        root = one.id == trace.root
        span: dict[str, Any] = {
            "traceId": trace_id,
            "spanId": f"{one.id:016x}",
            "name": one.name,
            "kind": one.kind,
            "startTimeUnixNano": str(one.start + shift),
            "endTimeUnixNano": str(one.end + shift),
            "attributes": attributes({**one.attributes, "error.type": one.error} if one.error else one.attributes),
            "flags": REMOTE if root and parent is not None else LOCAL,
        }
        if one.parent:
            span["parentSpanId"] = f"{one.parent:016x}"
        if one.error:
            span["status"] = {"code": STATUS_ERROR}
        if parent is not None and parent.state:
            span["traceState"] = parent.state
        found.append(span)
    return orjson.dumps(found)[1:-1]


def attributes(given: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": name, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for name, value in given.items()
    ]
