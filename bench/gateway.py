"""What the gateway's controls cost. `python -m bench.gateway [--quick]`.

Asked of two servers in turn, each one uvicorn process on the same core, with the same model, body and client: the
gateway with key, scope, rate limit counted in a real Valkey, gate result and signed decision rule, beside a renewing
lease on a real database; and `bench.bare`, a FastAPI application that does nothing but predict.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench import emit
from bench.client import Seen, load

BENCH = "gateway"
ROOT = Path(__file__).resolve().parents[1]
BARE = "bare FastAPI, same session, no controls"
WRONG_A_MINUTE = 100_000
CORES = sorted(os.sched_getaffinity(0))


def body(rows: int) -> bytes:
    data = [0.4, -0.1] * rows
    return json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [rows, 2], "data": data}]}).encode()


def request(path: str, content: bytes, secret: str = "") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(content)}", *([f"Authorization: Bearer {secret}"] if secret else [])]
    return "\r\n".join([*lines, "", ""]).encode() + content


@contextlib.contextmanager
def database(top: Path, *, durable: bool = False) -> Iterator[dict[str, str]]:
    """A migrated database with the accounts of the tests; yields the environment that leads to it."""
    from portal.supervisor.postgres import throwaway

    with throwaway(durable=durable) as cluster:
        os.environ.update(
            COUNTERSIGN_MODE="test",
            SECRET_KEY="only-for-benches-and-long-enough-to-pass-every-check-0123456789",
            DJANGO_SETTINGS_MODULE="portal.settings",
            ADMIN_DATABASE_URL=cluster.admin_url(),
            DATABASE_URL=cluster.url("countersign_portal", "bench"),
            MIGRATION_DATABASE_URL=cluster.url("countersign_migrate", "bench"),
            SEQUENCER_DATABASE_URL=cluster.url("countersign_sequencer", "bench"),
            CST_TEST_TOP=str(top),
            ARTIFACT_ROOT=str(top / "artifacts"),
            GATEWAY_ROOT=str(top / "gateway"),
            STATIC_ROOT=str(top / "static"),
        )
        subprocess.run([sys.executable, "-m", "tests.cast"], cwd=ROOT, check=True)
        yield dict(os.environ)


@contextlib.contextmanager
def counting(top: Path) -> Iterator[dict[str, str]]:
    """A Valkey for the limits of keys; yields what leads a gateway to it."""
    from portal.supervisor.valkey import Valkey

    valkey = Valkey(top / "valkey", runtime=top / "run")
    valkey.prepare()
    valkey.start()
    try:
        valkey.wait_ready()
        yield {"REDIS_URL": valkey.url()}
    finally:
        valkey.stop()


def approved_endpoint(top: Path) -> tuple[str, str]:
    """Name of an endpoint whose version two people signed, and a key to it. Through the services, like anybody."""
    import django

    django.setup()
    from django.db import connections

    from inference.keyrequests.services import set_key_rule
    from inference.services import add_endpoint, bind_endpoint, issue_key
    from tests.approvals.world import USE, an_approval
    from tests.cast import Cast
    from tests.sealing import PRESENT, Sealer

    cast = Cast()
    PRESENT.append(Sealer(top / "log", "bench"))
    version = an_approval(cast).version
    owner = cast.model_owner
    endpoint = add_endpoint(by=owner, model=version.model, name="loans", environment="production", use=USE)
    bind_endpoint(by=owner, endpoint=endpoint, version=version)
    set_key_rule(by=cast.risk_officer, endpoint=endpoint, rule="never", reason="bench")
    _, secret = issue_key(
        by=owner, endpoint=endpoint, name="bench", actions=["infer"], days=1, rate_per_minute=1_000_000, reason="bench"
    )
    connections.close_all()
    return endpoint.name, secret


@dataclass(frozen=True)
class Server:
    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of processor time used so far, by all its threads."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@dataclass(frozen=True)
class Side:
    """A server with the request to send it."""

    server: Server
    request: bytes

    def load(self, **how: Any) -> Seen:
        before = self.server.cpu()
        seen = load(self.server.port, self.request, **how)
        if seen.failures:
            raise SystemExit(f"{seen.failures} answers had another status: the figures would mean nothing.")
        seen.cpu = (self.server.cpu() - before) / len(seen.latencies)
        return seen


@contextlib.contextmanager
def server(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """A process of uvicorn's on the first core. What it says goes to our stderr."""
    with socket.socket() as listener:
        # Uvicorn takes a socket it is given for a Unix one, and so does not do this itself; accepted ones inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--fd", str(listener.fileno())], cwd=ROOT, env=dict(environment),
            pass_fds=[listener.fileno()], start_new_session=True,
        )  # fmt: skip
        try:
            os.sched_setaffinity(process.pid, CORES[:1])
            yield Server(listener.getsockname()[1], psutil.Process(process.pid))
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ready(side: Side, seconds: float = 30.0) -> None:
    """Return once the server answers with 200, and warm."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, SystemExit, ZeroDivisionError):
            side.load(seconds=0.05, connections=1)
            side.load(seconds=0.3, connections=4)
            return
        time.sleep(0.1)
    raise SystemExit(f"The server on port {side.server.port} did not answer with 200 within {seconds:.0f} s.")


def in_turn(sides: tuple[Side, Side], rounds: int, **how: Any) -> tuple[list[Seen], list[Seen]]:
    """A B A B: the same load on one and on the other."""
    found: tuple[list[Seen], list[Seen]] = ([], [])
    for _ in range(rounds):
        for side, seen in zip(sides, found, strict=True):
            seen.append(side.load(**how))
    return found


def throughput(case: str, sides: tuple[Side, Side], rounds: int, seconds: float) -> None:
    ours, theirs = in_turn(sides, rounds, seconds=seconds, connections=16)
    ratios = [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]
    detail: dict[str, Any] = {"ratio_by_round": [round(ratio, 2) for ratio in ratios]}
    for name, side in (("gateway", ours), ("bare", theirs)):
        detail[f"{name}_per_second"] = round(median(one.rate for one in side))
        # Less moved than the rate by whatever else the machine does.
        detail[f"{name}_cpu_us"] = round(median(one.cpu for one in side) * 1e6)
    emit(BENCH, case, median(ratios), 1.0, BARE, detail)


def latency(sides: tuple[Side, Side], rounds: int, seconds: float, rate: int) -> None:
    found = in_turn(sides, rounds, seconds=seconds, connections=4, rate=rate)
    detail: dict[str, Any] = {}
    for part in (50, 99):
        ours, theirs = (median(one.quantile(part / 100) for one in side) * 1000 for side in found)
        detail |= {f"gateway_p{part}_ms": round(ours, 3), f"bare_p{part}_ms": round(theirs, 3)}
        detail[f"added_p{part}_ms"] = round(ours - theirs, 3)
    emit(BENCH, f"1 row, latency at {rate} requests a second", detail=detail | {"goal_ms": 1.0, "baseline": BARE})


def refusals(sides: Mapping[str, Side], seconds: float) -> None:
    """How many wrong keys a second one process turns away; none of them touches the database."""
    detail: dict[str, int] = {}
    for name, side in sides.items():
        seen = side.load(seconds=seconds, connections=16, status=401)
        detail |= {f"{name}_per_second": round(seen.rate), f"{name}_cpu_us": round(seen.cpu * 1e6)}
    emit(BENCH, "wrong keys refused", detail=detail)


def crowded(good: Side, bad: bytes, rounds: int, seconds: float, rate: int) -> None:
    """What a good key waits alone, and beside 100,000 wrong ones a minute; all its answers must be right."""
    alone, beside, flood = [], [], []
    for _ in range(rounds):
        alone.append(good.load(seconds=seconds, connections=4, rate=rate))
        with ThreadPoolExecutor(1) as pool:
            wrong_ones = pool.submit(
                load, good.server.port, bad, seconds=seconds, connections=8, rate=WRONG_A_MINUTE / 60, status=401
            )
            beside.append(good.load(seconds=seconds, connections=4, rate=rate))
            flood.append(wrong_ones.result())
    detail: dict[str, Any] = {"wrong_per_second": round(median(one.rate for one in flood))}
    if any(one.failures for one in flood):
        raise SystemExit("Some wrong keys were not refused with 401.")
    for name, side in (("alone", alone), ("beside", beside)):
        detail[f"{name}_per_second"] = round(median(one.rate for one in side))
        for part in (50, 99):
            detail[f"{name}_p{part}_ms"] = round(median(one.quantile(part / 100) for one in side) * 1000, 3)
    emit(BENCH, f"1 row, {rate} requests a second beside {WRONG_A_MINUTE:,} wrong keys a minute", detail=detail)


def wrong(name: str, secret: str) -> dict[str, bytes]:
    """Keys that are well-formed and wrong: a known id with another secret, and an id that nobody has."""
    from inference import keys

    right, other = keys.split(secret), keys.new()
    assert right is not None
    texts = {"wrong_secret": keys.text_of(keys.Parts(right.id, other.secret)), "unknown_key": keys.text_of(other)}
    return {kind: request(f"/v2/models/{name}/infer", body(1), text) for kind, text in texts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under 50 s")
    quick = parser.parse_args().quick
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[1:])  # inherited by the database; the servers get the first core
    from tests.worlds import onnx_bytes

    with tempfile.TemporaryDirectory(prefix="cst-bench-") as folder, contextlib.ExitStack() as stack:
        top = Path(folder)
        (top / "model.onnx").write_bytes(onnx_bytes())
        environment = stack.enter_context(database(top)) | stack.enter_context(counting(top))
        name, secret = approved_endpoint(top)
        gateway = stack.enter_context(server(["inference.gateway.serve"], environment))
        plain = ["uvicorn", "bench.bare:app", "--no-access-log", "--log-level", "warning"]
        bare = stack.enter_context(server(plain, {**environment, "BENCH_MODEL": str(top / "model.onnx")}))

        def both(rows: int) -> tuple[Side, Side]:
            infer = request(f"/v2/models/{name}/infer", body(rows), secret)
            return Side(gateway, infer), Side(bare, request("/infer", body(rows)))

        for side in both(1):
            ready(side)
        throughput("1 row, all controls on", both(1), rounds=3 if quick else 7, seconds=1.2 if quick else 5.0)
        throughput("100 rows, all controls on", both(100), rounds=2 if quick else 7, seconds=0.8 if quick else 5.0)
        latency(both(1), rounds=3 if quick else 7, seconds=1.5 if quick else 10.0, rate=500)
        refused = {kind: Side(gateway, question) for kind, question in wrong(name, secret).items()}
        refusals(refused, 1.0 if quick else 5.0)
        guesses = refused["unknown_key"].request
        crowded(both(1)[0], guesses, rounds=2 if quick else 5, seconds=1.5 if quick else 10.0, rate=200)


if __name__ == "__main__":
    main()
