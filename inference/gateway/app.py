"""The ASGI application: Open Inference Protocol, version 2, and MLflow's /invocations.

`python -m inference.gateway.serve` runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from inference.addresses import Network, network_of
from inference.gateway import memory
from inference.gateway.admission import Admission, Caller
from inference.gateway.binary import HEADER
from inference.gateway.board import Approved, Board, Served, clock
from inference.gateway.counting import Counter
from inference.gateway.feedback import Feedback
from inference.gateway.forms import ROWS, TENSORS
from inference.gateway.infer import Inference
from inference.gateway.lease import Lease
from inference.gateway.leasing import Leasing
from inference.gateway.limits import Limits
from inference.gateway.logbook import Logbook
from inference.gateway.recorder import Recorder
from inference.gateway.refused import Answer, Refused, unavailable
from inference.gateway.untraced import OFF, Untraced, tracer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("inference.gateway")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
# Objects that come and go with a few hundred requests; Python's own 700 are those of ten.
COLLECT_AFTER = 20_000
# Ids of requests are random once a process, then counted: asking the kernel each time costs more than reading the body.
PROCESS, NUMBERS = os.urandom(10).hex(), itertools.count(1)


@dataclass(slots=True)
class Headers(Caller):
    """The few that matter. A header that is there twice counts as wrong, never as one of the two."""

    length: bytes | None = None
    request_id: bytes = b""
    encoding: bytes = b""
    json_length: bytes | None = None
    trace: Untraced = OFF


def headers_of(given: Iterable[tuple[bytes, bytes]], client: Sequence[Any] | None = None) -> Headers:
    """`client` is the other end of the connection: its address comes first."""
    found = Headers(peer=str(client[0]) if client else "")
    for name, value in given:
        if name == b"authorization":
            found.authorization = b"twice" if found.authorization else value
        elif name == b"content-length":
            found.length = value
        elif name == b"x-request-id":
            found.request_id = value
        elif name == b"content-encoding":
            found.encoding = value
        elif name == b"x-forwarded-for":
            found.forwarded = (*found.forwarded, value)
        elif name == HEADER:
            found.json_length = b"twice" if found.json_length is not None else value
    return found


class Gateway:
    """Routes a request to what answers it. Everything it needs is on the board; nothing here waits for the database."""

    def __init__(self, board: Board, pepper: str) -> None:
        self.board = board
        self.admission = Admission(board, pepper, Limits(settings.GATEWAY_PROCESSES), trusted_proxies())
        self.inference = Inference(board, self.admission)
        self.logbook = Logbook()
        self.inference.shadow.record = self.logbook.put
        self.counter = Counter(self.told, self.inference.shadow.taken)
        self.recorder = Recorder(self.inference, self.logbook, self.counter)
        self.feedback = Feedback(self.admission)
        self.tracer = tracer(settings.OTEL, settings.VERSION)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"], scope.get("client"))
        wanted = headers.request_id
        request_id = wanted.decode() if wanted and REQUEST_ID.fullmatch(wanted) else f"{PROCESS}-{next(NUMBERS):x}"
        if self.tracer is not None:
            headers.trace = self.tracer.begin(scope, request_id)
        try:
            answer = await self.answer(scope["method"], scope["path"], headers, receive, request_id)
        except Refused as refused:
            answer = refused.answer(request_id)
            headers.trace.refused(refused.code)
        except Exception:
            log.exception("request %s failed", request_id)
            sentence = "Something went wrong in the gateway. It has been written down; try again in a minute."
            answer = Refused(500, "internal_error", sentence).answer(request_id)
            headers.trace.refused("internal_error")
        length = str(len(answer.body)).encode()
        start = [
            (b"content-type", answer.media_type), (b"content-length", length), (b"x-request-id", request_id.encode()),
            *answer.headers,
        ]  # fmt: skip
        await send({"type": "http.response.start", "status": answer.status, "headers": start})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
        headers.trace.end(answer.status)

    async def answer(self, method: str, path: str, headers: Headers, receive: Receive, request_id: str) -> Answer:
        parts = path.split("/")
        if parts[-1] == "invocations" and (len(parts) == 2 or (len(parts) == 4 and parts[1] == "endpoints")):
            allow(method, "POST")
            name = parts[2] if len(parts) == 4 else self.admission.only_endpoint(headers)
            return await self.recorder.answer(name, None, headers, receive, request_id, ROWS)
        if parts[1:3] != ["v2", "models"] or len(parts) < 4:
            return self.about_the_server(method, path)
        name, version, act = parts[3], None, parts[4:]
        if len(act) >= 2 and act[0] == "versions":
            version, act = act[1], act[2:]
        if act == ["infer"]:
            allow(method, "POST")
            return await self.recorder.answer(name, version, headers, receive, request_id, TENSORS)
        if act == ["feedback"]:
            allow(method, "POST")
            return await self.feedback.answer(name, version, headers, receive)
        if act == ["ready"]:
            allow(method, "GET", "HEAD")
            _, served = self.admission.admit(headers, name, version, "metadata")
            self.inference.ready(served)
            return as_json({"name": served.name, "ready": True})
        if not act:
            allow(method, "GET", "HEAD")
            _, served = self.admission.admit(headers, name, version, "metadata")
            return as_json(metadata(served))
        raise nothing_here()

    def told(self) -> dict[str, Any]:
        """How this process is, for /v2/health/ready and for the page of processes."""
        snapshot = self.board.snapshot
        left = max(0.0, snapshot.until - clock()) if snapshot is not None else 0.0
        return {
            "lease_seconds_left": round(left, 1),
            "limits": "shared" if self.admission.limits.shared else "local",
            "prediction_log": self.logbook.state(),
            "memory_bytes": memory.used(),
        }

    def close(self) -> None:
        self.inference.close()
        self.counter.stop()
        self.feedback.close()
        self.logbook.stop()
        if self.tracer is not None:
            self.tracer.close()

    def about_the_server(self, method: str, path: str) -> Answer:
        if path not in ("/v2", "/v2/", "/v2/health/live", "/v2/health/ready"):
            raise nothing_here()
        allow(method, "GET", "HEAD")
        if path == "/v2/health/live":
            return as_json({"live": True})
        if path == "/v2/health/ready":
            if self.board.draining:
                raise unavailable("draining", "This process is about to end. Ask another.")
            self.admission.snapshot()
            return as_json({"ready": True, **self.told()})
        return as_json({"name": "countersign", "version": settings.VERSION, "extensions": ["binary_tensor_data"]})


def trusted_proxies() -> list[Network]:
    """Raises ValueError with the setting's name where the operator named no network."""
    try:
        return [network_of(each) for each in settings.TRUSTED_PROXIES]
    except ValueError as error:
        raise ValueError(f"TRUSTED_PROXIES: {error}") from None


def allow(method: str, *methods: str) -> None:
    if method not in methods:
        sentence = f"This address takes {' and '.join(methods)}, not {method[:16]}."
        raise Refused(405, "method_not_allowed", sentence, headers=((b"allow", ", ".join(methods).encode()),))


def nothing_here() -> Refused:
    return Refused(
        404,
        "not_found",
        "There is nothing here. The paths are those of the Open Inference Protocol, under /v2, and /invocations.",
    )


def as_json(body: Any) -> Answer:
    return Answer(200, orjson.dumps(body))


def metadata(served: Served) -> dict[str, Any]:
    decision = {"name": served.decision, "datatype": "BOOL", "shape": [-1]}
    approved = served.approved
    return {
        "name": served.name,
        "versions": [served.version] if served.version else [],
        "platform": "onnxruntime_onnx" if served.upstream is None else served.upstream.kind,
        "inputs": [one.as_dict() for one in served.inputs],
        "outputs": [*(one.as_dict() for one in served.outputs), *([decision] if served.version else [])],
        "parameters": {
            "environment": served.environment,
            "use": served.use,
            "state": served.state,
            "artifact": approved.artifact if approved else "",
            "revision": approved.revision if approved else "",
            "lease_seconds": lease_of(approved),
            "max_rows": served.max_rows,
            "max_body_bytes": served.max_body_bytes,
            "log_level": served.log.level,
            "log_mode": served.log.mode,
        },
    }


def lease_of(approved: Approved | None) -> int:
    """For how many seconds it is served at most without the gate being asked: by its policy and the house's setting."""
    house: int = settings.SERVING_LEASE_SECONDS
    return min(house, approved.lease_seconds or house) if approved else 0


class Application:
    """Lifespan starts the thread that renews the lease; requests go to the gateway."""

    def __init__(self) -> None:
        self.board = Board()
        self.lease = Lease(self.board)
        self.gateway: Gateway | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self.gateway is None:
                raise RuntimeError("the gateway needs a server that speaks ASGI's lifespan protocol")
            await self.gateway(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.live(receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.gateway = Gateway(self.board, self.lease.start())
            self.gateway.logbook.start(Path(settings.GATEWAY_ROOT))
            self.gateway.counter.start()
        except Exception as error:
            log.exception("the gateway cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        settle()
        leasing = Leasing(self.gateway.admission.limits, settings.REDIS_URL)
        keeping = asyncio.create_task(leasing.keep())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await leasing.close()
        self.lease.stop()
        self.gateway.close()
        await send({"type": "lifespan.shutdown.complete"})


def settle() -> None:
    """What was imported stays: the collector need not look through it again for every few requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


application = Application()
