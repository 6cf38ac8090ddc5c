"""Servers elsewhere, as endpoints ask them: a FastAPI and a Flask application, stand-ins, and one that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI, HTTPException, Request
from flask import Flask, jsonify
from flask import request as flask_request
from werkzeug.serving import make_server

from inference import keys
from inference.gateway.board import Approved, KeyTerms, Served, Snapshot, clock
from inference.gateway.dialects import Target
from inference.gateway.tensors import Tensor
from registry.onnx.decision import DecisionRule
from tests.inference.gateway import Inside, bearer, body, expected

SECRET = "Bearer known-to-the-upstream"
VERSION = "score-7"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ROW = b'[{"label": 1, "probabilities": [0.25, 0.75]}]'
# What the one that misbehaves writes, and whether it then closes the connection.
LIES: dict[str, tuple[bytes, bool]] = {
    "hangs": (b"", False),
    "half": (JSON + b"Connection: close\r\nContent-Length: 900\r\n\r\n" + ROW, False),
    "longer": (JSON + b"Connection: close\r\nContent-Length: 900\r\n\r\n" + ROW, True),
    "shorter": (JSON + b"Connection: close\r\nContent-Length: 9\r\n\r\n" + ROW, True),
    "both": (JSON + b"Connection: close\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n" + ROW, True),
    "silent": (b"", True),
    "noise": (b"\x00\x01 no HTTP at all\r\n\r\n", True),
    "page": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\n<html></html>", True),
    "packed": (
        JSON + b"Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ROW) + ROW,
        True,
    ),
    "redirect": (
        b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        True,
    ),
    "upgrade": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello", True),
    "broken": (b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", True),
    "busy": (b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", True),
    "headers": (b"HTTP/1.1 200 OK\r\n" + b"X-More: aaaaaaaaaaaaaaaaaaaa\r\n" * 3_000, True),
    "huge": (JSON + b"Connection: close\r\nContent-Length: 20000000\r\n\r\n" + b" " * (17 * 1024**2), True),
    "nan": (JSON + b"Connection: close\r\nContent-Length: 45\r\n\r\n" + ROW.replace(b"0.25", b" NaN"), True),
    "rows": (
        JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n[" % (2 * len(ROW) - 1) + ROW[1:-1] + b"," + ROW[1:],
        True,
    ),
    "until-closed": (JSON + b"\r\n" + ROW, True),
    "continue": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(ROW) + ROW,
        True,
    ),
    "leaves": (JSON + b"Content-Length: %d\r\n\r\n" % len(ROW) + ROW, True),
    "again": (JSON + b"Content-Length: %d\r\n\r\n" % len(ROW) + ROW + JSON, False),
}


class Elsewhere:
    """Their addresses, and the headers of what they were asked."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.connections = 0
        self.meanwhile: Callable[[], object] = bool  # what happens while the first of them works
        self.good = self.flask = self.liar = ""

    @property
    def last(self) -> dict[str, str]:
        return self.seen[-1]


def scored(rows: list[list[float]]) -> list[dict[str, Any]]:
    """What the approved model says itself, as it comes out of other servers."""
    labels, flat, _ = expected(rows)
    tables = [flat[at : at + 2] for at in range(0, len(flat), 2)]
    return [{"label": label, "probabilities": table} for label, table in zip(labels, tables, strict=True)]


class World:
    """An approved endpoint and a key to it, on the board of a gateway in this process; no database has them."""

    path, artifact = "/v2/models/loans", "sha256:" + "ab" * 32

    def __init__(self, pepper: str) -> None:
        parts = keys.new()
        self.secret = keys.text_of(parts)
        both = {1: frozenset({"infer", "metadata"})}
        self.terms = {parts.id: KeyTerms(1, keys.digest(parts.secret, pepper), both, 100_000, math.inf)}
        rule = DecisionRule("threshold", "probabilities")
        self.served = Served(
            pk=1, name="loans", version="3", environment="production", use="mortgage-screening",
            inputs=(Tensor("X", "FP32", (-1, 2)),), features=("income", "debt"), decision="decision",
            outputs=(Tensor("label", "INT64", (-1,)), Tensor("probabilities", "FP32", (-1, 2))),
            approved=Approved(self.artifact, rule, "sha256:" + "cd" * 32, math.inf, False),
            max_rows=100, max_body_bytes=100_000, state="approved", reasons=(),
        )  # fmt: skip

    def put(self, inside: Inside, upstream: Target) -> Served:
        """With this upstream, as a lease just renewed knows it."""
        found = replace(self.served, upstream=upstream)
        inside.board.snapshot = Snapshot({"loans": found}, self.terms, clock(), clock() + 60)
        return found


def good_application(told: Elsewhere) -> FastAPI:
    """A service of its own form at /score, and stand-ins for what is too large to install here, by their published
    forms: Triton, KServe and MLServer (/v2), TensorFlow Serving (/v1) and MLflow (/invocations).
    """
    application = FastAPI()

    @application.middleware("http")
    async def note(request: Request, go_on: Any) -> Any:
        told.seen.append(dict(request.headers))
        told.meanwhile()
        return await go_on(request)

    @application.post("/score")
    async def score(request: Request) -> Any:
        if request.headers.get("x-api-key") != SECRET:
            raise HTTPException(401)
        given = (await request.json())["data"]["rows"]
        found = scored([[row["income"], row["debt"]] for row in given])
        return {"result": {"scores": found}, "model": {"version": VERSION}}

    @application.post("/v2/models/loans/versions/3/infer")
    async def oip(request: Request) -> Any:
        given = await request.json()
        tensor = given["inputs"][0]
        assert (tensor["datatype"], tensor["shape"][1]) == ("FP32", 2)
        data, rows = tensor["data"], tensor["shape"][0]
        labels, table, _ = expected([data[at : at + 2] for at in range(0, len(data), 2)])
        outputs = [
            {"name": "label", "datatype": "INT64", "shape": [rows], "data": labels},
            {"name": "probabilities", "datatype": "FP32", "shape": [rows, 2], "data": table},
        ]
        assert [one["name"] for one in given["outputs"]] == ["label", "probabilities"]
        return {"model_name": "loans", "model_version": "3", "outputs": outputs}

    @application.post("/v1/models/loans:predict")
    async def tensorflow(request: Request) -> Any:
        return {"predictions": scored((await request.json())["instances"])}

    @application.post("/invocations")
    async def mlflow(request: Request) -> Any:
        given = (await request.json())["dataframe_split"]
        assert given["columns"] == ["income", "debt"]
        return {"predictions": scored(given["data"])}

    return application


def flask_application() -> Flask:
    application = Flask("elsewhere")

    def predict() -> Any:
        return jsonify(scored(flask_request.get_json()))

    def one() -> Any:
        row = flask_request.get_json()["applicant"]
        return jsonify({"result": scored([[row["income"], row["debt"]]])[0]})

    application.add_url_rule("/predict", view_func=predict, methods=["POST"])
    application.add_url_rule("/predict/one", view_func=one, methods=["POST"])
    return application


class Liar(socketserver.StreamRequestHandler):
    """Does with each request what its path says."""

    def handle(self) -> None:
        server: Any = self.server
        server.told.connections += 1
        asked = self.rfile.readline().split()
        size = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        self.rfile.read(size)
        written, ends = LIES[asked[1].decode()[1:]] if asked else (b"", True)
        with contextlib.suppress(OSError):
            self.wfile.write(written)
            self.wfile.flush()
            if not ends:
                self.connection.settimeout(3)
                self.rfile.read(1)  # until the other side has had enough


class Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    told: Elsewhere


@contextlib.contextmanager
def served() -> Iterator[Elsewhere]:
    told = Elsewhere()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(good_application(told), log_level="error", lifespan="off", loop="asyncio", ws="none")
    good = uvicorn.Server(config)
    flask = make_server("127.0.0.1", 0, flask_application(), threaded=True)
    liar = Threads(("127.0.0.1", 0), Liar)
    liar.told = told
    threads = [
        threading.Thread(target=good.run, kwargs={"sockets": [listener]}, daemon=True),
        threading.Thread(target=flask.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True),
        threading.Thread(target=liar.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True),
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while not good.started and time.monotonic() < until:
        time.sleep(0.01)
    told.good = f"http://127.0.0.1:{listener.getsockname()[1]}"
    told.flask = f"http://127.0.0.1:{flask.server_port}/predict"
    told.liar = f"http://127.0.0.1:{liar.server_address[1]}"
    try:
        yield told
    finally:
        good.should_exit = True
        flask.shutdown()
        liar.shutdown()
        for thread in threads:
            thread.join(5)
        flask.server_close()
        liar.server_close()
        listener.close()


def ask(inside: Inside, world: Any, *bodies: Any, path: str = "/infer", at_once: bool = False) -> list[httpx.Response]:
    """The answers to some requests, in one event loop of the kind that the gateway runs in."""
    assert inside.application.gateway is not None
    upstreams = inside.application.gateway.inference.upstreams
    given = bodies or (body([[0.4, -0.1]]),)

    async def asked() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=inside.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            url = f"{world.path}{path}" if path.startswith("/infer") else path
            calls = [client.post(url, json=each, headers=bearer(world.secret)) for each in given]
            try:
                return list(await asyncio.gather(*calls)) if at_once else [await call for call in calls]
            finally:
                upstreams.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asked())
