"""Every write to a Job row: by those who ask, by the worker that holds a claim, and by the reconciler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from jobs.broker import hand_over
from jobs.claims import Cancelled, Claim, Lost
from jobs.models import Job, JobQuerySet
from ledger.actors import Actor
from ledger.canonical import digest_of
from ledger.door import Done, governed, mechanical
from ledger.refusals import Refusal

MAX_TRIES = 3
# A queued job that no worker has taken after this long is sent again; taking one twice is harmless.
RESEND_AFTER = timedelta(seconds=15)
# The oldest ones first, a few at a time: behind a long job the broker's queue must not fill with repetitions.
RESEND_AT_MOST = 20
LIVE = (Job.State.QUEUED, Job.State.RUNNING, Job.State.SUCCEEDED)


def enqueue(
    *, kind: str, inputs: Mapping[str, Any], team_id: int | None, subject: str, subject_url: str, by: Actor,
    only_for: Sequence[str] | None = None,
) -> Job:  # fmt: skip
    """The job for these inputs: the one that is there, or a new one that is sent when the transaction commits.

    For use within a governed act. `kind` is the name of a Celery task that takes the job's primary key.
    `only_for` are the opaque ids of those it is shown to, where that is not for roles to say.
    """
    digest = digest_of(inputs)
    same = Job.objects.filter(kind=kind, inputs_digest=digest, team_id=team_id, state__in=LIVE)
    if job := same.first():
        return job
    try:
        with transaction.atomic():
            job = Job.objects.create(
                kind=kind, inputs=inputs, inputs_digest=digest, team_id=team_id, subject=subject[:200],
                subject_url=subject_url, asked_by=by.identity.id,
                asked_by_name=by.identity.discloses.get("name", by.identity.id),
                only_for=None if only_for is None else list(only_for),
            )  # fmt: skip
    except IntegrityError:
        return same.get()
    send_on_commit(job)
    return job


def show_to(job_id: int, people: Sequence[str] | None, result_url: str | None = None) -> None:
    """Whom a job is shown to from now on, None for all whose role lets them. The change beneath an act."""
    changes: dict[str, Any] = {"only_for": None if people is None else list(people)}
    if result_url is not None:
        changes["result_url"] = result_url
    Job.objects.filter(pk=job_id).update(**changes)


def send_on_commit(job: Job) -> None:
    transaction.on_commit(partial(send, job.pk, job.kind), robust=True)


@mechanical("hands a job to the broker; the act that asked for it has its own event")
def send(job_id: int, kind: str) -> bool:
    """Whether the broker took it. If it did not, the reconciler sends the job when the broker is back."""
    if not hand_over(kind, job_id):
        return False
    Job.objects.filter(pk=job_id).update(sent_at=Now())
    return True


@governed(permission="jobs.cancel_job", event="job.cancelled", on="job")
def cancel(*, by: Actor, job: Job, reason: str = "") -> Done[Job]:
    """A queued job ends now; a running one at its next step. Raises Refusal `job_finished`."""
    if job.finished:
        raise Refusal("job_finished", f"This job has ended already: it {job.state}. There is nothing left to cancel.")
    before = job.state
    if job.state == Job.State.QUEUED:
        end(Job.objects.filter(pk=job.pk), Job.State.CANCELLED)
    Job.objects.filter(pk=job.pk).update(cancel_requested=True)
    job.refresh_from_db()
    return Done(job, facts={"kind": job.kind, "from": before}, discloses={"reason": reason})


@governed(permission="jobs.cancel_job", event="job.retried", on="job")
def retry(*, by: Actor, job: Job) -> Done[Job]:
    """Raises Refusal `job_not_ended` or `job_repeated` (the same work is under way or done under another number)."""
    if not job.may_be_retried:
        sentence = f"Only a job that failed or was cancelled can be tried again; this one is {job.state}."
        raise Refusal("job_not_ended", sentence)
    same = Job.objects.filter(kind=job.kind, inputs_digest=job.inputs_digest, team_id=job.team_id, state__in=LIVE)
    before = job.state
    try:
        with transaction.atomic():
            Job.objects.filter(pk=job.pk).update(
                state=Job.State.QUEUED, tries=0, progress=0, phase="", cancel_requested=False, error_code="",
                error_sentence="", result_url="", sent_at=None, started_at=None, heartbeat_at=None, finished_at=None,
            )  # fmt: skip
    except IntegrityError as error:
        other = same.get()
        how = "is done" if other.finished else "is under way"
        raise Refusal("job_repeated", f"Job {other.pk} does the same work and {how}. Look there.") from error
    job.refresh_from_db()
    send_on_commit(job)
    return Done(job, facts={"kind": job.kind, "from": before})


@mechanical("a worker takes a queued job; what it publishes has its own event")
def claim(job_id: int) -> Claim | None:
    """Take a queued job under a new attempt, or None where it is taken, ended or gone."""
    with transaction.atomic():
        job = Job.objects.select_for_update(no_key=True).filter(pk=job_id, state=Job.State.QUEUED).first()
        if job is None:
            return None
        Job.objects.filter(pk=job_id).update(
            state=Job.State.RUNNING, attempt=F("attempt") + 1, tries=F("tries") + 1, progress=0, phase="Starting",
            started_at=Now(), heartbeat_at=Now(),
        )  # fmt: skip
        job.refresh_from_db()
        return Claim(job, job.attempt)


def mine(claim: Claim) -> JobQuerySet:
    """The claim's row, or nothing once another attempt or an end has come between."""
    return Job.objects.filter(pk=claim.job.pk, attempt=claim.attempt, state=Job.State.RUNNING)


@mechanical("a sign of life and how far the work is")
def beat(claim: Claim, percent: int, phase: str) -> None:
    """Raises Lost or Cancelled, so that the worker stops."""
    if not mine(claim).update(heartbeat_at=Now(), progress=percent, phase=phase[:120]):
        raise Lost
    if mine(claim).filter(cancel_requested=True).exists():
        raise Cancelled


def publish(claim: Claim, *, result_url: str) -> None:
    """End the job well, within the transaction that stores its result: both happen, or neither.

    Raises Lost where the job is no longer this worker's, Cancelled where somebody asked for it to stop; neither is a
    Refusal, for a worker that was given up on is machinery, not an actor that was told no.
    """
    assert connection.in_atomic_block, "a result and the end of its job share one transaction"
    if not end(mine(claim).filter(cancel_requested=False), Job.State.SUCCEEDED, progress=100, result_url=result_url):
        raise Cancelled if mine(claim).exists() else Lost


@mechanical("part of the work is stored for good, so that the attempts so far were not in vain")
def advanced(claim: Claim) -> None:
    """For use in the transaction that stores the part. Attempts are counted anew, so that long work which goes on from
    there is not given up for workers that came and went. Raises Lost.
    """
    if not mine(claim).update(tries=1):
        raise Lost


@mechanical("a worker says why its job failed; what it may have left is told of by an event of its own")
def fail(claim: Claim, code: str, sentence: str, result_url: str = "") -> bool:
    """`result_url` is where to read what was done until then, where that is kept."""
    told = {"error_code": code[:40], "error_sentence": sentence, "result_url": result_url}
    return bool(end(mine(claim), Job.State.FAILED, **told))


@mechanical("a worker obeys a cancellation, which has its own event")
def stop(claim: Claim) -> bool:
    return bool(end(mine(claim), Job.State.CANCELLED))


def end(jobs: JobQuerySet, state: Job.State, **changes: Any) -> int:
    return jobs.update(state=state, phase="", finished_at=Now(), **changes)


@mechanical("takes jobs from workers that no longer answer, and sends what the broker has lost")
def reconcile() -> dict[str, int]:
    """How many jobs were taken back, given up, ended as cancelled, and sent."""
    silent = Now() - timedelta(seconds=settings.JOB_STALE_SECONDS)
    stale = Job.objects.filter(state=Job.State.RUNNING, heartbeat_at__lt=silent)
    cancelled = end(stale.filter(cancel_requested=True), Job.State.CANCELLED)
    given_up = end(
        stale.filter(tries__gte=MAX_TRIES), Job.State.FAILED, error_code="worker_lost",
        error_sentence=f"The worker ended without a word {MAX_TRIES} times while doing this, perhaps for lack of "
        "memory. Try it with less data, or ask the operator to look at the worker's log, then try again.",
    )  # fmt: skip
    taken_back = stale.update(state=Job.State.QUEUED, sent_at=None, progress=0, phase="Waiting for another worker")
    waiting = Job.objects.filter(Q(sent_at=None) | Q(sent_at__lt=Now() - RESEND_AFTER), state=Job.State.QUEUED)
    sent = 0
    for job_id, kind in waiting.order_by("pk").values_list("pk", "kind")[:RESEND_AT_MOST]:
        if not send(job_id, kind):
            break
        sent += 1
    return {"taken_back": taken_back, "given_up": given_up, "cancelled": cancelled, "sent": sent}
