"""Worlds and processes for the gateway: an endpoint with a key, the application in this process, a real server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort

from portal.supervisor.spawn import spawn
from tests.approvals.world import USE, an_approval
from tests.conftest import administrate
from tests.inference.world import for_one_person
from tests.worlds import onnx_bytes

ROOT = Path(__file__).resolve().parents[2]
ROWS = [[0.4, -0.1], [-2.0, 0.5], [1.5, 1.5]]


@dataclass
class World:
    """An approved version behind an endpoint, and the text of a key to it."""

    endpoint: Any
    version: Any
    request: Any
    key: Any
    secret: str

    @property
    def path(self) -> str:
        return f"/v2/models/{self.endpoint.name}"


def an_endpoint(cast: Any, model: Any, name: str = "loans", use: str = USE) -> Any:
    from inference.services import add_endpoint

    made = add_endpoint(by=cast.model_owner, model=model, name=name, environment="production", use=use)
    return for_one_person(cast, made)


def a_key(cast: Any, endpoint: Any, *, actions: Any = ("infer", "metadata"), rate: int = 100_000) -> tuple[Any, str]:
    from inference.services import issue_key

    return issue_key(
        by=cast.model_owner, endpoint=endpoint, name="Loan desk", actions=actions, days=30, rate_per_minute=rate,
        reason="Screening at the counter.",
    )  # fmt: skip


def bind(cast: Any, endpoint: Any, version: Any) -> None:
    from inference.services import bind_endpoint

    bind_endpoint(by=cast.model_owner, endpoint=endpoint, version=version)


def a_world(cast: Any, version: Any = None, **changes: Any) -> World:
    request = an_approval(cast, version)
    endpoint = an_endpoint(cast, request.version.model)
    bind(cast, endpoint, request.version)
    key, secret = a_key(cast, endpoint, **changes)
    return World(endpoint, request.version, request, key, secret)


def body(rows: Any = None, **changes: Any) -> dict[str, Any]:
    rows = ROWS if rows is None else rows
    return {"inputs": [{"name": "X", "datatype": "FP32", "shape": [len(rows), 2], "data": rows, **changes}]}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def expected(rows: Any = None) -> tuple[list[int], list[float], list[bool]]:
    """Labels, probabilities (flat) and decisions: what ONNX Runtime says itself, and the signed rule by hand."""
    session = ort.InferenceSession(onnx_bytes(), providers=["CPUExecutionProvider"])
    labels, table = session.run(None, {"X": np.array(ROWS if rows is None else rows, dtype=np.float32)})
    return labels.tolist(), table.reshape(-1).tolist(), [bool(row[1] >= 0.5) for row in table]


class Inside:
    """The application in this process, with a board filled by hand: `renew` asks database and gate once."""

    def __init__(self) -> None:
        from django.conf import settings

        from inference.gateway.app import Application, Gateway

        self.application = Application()
        self.board, self.lease = self.application.board, self.application.lease
        self.application.gateway = Gateway(self.board, settings.KEY_PEPPER)

    def renew(self) -> Inside:
        """Returns when the models that are wanted are loaded."""
        self.lease.renew()
        self.lease.loader.submit(lambda: None).result()
        return self

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                return await client.request(method, path, **given)

        return asyncio.run(asked())

    def close(self) -> None:
        self.lease.loader.shutdown()
        assert self.application.gateway is not None
        self.application.gateway.close()


class Running(httpx.Client):
    """A client of a gateway, with its process."""

    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running(environment: dict[str, str], **changes: str) -> Iterator[Running]:
    """A gateway as a process of its own on a free port, ready to be asked; ended afterwards, whatever happened."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # As the supervisor's socket has it: else each answer waits 40 ms for the end of its own first part.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port, number = listener.getsockname()[1], listener.fileno()
        process = spawn(
            [sys.executable, "-m", "inference.gateway.serve", "--fd", str(number)],
            cwd=ROOT, env={**environment, **changes}, pass_fds=[number], death_signal=signal.SIGKILL, show=True,
        )  # fmt: skip
        try:
            with Running(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                until(lambda: client.get("/v2/health/ready", timeout=30).status_code == 200, 20)
                client.process = process
                yield client
            if process.poll() != -signal.SIGKILL:  # a test may have killed it
                process.send_signal(signal.SIGTERM)
                # Uvicorn passes on the signal that ended it, after it has closed everything.
                assert process.wait(10) in (0, -signal.SIGTERM)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(holds: Callable[[], Any], seconds: float) -> float:
    """Seconds until it held, asked every 10 ms. Fails when the time is up."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - start


def cut(database: str) -> None:
    """Nobody gets in any more, and who is in is thrown out."""
    administrate(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
    administrate(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")  # noqa: S608


def infer(inside: Inside, world: Any, *, secret: Any = None, path: str = "", json: Any = None, headers: Any = None,
    **given: Any,
) -> httpx.Response:  # fmt: skip
    given = given or {"json": json or body()}
    return inside.ask(
        "POST", f"{world.path}{path}/infer", headers={**bearer(secret or world.secret), **(headers or {})}, **given
    )


def swap(inside: Inside, **changes: Any) -> None:
    """Put a changed endpoint on the board."""
    snapshot = inside.board.snapshot
    assert snapshot is not None
    name, served = next(iter(snapshot.endpoints.items()))
    inside.board.snapshot = replace(snapshot, endpoints={name: replace(served, **changes)})


def put(inside: Inside, **methods: Any) -> None:
    """Put another model in the place of the approved one."""
    runners: dict[str, Any] = inside.board.runners
    runners[next(iter(runners))] = SimpleNamespace(**{"quick": lambda rows: True, **methods})


def code(answer: httpx.Response, status: int) -> Any:
    """Of a refusal that says the same in all places."""
    told = answer.json()
    assert (answer.status_code, told["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["detail"] == told["error"]
    return told["code"]
