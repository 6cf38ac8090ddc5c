"""What the gateway's controls cost where another server predicts. `python -m bench.proxied [--quick]`.

Asked in turn, each one uvicorn process on the same core, in front of the same server: the gateway with key, scope, rate
limit, gate result, the declared interface, the version that each answer names and the signed decision rule; and
`bench.proxy`, which hands on what comes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from bench import emit
from bench.gateway import CORES, Side, body, database, in_turn, ready, request, server

BENCH = "proxied"
# In front of what: words, the name of application and endpoint, and how much of the rate has to be left. Of a server
# that does nothing the way there is all that counts: that case is to be looked at.
SERVERS = (("a FastAPI server", "service", 0.8), ("a server that does nothing", "idle", None))
BARE = "a proxy with the same connections and no controls"


def approved_endpoints(top: Path, places: Mapping[str, str]) -> str:
    """Add an endpoint for each server and a key to all. Through the services, like anybody."""
    import django

    django.setup()
    from django.db import connections

    from inference.models import KeyScope
    from inference.upstreams.services import set_upstream
    from tests import worlds
    from tests.approvals import policies
    from tests.approvals import world as approvals
    from tests.cast import Cast
    from tests.inference.gateway import a_key, an_endpoint, bind
    from tests.inference.test_upstreams import INTERFACE
    from tests.sealing import PRESENT, Sealer

    cast = Cast()
    PRESENT.append(Sealer(top / "log", "bench"))
    version = worlds.a_pinned_version(cast, interface=INTERFACE)
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    approvals.sign(cast.approver, approvals.a_request(cast, version), "approval")
    endpoints = [an_endpoint(cast, version.model, name) for _, name, _ in SERVERS]
    for endpoint, place in zip(endpoints, places.values(), strict=True):
        how = {"kind": "http-oip", "url": place, "model_name": "loans", "version_at": "model_version"}
        set_upstream(by=cast.model_owner, endpoint=endpoint, **how)
        bind(cast, endpoint, version)
    key, secret = a_key(cast, endpoints[0], rate=1_000_000)
    KeyScope.objects.create(key=key, endpoint=endpoints[1], actions=["infer"])
    connections.close_all()
    return secret


def throughput(case: str, sides: tuple[Side, Side], rounds: int, seconds: float, goal: float | None) -> None:
    ours, theirs = in_turn(sides, rounds, seconds=seconds, connections=16)
    ratios = [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]
    detail: dict[str, Any] = {"ratio_by_round": [round(ratio, 2) for ratio in ratios]}
    for name, side in (("gateway", ours), ("proxy", theirs)):
        detail[f"{name}_per_second"] = round(median(one.rate for one in side))
        detail[f"{name}_cpu_us"] = round(median(one.cpu for one in side) * 1e6)
    emit(BENCH, case, median(ratios), goal, BARE, detail)


def plain(name: str) -> list[str]:
    """An application of `bench.proxy` under uvicorn."""
    return ["uvicorn", f"bench.proxy:{name}", "--no-access-log", "--log-level", "warning"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under 50 s")
    quick = parser.parse_args().quick
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[1:])  # inherited by the database; the servers compared get the first core
    os.environ["UPSTREAM_INTERNAL_HOSTS"] = "127.0.0.1"
    from tests.worlds import onnx_bytes

    with tempfile.TemporaryDirectory(prefix="cst-bench-") as folder, contextlib.ExitStack() as stack:
        top = Path(folder)
        (top / "model.onnx").write_bytes(onnx_bytes())
        environment = {**stack.enter_context(database(top)), "BENCH_MODEL": str(top / "model.onnx")}
        behind = {words: stack.enter_context(server(plain(name), environment)) for words, name, _ in SERVERS}
        places = {}
        for words, each in behind.items():
            os.sched_setaffinity(each.process.pid, CORES[1:] or CORES)
            places[words] = f"http://127.0.0.1:{each.port}"
        secret = approved_endpoints(top, places)
        gateway = stack.enter_context(server(["inference.gateway.serve"], environment))
        for (words, name, goal), place in zip(SERVERS, places.values(), strict=True):
            proxy = stack.enter_context(server(plain("proxy"), {**environment, "BENCH_UPSTREAM": place}))
            for rows in (1, 100):
                infer = request(f"/v2/models/{name}/infer", body(rows), secret)
                sides = Side(gateway, infer), Side(proxy, request("/infer", body(rows)))
                for side in sides:
                    ready(side)
                case = f"{words}, {rows} row{'s' if rows > 1 else ''}"
                throughput(case, sides, rounds=3 if quick else 7, seconds=1.0 if quick else 5.0, goal=goal)


if __name__ == "__main__":
    main()
