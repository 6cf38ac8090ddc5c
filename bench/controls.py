"""What each of the gateway's controls costs a request: `python -m bench.controls [--quick]`.

The functions that a request for one row goes through, one by one, on a board that the lease has filled from a real
database, in this process. What event loop, HTTP parser and sockets cost is not in it: `bench.gateway` asks a server.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import emit
from bench.gateway import approved_endpoint, body, database
from bench.logbook import nanoseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    times = 500 if parser.parse_args().quick else 5_000
    with tempfile.TemporaryDirectory(prefix="cst-bench-") as folder, database(Path(folder)):
        name, secret = approved_endpoint(Path(folder))
        costs = {what: nanoseconds(work, times) / 1000 for what, work in parts(name, secret).items()}
    detail = {what: round(cost, 2) for what, cost in costs.items()} | {"unit": "µs of one request"}
    emit("controls", "1 row, each part by itself", detail=detail)


def parts(name: str, secret: str) -> dict[str, Callable[[], object]]:
    """In the order in which a request goes through them."""
    from django.conf import settings

    from inference.gateway.app import Application, Gateway, headers_of
    from inference.gateway.entry import Entry
    from inference.gateway.forms import TENSORS, decided
    from inference.gateway.limits import Held
    from inference.gateway.runner import Runner
    from inference.gateway.untraced import OFF

    application = Application()
    application.lease.renew()
    application.lease.loader.submit(lambda: None).result()
    gateway, board = Gateway(application.board, settings.KEY_PEPPER), application.board
    admission, snapshot = gateway.admission, application.board.snapshot
    assert snapshot is not None
    content = body(1)
    given = [
        (b"host", b"localhost"), (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()), (b"authorization", f"Bearer {secret}".encode()),
    ]  # fmt: skip
    headers = headers_of(given, ("127.0.0.1", 4711))
    terms, served = admission.admit(headers, name, None, "infer")
    assert served.approved is not None
    runner, approved = board.runners[served.approved.artifact], served.approved
    assert isinstance(runner, Runner)
    held = admission.limits.held[terms.pk] = Held(terms, left=10**9)
    held.idle = False
    asked = TENSORS.read(content, served, None)
    outputs = runner.run(asked.feed, asked.rows)
    answer = TENSORS.write(served, approved, asked, outputs, "a-request")
    gateway.logbook.rows = gateway.logbook.size = 10**12

    def logged() -> None:
        entry = Entry("a-request", time.perf_counter())
        entry.admitted(terms, served)
        entry.body, entry.asked, entry.outputs, entry.approved = content, asked, outputs, approved
        entry.close(200, "", answer.body)
        gateway.logbook.put(entry)

    def gate() -> None:
        admission.snapshot()
        admission.approved(served)

    return {
        "headers": lambda: headers_of(given, ("127.0.0.1", 4711)),
        "key": lambda: admission.key(snapshot, headers),
        "key, endpoint, scope, version": lambda: admission.admit(headers, name, None, "infer"),
        "rate and quota, from stock": lambda: admission.limits.take(terms),
        "lease and gate": gate,
        "tensors": lambda: TENSORS.read(content, served, None),
        "model": lambda: runner.run(asked.feed, asked.rows),
        "signed decision rule": lambda: decided(served, approved, outputs),
        "answer, with the decision": lambda: TENSORS.write(served, approved, asked, outputs, "a-request"),
        "prediction log (hashes, fast)": logged,
        "counts": lambda: gateway.counter.count((served.pk, terms.pk, approved.artifact, ""), 1, 1, 300),
        "traces, turned off": lambda: OFF.part("run"),
    }


if __name__ == "__main__":
    main()
