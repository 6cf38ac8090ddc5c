"""How a worker does a job: claim it, give signs of life, do the work, publish, or say why not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from jobs.claims import Cancelled, Claim, Lost
from jobs.models import Job
from jobs.services import beat, claim, fail, stop
from ledger.actors import ORIGIN, Origin
from ledger.refusals import Refusal

log = logging.getLogger(__name__)
T = TypeVar("T")
OUTAGE = (OperationalError, InterfaceError)


class Pulse:
    """Gives signs of life from a thread of its own while the work is under way. Use as a context manager."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.interval = min(1.0, settings.JOB_STALE_SECONDS / 5)
        self._percent, self._phase = 0, "Starting"
        self._lost: type[Lost] | type[Cancelled] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"pulse-{claim.job.pk}", daemon=True)

    @property
    def job(self) -> Job:
        return self.claim.job

    def progress(self, percent: float, phase: str) -> None:
        """Say how far the work is; costs nothing. Raises Lost or Cancelled where it shall stop."""
        self._percent, self._phase = max(0, min(99, int(percent))), phase
        if self._lost:
            raise self._lost

    def _beat(self) -> None:
        try:
            while not self._ended.wait(self.interval):
                try:
                    beat(self.claim, self._percent, self._phase)
                except (Lost, Cancelled) as reason:
                    self._lost = type(reason)
                    if isinstance(reason, Lost):
                        return
                except OUTAGE as error:
                    log.warning("job %s: no sign of life possible: %s", self.job.pk, error)
                    connection.close()
        finally:
            connection.close()

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()


def run(
    job_id: int,
    *,
    compute: Callable[[Pulse], T],
    publish: Callable[[Claim, T], object],
    expected: tuple[type[Exception], ...] = (),
) -> None:
    """Do one job. Safe to call twice, and to kill or pause at any instruction.

    `compute` calls `pulse.progress` now and then. `publish` stores the result and calls `jobs.services.publish` in one
    transaction. `expected` are the domain's own errors, which have a `code` and a `sentence`.
    """
    held = claim(job_id)
    if held is None:
        return
    origin = ORIGIN.set(Origin("job", f"job-{job_id}-{held.attempt}"))
    try:
        with Pulse(held) as pulse:
            result = compute(pulse)
            pulse.progress(99, "Storing the result")
            # The work may have outlived the connection on which it began.
            if not connection.in_atomic_block:
                connection.close()
            publish(held, result)
    except Lost:
        log.info("job %s: attempt %s is no longer the one, its result is dropped", job_id, held.attempt)
    except Cancelled:
        stop(held)
    except OUTAGE as error:
        # The database is away, so nothing can be said there; the reconciler gives the job to another attempt.
        log.warning("job %s: attempt %s lost the database: %s", job_id, held.attempt, error)
        connection.close()
    except Exception as error:
        code, sentence = explain(error, expected)
        if code == "internal_error":
            log.exception("job %s: attempt %s failed", job_id, held.attempt)
        fail(held, code, sentence)
    finally:
        ORIGIN.reset(origin)


def explain(error: Exception, expected: tuple[type[Exception], ...]) -> tuple[str, str]:
    """Code and sentence of a failure. What nobody foresaw is described in the worker's log only."""
    if isinstance(error, (Refusal, *expected)):
        return str(error.code), str(error.sentence)  # type: ignore[attr-defined]
    if isinstance(error, MemoryError):
        limit = settings.WORKER_MEMORY_BYTES / 2**30
        sentence = f"The work needs more than the {limit:.1f} GiB of memory it may use. Try it with fewer rows."
        return "out_of_memory", sentence
    if isinstance(error, SoftTimeLimitExceeded):
        return "took_too_long", "The work was stopped because it took longer than it may. Try it with fewer rows."
    return "internal_error", (
        "Something went wrong on our side. It has been written to the worker's log with the number of this job; retry, "
        "and if it fails again tell your operator that number."
    )
