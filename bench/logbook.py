"""What a request pays for its row of the prediction log in the fast mode: `python -m bench.logbook [--quick]`.

All that the event loop does for it: the entry, its id, what the level keeps, and the buffer. The thread that writes is
not running; what it does for a row is the second case, without the database.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from bench import emit
from inference.gateway.board import KeyTerms, Served
from inference.gateway.entry import Entry
from inference.gateway.logbook import Logbook
from inference.gateway.tensors import Asked
from inference.predictions.rules import Terms

BODY = b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [0.4, -0.1]}]}'


def nanoseconds(work: Callable[[], object], times: int) -> float:
    """Of one run, the median of nine rounds."""
    rounds = []
    for _ in range(9):
        start = time.perf_counter_ns()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter_ns() - start) / times)
    return statistics.median(rounds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    times = 2_000 if parser.parse_args().quick else 20_000
    key = KeyTerms(1, b"", {}, 600, 0.0)
    for level in ("none", "hashes", "sampled"):
        log = Terms(level)
        served = Served(1, "loans", "1", "production", "x", (), (), "decision", 1, 1, None, "", (), log=log)
        asked = Asked({}, 1, None, None)
        book = Logbook(rows=10**9, size=10**15)

        def request(served: Served = served, asked: Asked = asked, book: Logbook = book) -> None:
            entry = Entry("a1b2c3d4e5-1", time.perf_counter())
            entry.admitted(key, served)
            entry.body, entry.asked, entry.outputs = BODY, asked, []
            entry.close(200, "", BODY)
            book.put(entry)

        took = nanoseconds(request, times)
        written = nanoseconds(book.waiting[-1].values, times // 10)
        detail = {"request_us": round(took / 1000, 2), "writer_us": round(written / 1000, 2), "body_bytes": len(BODY)}
        emit("logbook", f"fast, {level}", detail=detail)


if __name__ == "__main__":
    main()
