"""What `bench.proxied` asks: servers elsewhere, and the baseline, a proxy in front of them with no control at all.

The proxy keeps its connections as the gateway does and hands on what comes, as it comes.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import django
import orjson
from fastapi import FastAPI

from bench.bare import Infer, infer
from inference.gateway.outside import Host

django.setup()  # the connections look addresses up by code that stands beside models
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
JSON = b"application/json"
TO = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1/")
HOST = Host(TO, ["127.0.0.1"])
HEAD = b"POST /v2/models/loans/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "


async def body_of(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def told(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


service = FastAPI()


@service.post("/v2/models/loans/infer")
async def predict(asked: Infer) -> dict[str, Any]:
    """In the Open Inference Protocol, as one would write it in FastAPI."""
    found = await infer(asked)
    for one, datatype in zip(found["outputs"], ("INT64", "FP32"), strict=True):
        one["datatype"] = datatype
    return {"model_name": "loans", "model_version": "score-7", **found}


async def idle(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Answers likewise and predicts nothing."""
    if scope["type"] != "http":
        return
    rows = orjson.loads(await body_of(receive))["inputs"][0]["shape"][0]
    outputs = [
        {"name": "label", "datatype": "INT64", "shape": [rows], "data": [1] * rows},
        {"name": "probabilities", "datatype": "FP32", "shape": [rows, 2], "data": [0.25, 0.75] * rows},
    ]
    await told(send, 200, orjson.dumps({"model_name": "loans", "model_version": "score-7", "outputs": outputs}))


async def proxy(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    body = await body_of(receive)
    found = await HOST.ask(b"%b%d\r\n\r\n%b" % (HEAD, len(body), body), 16 * 1024**2, 5.0)
    await told(send, found.status, found.body)
