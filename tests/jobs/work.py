"""Tasks for real workers in tests: one counts, publishes one event and leaves a trace when it ends; one only grows."""

import os
import time
from pathlib import Path

from celery import shared_task
from django.db import transaction

from jobs.running import Pulse, run
from jobs.services import publish
from ledger.actors import SystemActor
from ledger.events import append

STEP = 0.05


@shared_task(name="tests.count")  # type: ignore[untyped-decorator]
def count(job_id: int) -> None:
    def compute(pulse: Pulse) -> int:
        inputs = pulse.job.inputs
        for number in range(inputs["steps"]):
            pulse.progress(100 * number / inputs["steps"], f"Counted to {number}")
            time.sleep(STEP)
        steps: int = inputs["steps"]
        return steps

    def store(claim, steps):
        with transaction.atomic(durable=True):
            publish(claim, result_url=f"/counted/{steps}/")
            append("test.counted", by=SystemActor("worker"), on=None, team=None, facts={"attempt": claim.attempt})

    run(job_id, compute=compute, publish=store)
    with Path(os.environ["COUNTED_TRACE"]).open("a") as trace:
        trace.write(f"{job_id}\n")


@shared_task(name="tests.grow")  # type: ignore[untyped-decorator]
def grow(size: int) -> None:
    """Write down which process this is, and that it used so many bytes."""
    used = b"x" * size
    with Path(os.environ["COUNTED_TRACE"]).open("a") as trace:
        trace.write(f"{os.getpid()} {len(used)}\n")
