"""A worker's way through a job, on a database that is really committed to."""

from django.db import OperationalError, transaction

from jobs import running
from jobs.claims import Cancelled, Lost
from jobs.models import Job
from jobs.services import cancel, enqueue, publish
from ledger.refusals import Refusal


def ask(cast, **inputs):
    return enqueue(
        kind="tests.count", inputs=inputs, team_id=cast.team.pk, subject="Counting", subject_url="", by=cast.developer
    )


def run(job, compute=lambda pulse: 1, expected=()):
    def store(held, result):
        with transaction.atomic():
            publish(held, result_url=f"/{result}/")

    running.run(job.pk, compute=compute, publish=store, expected=expected)
    return Job.objects.get(pk=job.pk)


class NoCounting(Exception):
    code, sentence = "no_counting", "Column “x” cannot be counted. Choose another."


def raises(error):
    def compute(pulse):
        raise error

    return compute


def test_what_a_worker_runs_ends_in_a_result_or_in_a_sentence(committing_db, cast, caplog):
    assert run(ask(cast)).result_url == "/1/"
    assert run(ask(cast, steps=1), raises(Cancelled())).state == "cancelled"
    assert run(ask(cast, steps=2), raises(Lost())).state == "running"
    away = run(ask(cast, steps=4), raises(OperationalError("server closed the connection")))
    assert away.state == "running", "a job is not failed because the database was away"
    told = {
        "no_counting": NoCounting(),
        "gone": Refusal("gone", "This no longer exists."),
        "out_of_memory": MemoryError(),
        "internal_error": ZeroDivisionError("secret detail"),
    }
    caplog.clear()
    for steps, (code, error) in enumerate(told.items(), 10):
        failed = run(ask(cast, steps=steps), raises(error), expected=(NoCounting,))
        assert (failed.state, failed.error_code) == ("failed", code)
        assert failed.error_sentence.endswith((".", "number."))
        assert "secret" not in failed.error_sentence
    assert "secret detail" in caplog.text, "the traceback is in the log"
    assert NoCounting.sentence not in caplog.text


def test_a_worker_says_how_far_it_is_and_hears_that_it_is_cancelled(committing_db, cast, settings):
    settings.JOB_STALE_SECONDS = 1
    job = ask(cast)
    seen = []

    def compute(pulse):
        for number in range(2000):
            pulse.progress(number, f"Row {number}")
            if not seen and Job.objects.get(pk=job.pk).phase.startswith("Row"):
                seen.append(Job.objects.get(pk=job.pk).phase)
                cancel(by=cast.developer, job=job)
            pulse._ended.wait(0.01)

    assert run(job, compute).state == "cancelled"
    assert seen
