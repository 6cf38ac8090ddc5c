"""Real workers, killed and paused: whatever happens, the work is published once."""

import signal
import time

import pytest

from jobs.models import Job
from jobs.services import cancel, enqueue
from ledger.models import Event
from tests.jobs.workers import Workers, children, signal_all, wait_for


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "trace"


@pytest.fixture
def workers(valkey, process_environment, trace):
    environment = {**process_environment, "COUNTED_TRACE": str(trace)}
    workers = Workers(environment, valkey, stale=2, include="tests.jobs.work")
    yield workers
    workers.close()


def counting(cast, steps):
    return enqueue(
        kind="tests.count", inputs={"steps": steps}, team_id=cast.team.pk, subject="Counting", subject_url="",
        by=cast.developer,
    )  # fmt: skip


def state(job, *states):
    return lambda: Job.objects.filter(pk=job.pk, state__in=states).first()


def counted():
    """The attempts that have published."""
    return [event.content["facts"]["attempt"] for event in Event.objects.filter(event="test.counted")]


@pytest.mark.long  # tests/fairness/test_report_jobs.py kills one in mid report
def test_a_killed_worker_is_replaced_and_the_work_stands_once(committing_db, cast, workers):
    first = workers.start()
    job = counting(cast, 60)
    assert job.sent_at is None, "the broker of this process is away, so the reconciler sends it"
    wait_for(state(job, "running"), each=workers.tick)
    orphans = children(first)
    assert orphans
    first.kill()
    first.wait()
    killed = time.monotonic()
    wait_for(lambda: not any(child.is_running() and child.status() != "zombie" for child in orphans), seconds=5)
    workers.start()
    wait_for(lambda: Job.objects.filter(pk=job.pk, attempt=2).exists(), each=workers.tick)
    assert time.monotonic() - killed < 12, "stale after 2 s here instead of 20, a worker's start included"
    done = wait_for(state(job, "succeeded"))
    assert (done.attempt, done.result_url, done.progress) == (2, "/counted/60/", 100)
    assert counted() == [2]


@pytest.mark.long  # as above
def test_a_paused_worker_that_wakes_up_cannot_publish(committing_db, cast, workers, trace):
    first = workers.start()
    job = counting(cast, 40)
    wait_for(lambda: Job.objects.get(pk=job.pk).progress > 10, each=workers.tick)
    signal_all(first, signal.SIGSTOP)
    workers.start()
    done = wait_for(state(job, "succeeded"), each=workers.tick)
    ended = trace.read_text().count("\n") if trace.exists() else 0
    signal_all(first, signal.SIGCONT)
    wait_for(lambda: trace.exists() and trace.read_text().count("\n") > ended)
    assert done.attempt == 2
    assert counted() == [2]


def test_a_running_job_stops_when_cancelled(committing_db, cast, workers):
    workers.start()
    job = counting(cast, 2000)
    wait_for(state(job, "running"), each=workers.tick)
    cancel(by=cast.developer, job=job)
    asked = time.monotonic()
    stopped = wait_for(state(job, "cancelled"), seconds=5)
    assert time.monotonic() - asked < 4
    assert (stopped.error_code, counted()) == ("", [])


def test_a_child_that_has_grown_is_replaced_and_no_other(valkey, workers, trace):
    workers.environment["WORKER_MEMORY_BYTES"] = str(1024**3)
    workers.start()
    sizes = [*[1] * 25, 500 * 1024**2, 1]
    for size in sizes:
        workers.sender.send_task("tests.grow", args=[size])
    lines = wait_for(
        lambda: trace.exists() and len(found := trace.read_text().splitlines()) == len(sizes) and found, seconds=60
    )
    pids = [line.split()[0] for line in lines]
    assert len(set(pids[:-1])) == 1
    assert pids[-1] != pids[0]
