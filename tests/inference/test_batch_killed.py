"""A million rows with real workers, of a file and of a table: killed at random moments, and stopped by a revocation."""

from __future__ import annotations

import io
import random
import signal
import time

import numpy as np
import pytest

from approvals.services import revoke
from audits.exports import keeping
from inference.batch import services
from inference.models import Batch, BatchExtract
from jobs.models import Job
from jobs.services import retry
from ledger.models import Event
from tests import worlds
from tests.inference.batches import an_approved_endpoint, attempt, expected, result_of
from tests.jobs.workers import Workers, signal_all, wait_for
from tests.registry import sources

pytestmark = pytest.mark.long
ROWS, KILLS = 1_000_000, 5


@pytest.fixture
def workers(valkey, process_environment):
    workers = Workers(process_environment, valkey, stale=3)
    yield workers
    workers.close()


def a_million():
    """Applicants as Parquet, and the same as an array."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = np.random.default_rng(11).normal(size=(ROWS, 2))
    out = io.BytesIO()
    pq.write_table(pa.table({"income": rows[:, 0], "debt": rows[:, 1]}), out, row_group_size=150_000)
    return out.getvalue(), rows


def ask(cast, endpoint, data, filename):
    upload = worlds.an_upload(cast, data, filename, by=cast.model_owner)
    return services.request_batch(by=cast.model_owner, endpoint=endpoint, upload=upload)


def test_five_kills_at_random_leave_the_bytes_of_an_undisturbed_run(committing_db, cast, workers):
    chance, (data, rows) = random.Random(5), a_million()  # noqa: S311
    endpoint = an_approved_endpoint(cast)
    undisturbed = attempt(ask(cast, endpoint, data, "one.parquet"))
    batch = ask(cast, endpoint, data, "other.parquet")
    job, scored = Job.objects.filter(pk=batch.job_id), []

    def there():
        return sum(batch.parts.values_list("rows", flat=True))

    # By rows and not by seconds alone: how long a million takes is the machine's.
    for share in sorted(chance.uniform(0.0, 0.8) for _ in range(KILLS)):
        worker, before = workers.start(), job.get().attempt
        wait_for(lambda before=before: job.get().attempt > before, each=workers.tick, seconds=60)
        wait_for(lambda share=share: there() >= share * ROWS, each=workers.tick, seconds=60)
        until = time.monotonic() + chance.uniform(0.0, 0.2)
        wait_for(lambda until=until: time.monotonic() > until, each=workers.tick)
        assert job.get().state == "running", "killed in mid work"
        signal_all(worker, signal.SIGKILL)
        worker.wait()
        scored.append(there())
    assert scored == sorted(scored)
    assert 0 < scored[-1] < ROWS
    workers.start()

    def ended():
        workers.tick()
        now = job.get()
        if now.error_code == "worker_lost":  # three kills before a single chunk was done
            retry(by=cast.model_owner, job=now)
        return now.finished and now

    assert wait_for(ended, seconds=180).state == "succeeded"
    batch = Batch.objects.with_parts().get(pk=batch.pk)
    assert (batch.rows, batch.digest, batch.complete) == (ROWS, undisturbed.digest, True)
    assert Event.objects.filter(event="batch.scored").count() == 2
    with services.open_batch(by=cast.model_owner, batch=batch) as file:
        found = result_of(file.read())
    assert found["row"] == list(range(1, ROWS + 1))
    assert found["decision"] == expected(rows)[2]


def test_a_revocation_stops_a_worker_at_the_next_chunk(committing_db, cast, workers):
    data, _ = a_million()
    endpoint = an_approved_endpoint(cast)
    batch = ask(cast, endpoint, data, "rows.parquet")
    workers.start()
    wait_for(lambda: batch.parts.count() > 3, each=workers.tick, seconds=60)
    revoke(by=cast.approver, request=endpoint.request, reason="Drift in the field.")
    done = batch.parts.count()
    wait_for(lambda: Job.objects.get(pk=batch.job_id).finished, each=workers.tick, seconds=30)
    batch = Batch.objects.with_parts().get(pk=batch.pk)
    assert batch.state == "stopped"
    # The chunk at which it was may still have been scored, and one whose question was on its way.
    assert done * batch.chunk_rows <= batch.rows <= (done + 2) * batch.chunk_rows
    facts = Event.objects.get(event="batch.stopped").content["facts"]
    assert (facts["rows"], facts["sha256"], facts["code"]) == (batch.rows, batch.digest, "not_approved")
    with services.open_batch(by=cast.model_owner, batch=batch) as file:
        assert result_of(file.read())["row"] == list(range(1, batch.rows + 1))


def a_large_table():
    """A million applicants in a database elsewhere."""
    name = f"{sources.schema()}.large"
    sources.administer(
        f"CREATE TABLE {name} AS SELECT n AS id, n % 2 AS approved, 'a' AS \"group\", sin(n) AS income, cos(n) AS debt "  # noqa: S608
        f"FROM generate_series(1, {ROWS}) AS n",
        f"GRANT SELECT ON {name} TO {sources.READER}",
    )
    return name


def test_kills_while_a_table_is_read_and_scored_leave_the_bytes_of_an_undisturbed_run(committing_db, cast, workers):
    endpoint = an_approved_endpoint(cast)
    dataset = sources.a_connected_dataset(cast, sources.a_connection(cast, table=a_large_table()))

    def ask_for():
        return services.request_batch(by=cast.model_owner, endpoint=endpoint, dataset=dataset, keys=["id"])

    undisturbed, batch = attempt(ask_for()), ask_for()
    job, aside = Job.objects.filter(pk=batch.job_id), keeping.place_aside()
    for phase, reading in (("Read ", True), ("Read ", True), ("Scored ", False)):
        worker, before = workers.start(), job.get().attempt

        def there(phase=phase, before=before):
            now = job.get()
            return now.attempt > before and now.phase.startswith(phase)

        wait_for(there, each=workers.tick, seconds=120)
        signal_all(worker, signal.SIGKILL)
        worker.wait()
        assert BatchExtract.objects.filter(batch=batch).exists() is not reading
        assert len(list(aside.glob(f"batch-{batch.pk}-*"))) == reading, "of each attempt only the last is left"
        sources.administer(f"UPDATE {dataset.connection.table} SET debt = -debt WHERE id = 1")  # noqa: S608
    # The table is another one now than when it was read, and nobody reads it again.
    workers.start()
    wait_for(lambda: job.get().finished, each=workers.tick, seconds=180)
    batch = Batch.objects.with_parts().get(pk=batch.pk)
    assert (batch.state, batch.rows, batch.digest) == ("succeeded", ROWS, undisturbed.digest)
    assert (batch.extract.rows_hash, batch.extract.file) == (undisturbed.extract.rows_hash, "")
    with services.open_batch(by=cast.model_owner, batch=batch) as file:
        found = result_of(file.read())
    assert found["row"] == found["id"] == list(range(1, ROWS + 1))
