"""What traces cost a prediction. `python -m bench.tracing [--quick]`.

Asked of three gateways in turn, one uvicorn process each on the same core, on one database: without traces, with each
request recorded and sent to a receiver on the other core, and with none recorded although traces are on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from bench import emit
from bench.gateway import CORES, Side, approved_endpoint, body, counting, database, ready, request, server

BENCH = "tracing"
RATIOS = {"recorded": "1", "not recorded": "0"}


def receive(told: Connection) -> None:
    """Answers every post with 200 and looks at none."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            await writer.drain()
            writer.close()

    async def serve() -> None:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 20)
        told.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(serve())


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under 50 s")
    quick = parser.parse_args().quick
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[1:])  # inherited by database and receiver; the gateways get the first core
    with tempfile.TemporaryDirectory(prefix="cst-bench-") as folder, contextlib.ExitStack() as stack:
        environment = stack.enter_context(database(Path(folder))) | stack.enter_context(counting(Path(folder)))
        name, secret = approved_endpoint(Path(folder))
        question = request(f"/v2/models/{name}/infer", body(1), secret)
        address = stack.enter_context(receiver())
        sides = {}
        for kind, ratio in {"off": "", **RATIOS}.items():
            told = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
            given = {**environment, **told, "OTEL_EXPORTER_OTLP_ENDPOINT": address if ratio else ""}
            sides[kind] = Side(stack.enter_context(server(["inference.gateway.serve"], given)), question)
            ready(sides[kind])
        found = []
        for turn in range(12 if quick else 24):
            kinds = list(sides)[turn % 3 :] + list(sides)[: turn % 3]  # none always comes after the one that sends
            found.append({kind: sides[kind].load(seconds=0.5 if quick else 2.0, connections=16) for kind in kinds})
        for kind in RATIOS:
            added = [(one[kind].cpu - one["off"].cpu) * 1e6 for one in found]
            detail = {
                "cpu_us": round(median(one[kind].cpu for one in found) * 1e6),
                "off_cpu_us": round(median(one["off"].cpu for one in found) * 1e6),
                "added_cpu_us": round(median(added)),
                "added_cpu_us_by_round": [round(each) for each in added],
            }
            ratios = [one[kind].rate / one["off"].rate for one in found]
            emit(BENCH, f"1 row, {kind}", median(ratios), 0.75 if kind == "recorded" else 0.98, "traces off", detail)


if __name__ == "__main__":
    main()
