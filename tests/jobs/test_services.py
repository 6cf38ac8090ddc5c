"""The rules of claiming, fencing, cancelling, retrying and reconciling, on the database."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from jobs.claims import Cancelled, Lost
from jobs.models import Job
from jobs.services import advanced, beat, cancel, claim, enqueue, fail, publish, reconcile, retry
from ledger.models import Event
from ledger.refusals import Denied, Refusal

pytestmark = pytest.mark.django_db


def ask(cast, by=None, **inputs):
    return enqueue(
        kind="tests.count", inputs={"steps": 3, **inputs}, team_id=cast.team.pk, subject="Counting", subject_url="",
        by=by or cast.developer,
    )  # fmt: skip


def silence(job, seconds=60):
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - timedelta(seconds=seconds))


def again(job):
    return Job.objects.get(pk=job.pk)


def test_the_same_inputs_are_one_job_while_it_is_good(cast):
    first = ask(cast)
    assert ask(cast, by=cast.validator) == first
    assert ask(cast, steps=4) != first
    held = claim(first.pk)
    assert ask(cast) == first
    fail(held, "no_rows", "There are no rows.")
    assert ask(cast) != first


def test_a_job_is_claimed_once(cast):
    job = ask(cast)
    held = claim(job.pk)
    assert (held.attempt, held.job.state) == (1, "running")
    assert claim(job.pk) is None
    assert claim(0) is None


def test_only_the_attempt_of_the_row_may_write(cast):
    job = ask(cast)
    old = claim(job.pk)
    silence(job)
    assert reconcile()["taken_back"] == 1
    with pytest.raises(Lost):
        beat(old, 50, "Half")
    with pytest.raises(Lost), transaction.atomic():
        publish(old, result_url="/x/")
    new = claim(job.pk)
    assert new.attempt == 2
    with pytest.raises(Lost), transaction.atomic():
        publish(old, result_url="/x/")
    assert not fail(old, "late", "Too late.")
    with transaction.atomic():
        publish(new, result_url="/y/")
    assert (again(job).state, again(job).result_url) == ("succeeded", "/y/")


def test_a_result_is_not_published_against_a_cancellation(cast):
    job = ask(cast)
    held = claim(job.pk)
    beat(held, 10, "Reading")
    cancel(by=cast.developer, job=job, reason="wrong data")
    assert again(job).shown_state == "stopping"
    with pytest.raises(Cancelled):
        beat(held, 20, "Reading")
    with pytest.raises(Cancelled), transaction.atomic():
        publish(held, result_url="/x/")
    event = Event.objects.about(job).first()
    assert (event.event, event.content["facts"]["from"]) == ("job.cancelled", "running")
    assert "reason" in event.content["disclosures"]


def test_a_queued_job_is_cancelled_at_once_and_can_be_tried_again(cast):
    job = ask(cast)
    assert cancel(by=cast.developer, job=job).state == "cancelled"
    assert claim(job.pk) is None
    with pytest.raises(Refusal, match="nothing left to cancel"):
        cancel(by=cast.developer, job=job)
    assert retry(by=cast.developer, job=job).state == "queued"
    assert not again(job).cancel_requested
    with pytest.raises(Refusal, match="this one is queued"):
        retry(by=cast.developer, job=job)
    assert claim(job.pk).attempt == 1


def test_a_job_is_not_tried_again_beside_one_that_does_the_same(cast):
    job = ask(cast)
    fail(claim(job.pk), "no_rows", "There are no rows.")
    other = ask(cast)
    with pytest.raises(Refusal, match=f"Job {other.pk} does the same work and is under way") as refused:
        retry(by=cast.developer, job=job)
    assert refused.value.code == "job_repeated"


def test_cancelling_needs_the_permission_for_the_team(cast):
    job = ask(cast)
    for stranger in (cast.outsider, cast.auditor, cast.ci_bot):
        with pytest.raises(Denied):
            cancel(by=stranger, job=job)
        with pytest.raises(Denied):
            retry(by=stranger, job=job)
    assert again(job).state == "queued"


def test_after_three_silent_workers_a_job_fails_with_a_sentence(cast):
    job = ask(cast)
    for _ in range(3):
        claim(job.pk)
        silence(job)
        reconcile()
    failed = again(job)
    assert (failed.state, failed.error_code, failed.attempt) == ("failed", "worker_lost", 3)
    assert "3 times" in failed.error_sentence
    retry(by=cast.developer, job=job)
    assert claim(job.pk).attempt == 4, "the fence goes on where it was"
    silence(job)
    assert reconcile()["taken_back"] == 1


def test_a_job_that_stores_parts_of_its_work_is_not_given_up_for_what_came_before(cast):
    job = ask(cast)
    late = claim(job.pk)
    for _ in range(5):
        silence(job)
        reconcile()
        held = claim(job.pk)
        advanced(held)
    with pytest.raises(Lost):
        advanced(late)
    assert fail(held, "stopped", "Stopped in mid work.", result_url="/batches/1/")
    assert (again(job).attempt, again(job).result_url) == (6, "/batches/1/")
    assert retry(by=cast.developer, job=job).result_url == ""


def test_the_reconciler_leaves_the_living_alone_and_ends_what_was_cancelled(cast):
    living, silent = ask(cast, steps=1), ask(cast, steps=2)
    claim(living.pk)
    claim(silent.pk)
    cancel(by=cast.developer, job=silent)
    silence(silent)
    assert reconcile() == {"taken_back": 0, "given_up": 0, "cancelled": 1, "sent": 0}
    assert (again(living).state, again(silent).state) == ("running", "cancelled")
