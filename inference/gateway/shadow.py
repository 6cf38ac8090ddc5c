"""A version that is asked what it would have said: beside the requests, once the answer is written, to be counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.gateway.admission import Admission
from inference.gateway.board import Approved, Board, Challenger, KeyTerms, Served
from inference.gateway.entry import Entry
from inference.gateway.forms import Form, decided
from inference.gateway.refused import Refused
from inference.gateway.runner import RunFailed, Runner
from registry.onnx.decision import Output

WAITING_AT_MOST, BYTES_AT_MOST = 32, 32 * 1024**2
RUN_SECONDS = 10.0
FAILED = {"requests": 1, "failed": 1}
log = logging.getLogger("inference.gateway")


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that the champion answered: how it was asked, and what it said."""

    request_id: str
    terms: KeyTerms
    form: Form
    body: bytes
    header: bytes | None
    served: Served
    approved: Approved
    outputs: Sequence[Output]


class Shadow:
    """Counts by rollout and name of a field of inference.rollouts.models.Comparison. `record` puts a row into the
    prediction log, and is called by the event loop.
    """

    def __init__(self, board: Board, admission: Admission) -> None:
        self.board, self.admission = board, admission
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self.lock = threading.Lock()  # the pool's thread counts too
        self.waiting = self.bytes = 0
        self.counts: dict[int, dict[str, int]] = {}
        self.record: Callable[[Entry], None] | None = None

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)

    def taken(self) -> dict[int, dict[str, int]]:
        """What was counted since the last time."""
        with self.lock:
            found, self.counts = self.counts, {}
        return found

    def count(self, rollout: int, found: Mapping[str, int]) -> None:
        counts = self.counts.setdefault(rollout, {})
        for name, number in found.items():
            counts[name] = counts.get(name, 0) + number

    def give(self, answered: Answered) -> None:
        """Called by the event loop when the answer is written. Never raises, and never waits for the model."""
        challenger = answered.served.challenger
        if challenger is None or challenger.share or not self.admission.able(challenger.served):
            return
        approved = challenger.served.approved
        runner = self.board.runners.get(approved.artifact) if approved is not None else None
        if not isinstance(runner, Runner):
            return
        size = len(answered.body)
        with self.lock:
            if self.waiting >= WAITING_AT_MOST or self.bytes + size > BYTES_AT_MOST:
                self.count(challenger.rollout, {"skipped": 1})
                return
            self.waiting += 1
            self.bytes += size
        self.pool.submit(self.compare, answered, challenger, runner, asyncio.get_running_loop())

    def compare(
        self, answered: Answered, challenger: Challenger, runner: Runner, loop: asyncio.AbstractEventLoop
    ) -> None:
        entry = Entry(answered.request_id, time.perf_counter())
        stop = ort.RunOptions()
        late = threading.Timer(RUN_SECONDS, setattr, (stop, "terminate", True))
        late.start()
        try:
            found = compared(answered, challenger, runner, stop, entry)
        except Exception:
            log.exception("what a shadow would have said cannot be compared")
            found = FAILED
        finally:
            late.cancel()
        with self.lock:
            self.waiting -= 1
            self.bytes -= len(answered.body)
            self.count(challenger.rollout, found)
        if self.record is not None and entry.served is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.record, entry)


def compared(answered: Answered, challenger: Challenger, runner: Runner, stop: Any, entry: Entry) -> Mapping[str, int]:
    """Rows by the two decisions; `failed` where the challenger could not answer. `entry` is filled for the log."""
    served, approved = challenger.served, challenger.served.approved
    assert approved is not None
    entry.admitted(answered.terms, served)
    entry.body, entry.approved = answered.body, approved
    try:
        asked = entry.asked = answered.form.read(answered.body, served, answered.header)
        outputs = entry.outputs = runner.run(asked.feed, asked.rows, stop)
        said = decisions(served, approved, outputs)
        was = decisions(answered.served, answered.approved, answered.outputs)
    except (Refused, RunFailed) as error:
        wrong = (error.status, error.code) if isinstance(error, Refused) else (502, "model_failed")
        entry.close(*wrong, None)
        return FAILED
    entry.close(200, "", None)
    if said.shape != was.shape:
        return FAILED
    both, neither = int(np.sum(was & said)), int(np.sum(~was & ~said))
    return {
        "requests": 1, "both": both, "neither": neither, "champion_only": int(np.sum(was)) - both,
        "challenger_only": int(np.sum(said)) - both,
    }  # fmt: skip


def decisions(served: Served, approved: Approved, outputs: Sequence[Output]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.asarray(decided(served, approved, outputs).values, dtype=bool).reshape(-1)
    return found
