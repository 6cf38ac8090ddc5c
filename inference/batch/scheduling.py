"""Batches that run again and again: said once by a person, each run asked for on their behalf, with their rights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied

from accounts.models import User
from inference.batch import cron
from inference.batch.checking import check_dataset, check_keys
from inference.batch.models import Batch, BatchSchedule
from inference.batch.services import CHUNK_ROWS, PERMISSION, requested
from inference.models import Endpoint
from ledger.actors import Actor, Identity
from ledger.canonical import timestamp
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Dataset

log = logging.getLogger(__name__)
MOST_SCHEDULES = 20


@governed(permission=PERMISSION, event="batch_schedule.added", on="endpoint")
def add_schedule(
    *, by: Actor, endpoint: Endpoint, dataset: Dataset, cron: str, keys: Sequence[str] = ()
) -> Done[BatchSchedule]:  # fmt: skip
    """Have whatever version is bound then score a dataset at these times. The gate is asked at each run.

    Raises Refusal `schedule_invalid`, `too_many_schedules`, and those of a dataset as for a batch.
    """
    assert isinstance(by, User)
    plain = " ".join(cron.split())
    times = parsed(plain)
    check_dataset(by, endpoint, endpoint.version, dataset)
    check_keys(dataset, keys)
    if endpoint.batch_schedules.filter(ended_at=None).count() >= MOST_SCHEDULES:
        sentence = f"An endpoint has {MOST_SCHEDULES} schedules at most. End one that is not needed."
        raise Refusal("too_many_schedules", sentence)
    schedule = BatchSchedule.objects.create(
        endpoint=endpoint, dataset=dataset, keys=list(keys), cron=plain, created_by=by,
        next_at=times.after(database_time()),
    )  # fmt: skip
    facts = {
        "endpoint": endpoint.name, "schedule": str(schedule.pk), "dataset": str(dataset.pk),
        "artifact": dataset.artifact.digest, "cron": plain, "next": timestamp(schedule.next_at),
        **({} if dataset.rows_here else {"connection": str(dataset.connection_id), "keys": schedule.keys}),
    }  # fmt: skip
    return Done(schedule, on=schedule, facts=facts)


def parsed(text: str) -> cron.Cron:
    """Raises Refusal `schedule_invalid`."""
    try:
        times = cron.parsed(text)
        times.after(database_time())
    except cron.NotCron as fault:
        raise Refusal("schedule_invalid", str(fault), "cron") from None
    if len(times.minutes) > 1:
        sentence = "A batch runs at most once an hour: give one minute, such as 0."
        raise Refusal("schedule_invalid", sentence, "cron")
    return times


@governed(permission=PERMISSION, event="batch_schedule.ended", on="schedule")
def end_schedule(*, by: Actor, schedule: BatchSchedule) -> Done[BatchSchedule]:
    """No further runs; one that is under way goes on. Raises Refusal `schedule_ended`."""
    if schedule.ended_at is not None:
        raise Refusal("schedule_ended", "This schedule has ended already.")
    schedule.ended_at, schedule.ended_by = database_time(), by if isinstance(by, User) else None
    schedule.save(update_fields=["ended_at", "ended_by"])
    return Done(schedule, facts={"endpoint": schedule.endpoint.name, "cron": schedule.cron})


@dataclass(frozen=True)
class OnBehalf:
    """The scheduler, for the person who said so: it may do what they still may."""

    account: User
    identity = Identity("system", "scheduler")

    @property
    def on_behalf_of(self) -> Identity:
        return self.account.identity

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        return perm == PERMISSION and self.account.has_perm(perm, obj)


@governed(permission=PERMISSION, event="batch.requested", on="schedule")
def run_schedule(*, by: OnBehalf, schedule: BatchSchedule) -> Done[Batch]:
    """Ask for the run that is due, and set the time of the next. Raises Refusal `not_due`, or as for a batch."""
    now = database_time()
    if schedule.ended_at is not None or schedule.next_at > now:
        raise Refusal("not_due", "This run was asked for already, or the schedule has ended.")
    done = requested(by, by.account, schedule.endpoint, schedule.dataset, None, CHUNK_ROWS, schedule.keys, schedule)
    schedule.next_at = parsed(schedule.cron).after(now)
    schedule.save(update_fields=["next_at"])
    return done


@mechanical("goes on to a schedule's next time; that this run was refused is an event")
def pass_over(schedule: BatchSchedule) -> None:
    later = parsed(schedule.cron).after(database_time())
    BatchSchedule.objects.filter(pk=schedule.pk, next_at=schedule.next_at).update(next_at=later)


def run_due() -> dict[str, int]:
    """Ask for all runs that are due. Safe to run twice, and to kill anywhere: one due time is one run.

    Times that passed while nothing ran are made up for once.
    """
    count = {"requested": 0, "refused": 0}
    for schedule in BatchSchedule.objects.due().with_parts().order_by("pk"):
        try:
            run_schedule(by=OnBehalf(schedule.created_by), schedule=schedule)
            count["requested"] += 1
        except (Refusal, PermissionDenied) as refusal:
            log.warning("batch schedule %s: %s", schedule.pk, refusal)
            pass_over(schedule)
            count["refused"] += 1
    return count
