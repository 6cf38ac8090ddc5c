"""Batches of a table elsewhere: read once, in one snapshot, by who may open its rows; then scored like a file."""

from __future__ import annotations

import csv
import io
import threading
import time
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from approvals.services import revoke
from audits.exports import keeping
from fairness.problems import DataProblem
from inference.batch import services, tasks
from inference.batch.extracts import forget_extract
from inference.batch.problems import BatchProblem
from inference.models import Batch, BatchExtract, BatchSchedule
from jobs.claims import Cancelled, Lost
from jobs.models import Job
from jobs.services import claim
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.connecting.services import check
from registry.models import DataDeletion
from registry.processing.services import record_processing
from tests import worlds
from tests.inference.batches import an_approved_endpoint, attempt, expected, result_of, stored
from tests.inference.test_batch import Killed, facts_of, given_back, loans
from tests.registry import sources
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db
RECORDED = {"basis": "6.1.f", "condition": "9.2.g", "keep_days": 30, "note": "The archive's schedule."}


def numbered(rows=None):
    """The usual loans, or these incomes and debts, from the last to the first, each with its number as `id`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "approved", "group", "income", "debt"])
    for number, (income, debt) in sorted(enumerate(rows or loans(), 1), reverse=True):
        writer.writerow([number, number % 2, "ab"[number % 2], income, debt])
    return out.getvalue().encode()


def a_table(rows=None, **types):
    return sources.a_table(numbered(rows), {**sources.TYPES, "id": "bigint", **types})


def a_dataset(cast, table=None, roles=None, **where):
    given = where or {"table": table or a_table()}
    connection = sources.a_connection(cast, **given)
    return sources.a_connected_dataset(cast, connection, roles=roles or sources.ROLES)


def ask(cast, endpoint, dataset, **how):
    given = {"by": cast.model_owner, "chunk_rows": 50, "keys": ["id"], **how}
    return services.request_batch(endpoint=endpoint, dataset=dataset, **given)


def at_phase(wanted, act):
    def at(percent, phase):
        # While the database works another thread repeats what was said last.
        if phase == wanted and threading.current_thread() is threading.main_thread():
            act()

    return at


def dying():
    raise Killed


def test_a_table_is_read_once_and_scored_like_the_same_rows_in_a_file(cast, api, signed_in):
    endpoint, dataset, client = an_approved_endpoint(cast), a_dataset(cast), api(cast.model_owner)
    path, before = f"/api/v1/endpoints/{endpoint.pk}/batches/", stored()
    sent = {"dataset": dataset.pk, "chunk_rows": 60, "keys": ["id"]}
    made = client.post(path, sent, content_type="application/json")
    assert (made.status_code, made.json()["extract"], made.json()["keys"]) == (202, None, ["id"])
    assert client.post(path, sent, content_type="application/json").json()["id"] == made.json()["id"], "asked twice"
    batch, told = Batch.objects.get(), []
    assert "not yet" in text_of(signed_in(cast.model_owner).get(f"/batches/{batch.pk}/"))
    batch = attempt(batch, lambda percent, phase: told.append((percent, phase)))
    assert [phase for _, phase in told if "200 rows" in phase] == ["Read 200 rows", "Scored 200 rows"]
    assert [percent for percent, _ in told if percent > 1] == sorted(percent for percent, _ in told if percent > 1)
    seen = client.get(made["Location"]).json()
    assert (seen["state"], seen["rows"], seen["complete"]) == ("succeeded", 200, True)
    data = b"".join(client.get(seen["content_url"]).streaming_content)
    found, (labels, scores, decisions) = result_of(data), expected(loans())
    assert list(found) == ["row", "id", "label", "probabilities.0", "probabilities.1", "decision"]
    assert found["row"] == found["id"] == list(range(1, 201)), "in the order of the keys, not of the table"
    assert (found["label"], found["decision"]) == (labels, decisions)
    assert found["probabilities.1"] == pytest.approx(scores, abs=1e-7)
    read, scored, extract = facts_of("batch.rows_fetched"), facts_of("batch.scored"), seen["extract"]
    assert (read["connection"], read["keys"]) == (str(dataset.connection_id), ["id"])
    assert read["read"] == scored["read"]
    assert extract["rows_hash"] == scored["read"]["rows_hash"] == dataset.connection.rows_hash
    assert (extract["rows"], extract["digest"]) == (200, scored["read"]["sha256"])
    assert scored["source"]["connection"] == str(dataset.connection_id)
    assert batch.extract.file == "", "what was read is here until the batch has ended"
    assert stored() - before == {batch.file}
    page = text_of(signed_in(cast.model_owner).get(f"/batches/{batch.pk}/"))
    assert f"{dataset.connection.table} in {dataset.connection.place} , 200 rows as of" in page
    assert sources.PASSWORD not in page


def test_each_batch_reads_anew_and_equal_rows_give_equal_bytes(cast):
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast)
    one = attempt(ask(cast, endpoint, dataset))
    same = attempt(ask(cast, endpoint, dataset))
    table = dataset.connection.table
    sources.administer(f"DELETE FROM {table} WHERE id > 120", f"UPDATE {table} SET income = 9 WHERE id = 1")  # noqa: S608
    changed = attempt(ask(cast, endpoint, dataset))
    assert len({one.pk, same.pk, changed.pk}) == 3
    assert (same.digest, same.extract.digest) == (one.digest, one.extract.digest)
    assert (changed.rows, changed.extract.rows) == (120, 120)
    assert changed.extract.rows_hash == check(by=cast.developer, connection=dataset.connection).rows_hash
    assert changed.extract.rows_hash != one.extract.rows_hash


def test_a_kill_while_reading_starts_again_and_leaves_nothing_half_written(cast):
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast)
    undisturbed = attempt(ask(cast, endpoint, dataset))
    batch, before = ask(cast, endpoint, dataset), stored()
    with pytest.raises(Killed):
        attempt(batch, at_phase("Read 200 rows", dying))
    assert (stored(), BatchExtract.objects.filter(batch=batch).exists()) == (before, False)
    # Killed with -9, it leaves what it had written; the next attempt clears that away, and nothing of another batch.
    aside = storage.local_root() / keeping.FOLDER / keeping.ASIDE
    for name in (f"batch-{batch.pk}-x", f"batch-{batch.pk}1-x"):
        (aside / name).mkdir()
        (aside / name / "rows").write_bytes(b"PAR1")
    given_back(batch)
    with pytest.raises(Killed):
        attempt(batch, at_phase("Scored 100 rows", dying))
    assert not (aside / f"batch-{batch.pk}-x").exists()
    assert (aside / f"batch-{batch.pk}1-x").exists()
    # From now on the table is of no interest.
    sources.administer(f"DELETE FROM {dataset.connection.table} WHERE id > 100")  # noqa: S608
    given_back(batch)
    done = attempt(batch)
    assert (done.rows, done.digest, done.job.attempt) == (200, undisturbed.digest, 3)
    assert Event.objects.filter(event="batch.rows_fetched").count() == 2


def test_damaged_rows_are_read_again_with_all_that_was_made_of_them(cast):
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast)
    batch = ask(cast, endpoint, dataset)
    with pytest.raises(Killed):
        attempt(batch, at_phase("Scored 100 rows", dying))
    file = storage.local_root() / BatchExtract.objects.get().file
    file.chmod(0o600)
    file.write_bytes(b"something else")
    sources.administer(f"DELETE FROM {dataset.connection.table} WHERE id <= 100")  # noqa: S608
    given_back(batch)
    late = claim(batch.job_id)
    given_back(batch)
    with pytest.raises(Lost):
        forget_extract(late, Batch.objects.with_parts().get(pk=batch.pk))
    done = attempt(batch)
    assert (done.rows, done.extract.rows) == (100, 100)
    assert done.digest == attempt(ask(cast, endpoint, dataset)).digest, "no row of the moment before is in it"


def test_a_revocation_ends_it_at_the_next_chunk(cast):
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast)
    batch, before = ask(cast, endpoint, dataset), stored()

    def no():
        revoke(by=cast.approver, request=endpoint.request, reason="Drift in the field.")

    batch = attempt(batch, at_phase("Scored 100 rows", no))
    assert (batch.state, batch.rows, batch.complete) == ("stopped", 100, False)
    facts = facts_of("batch.stopped")
    assert (facts["rows"], facts["read"]["rows"]) == (100, 200)
    assert (batch.extract.file, stored() - before) == ("", {batch.file})
    with pytest.raises(Refusal, match="does not allow"):
        ask(cast, endpoint, dataset)


def test_nothing_is_read_that_the_gate_does_not_allow_or_who_asked_may_not_open_any_more(cast):
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast)
    first, other, before = ask(cast, endpoint, dataset), ask(cast, endpoint, dataset, keys=[]), stored()
    record_processing(by=cast.model_owner, dataset=dataset, open_to="named", readers=[cast.developer], **RECORDED)
    with pytest.raises(Refusal) as refused:
        attempt(first)
    assert refused.value.code == "rows_closed"
    given_back(first)
    record_processing(
        by=cast.model_owner, dataset=dataset, open_to="named", readers=[cast.model_owner], **{**RECORDED, "phi": True}
    )

    def close():
        record_processing(by=cast.model_owner, dataset=dataset, open_to="named", readers=[cast.developer], **RECORDED)

    with pytest.raises(Refusal):
        attempt(first, at_phase("Read 200 rows", close))
    assert not Event.objects.filter(event="batch.rows_fetched").exists()
    assert (stored(), BatchExtract.objects.exists()) == (before, False)
    record_processing(by=cast.model_owner, dataset=dataset, **RECORDED)

    def no():
        revoke(by=cast.approver, request=endpoint.request, reason="Drift in the field.")

    given_back(first)
    first = attempt(first, at_phase("Read 200 rows", no))
    assert (first.state, first.rows, first.extract.file) == ("stopped", 0, "")
    other = attempt(other)
    assert (other.state, other.extract, stored()) == ("stopped", None, before)


def test_what_cannot_be_asked_for_is_refused_and_leaves_nothing(cast, api, signed_in, settings):
    endpoint, dataset, file = an_approved_endpoint(cast), a_dataset(cast), worlds.a_dataset(cast)
    upload = worlds.an_upload(cast, b"{}\n", "rows.jsonl", by=cast.model_owner)
    closed, foreign = a_dataset(cast), a_dataset(cast)
    record_processing(by=cast.model_owner, dataset=closed, open_to="named", readers=[cast.developer], **RECORDED)
    foreign.team = cast.other_team
    narrow = {"approved": "label", "group": "sensitive", "income": "feature"}
    query = f'SELECT approved, "group", income FROM {a_table()}'  # noqa: S608
    impossible = [
        ({"dataset": file}, "keys_unused", "keys"),
        ({"dataset": None, "upload": upload}, "keys_unused", "keys"),
        ({"keys": ["id", "id"]}, "keys_invalid", "keys"),
        ({"keys": [f"c{number}" for number in range(9)]}, "keys_invalid", "keys"),
        ({"keys": ["number"]}, "column_missing", "keys"),
        ({"dataset": closed}, "rows_closed", None),
        ({"dataset": foreign}, "dataset_of_another_team", "dataset"),
        ({"dataset": a_dataset(cast, query=query, roles=narrow), "keys": []}, "column_missing", "dataset"),
    ]
    for change, code, field in impossible:
        with pytest.raises(Refusal) as refused:
            ask(cast, endpoint, **{"dataset": dataset, **change})
        assert (refused.value.code, refused.value.field) == (code, field)
    for stranger in (cast.outsider, cast.auditor, cast.developer):
        with pytest.raises(Denied):
            ask(cast, endpoint, dataset, by=stranger)
    client, path = api(cast.model_owner), f"/api/v1/endpoints/{endpoint.pk}/"
    for where, more in (("batches/", {}), ("batch-schedules/", {"cron": "0 4 * * *"})):
        answer = client.post(f"{path}{where}", {"dataset": file.pk, "keys": ["id"], **more}, "application/json")
        assert (answer.status_code, answer.json()["code"]) == (422, "keys_unused")
    page = signed_in(cast.model_owner).post(
        f"/endpoints/{endpoint.pk}/batches/new/", {"dataset": dataset.pk, "keys": "id\nnumber"}
    )
    assert (page.status_code, "has no column “number”" in text_of(page)) == (422, True)
    settings.FACTOR_KEY = "another key than before"
    with pytest.raises(Refusal) as refused:
        ask(cast, endpoint, dataset)
    assert refused.value.code == "secret_unreadable"
    assert not any(model.objects.exists() for model in (Batch, Job, BatchSchedule))


def test_a_table_that_is_not_what_it_was_fails_with_a_code_and_leaves_nothing(cast, signed_in, settings):
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast)
    table, before, sentences = dataset.connection.table, stored(), []

    def fails(*statements, **how):
        if statements:
            sources.administer(*statements)
        batch = ask(cast, endpoint, dataset, **how)
        with pytest.raises((Refusal, BatchProblem, DataProblem)) as told:
            attempt(batch)
        Job.objects.filter(pk=batch.job_id).update(state="failed", finished_at=Now() - timedelta(days=2))
        # Of rows that were read and cannot be scored, what was read goes with the parts a day after.
        assert (services.remove_old_batches() > 0) == (told.value.code in ("not_finite", "value_missing"))
        assert (stored(), BatchExtract.objects.exists()) == (before, False)
        assert sources.PASSWORD not in told.value.sentence
        assert told.value.sentence.endswith(".")
        sentences.append(told.value.sentence)
        return told.value.code

    settings.MAX_DATASET_ROWS = 199
    assert fails() == "too_many_rows"
    settings.MAX_DATASET_ROWS, settings.MAX_UPLOAD_BYTES = 200, 1000
    assert fails() == "too_large"
    settings.MAX_UPLOAD_BYTES = 1 << 20
    assert fails(keys=["group", "approved"]) == "keys_not_unique"
    grants = "SELECT ON {} {} source_reader"
    assert fails(f"REVOKE {grants.format(table, 'FROM')}") == "source_denied"
    assert fails(f"GRANT {grants.format(table, 'TO')}", f"UPDATE {table} SET debt = 'NaN' WHERE id = 7") == "not_finite"  # noqa: S608
    assert "“debt” holds “nan” in row 7" in sentences[-1]
    assert fails(f"UPDATE {table} SET debt = NULL WHERE id = 7") == "value_missing"  # noqa: S608
    assert fails(f"ALTER TABLE {table} ALTER debt TYPE text") == "columns_differ"
    assert fails(f"DELETE FROM {table}", f"ALTER TABLE {table} ALTER debt TYPE float8 USING 1") == "no_rows"  # noqa: S608
    assert fails(f"ALTER TABLE {table} DROP debt") == "column_missing"
    sources.administer(f"DROP TABLE {table}")
    batch = ask(cast, endpoint, dataset)
    tasks.score_batch(batch.job_id)
    page = text_of(signed_in(cast.model_owner).get(f"/batches/{batch.pk}/"))
    assert "has no table" in page
    assert "There is no result. Code: table_unknown" in page


def test_cancelling_ends_the_statement_that_the_database_is_at_and_a_lost_database_has_a_code(cast):
    table = a_table()
    view = f"{table}_slow"
    shown = f"VIEW {view} AS SELECT given.* FROM {table} AS given"  # noqa: S608
    sources.administer(f"CREATE {shown}", f"GRANT SELECT ON {view} TO {sources.READER}")
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast, view)
    sources.administer(f"CREATE OR REPLACE {shown}, pg_sleep(60)")
    batch, before, began = ask(cast, endpoint, dataset), stored(), time.monotonic()

    def at(percent, phase):
        """What a worker is told within a second after somebody has cancelled."""
        if threading.current_thread() is not threading.main_thread():
            raise Cancelled

    with pytest.raises(Cancelled):
        attempt(batch, at)
    assert time.monotonic() - began < 55
    assert (stored(), BatchExtract.objects.exists()) == (before, False)
    given_back(batch)

    def cut_off(percent, phase):
        if threading.current_thread() is not threading.main_thread():
            sources.administer(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{sources.READER}' "  # noqa: S608
                "AND query LIKE 'FETCH%'"
            )

    with pytest.raises(Refusal) as refused:
        attempt(batch, cut_off)
    assert (refused.value.code, stored()) == ("source_unreachable", before)


def test_a_schedule_reads_the_table_anew_each_time(cast, api):
    endpoint, dataset, client = an_approved_endpoint(cast), a_dataset(cast), api(cast.model_owner)
    sent = {"dataset": dataset.pk, "cron": "0 4 * * *", "keys": ["id"]}
    made = client.post(f"/api/v1/endpoints/{endpoint.pk}/batch-schedules/", sent, "application/json")
    assert (made.status_code, made.json()["keys"]) == (201, ["id"])
    facts = facts_of("batch_schedule.added")
    assert (facts["connection"], facts["keys"]) == (str(dataset.connection_id), ["id"])
    found = []
    for more in range(2):
        BatchSchedule.objects.update(next_at=Now() - timedelta(minutes=1))
        assert tasks.run_due_batches() == {"requested": 1, "refused": 0}
        batch = attempt(Batch.objects.latest("pk"))
        found.append((batch.keys, batch.schedule_id, batch.rows, batch.extract.rows_hash))
        sources.administer(f"DELETE FROM {dataset.connection.table} WHERE id > {100 - more}")  # noqa: S608
    assert [each[:3] for each in found] == [(["id"], made.json()["id"], rows) for rows in (200, 100)]
    record_processing(by=cast.model_owner, dataset=dataset, open_to="named", readers=[cast.developer], **RECORDED)
    BatchSchedule.objects.update(next_at=Now() - timedelta(minutes=1))
    assert tasks.run_due_batches() == {"requested": 0, "refused": 1}
    assert facts_of("batch.requested.refused")["code"] == "rows_closed"


def test_what_was_read_goes_with_the_rows_of_its_dataset(cast):
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast)
    batch, before = ask(cast, endpoint, dataset), stored()
    with pytest.raises(Killed):
        attempt(batch, at_phase("Scored 100 rows", dying))
    assert services.remove_old_batches() == 0
    assert len(stored() - before) == 3, "what was read, and two chunks"
    processing = record_processing(by=cast.model_owner, dataset=dataset, **RECORDED)
    DataDeletion.objects.create(dataset=dataset, processing=processing, deleted_at=database_time())
    assert services.remove_old_batches() == 3
    assert stored() == before
    given_back(batch)
    with pytest.raises(Refusal) as refused:
        attempt(batch)
    assert refused.value.code == "data_deleted"
    assert BatchExtract.objects.get().rows == 200, "what was read stays told"


def test_keys_are_carried_exactly_and_in_an_order_that_no_database_chooses(cast):
    """Numbers beyond 2**53, dates that never come, and texts that some languages sort otherwise."""
    table = a_table([[0.5, 1], [1, 2.5], [-1, 0], [0.25, 0.25]], id="numeric")
    sources.administer(
        f"ALTER TABLE {table} ADD due date, ADD name text, ADD seen boolean",
        f"UPDATE {table} SET due = CASE WHEN id = 1 THEN 'infinity'::date ELSE '0044-03-15 BC' END, "  # noqa: S608
        "name = (ARRAY['b', 'ä', 'B', NULL])[id::int], seen = id > 2, id = 9007199254740992 + id",
        f'ALTER TABLE {table} RENAME "group" TO "o""0"',
    )
    roles = {"approved": "label", 'o"0': "sensitive", "income": "feature", "debt": "feature"}
    endpoint, dataset = an_approved_endpoint(cast), a_dataset(cast, table, roles)

    def keys(*names):
        batch = attempt(ask(cast, endpoint, dataset, keys=list(names)))
        with services.open_batch(by=cast.model_owner, batch=batch) as file:
            found = result_of(file.read())
        assert found["row"] == [1, 2, 3, 4]
        return [found[name] for name in names]

    assert keys("name", "id") == [["B", "b", "ä", None], [str(2**53 + number) for number in (3, 1, 2, 4)]]
    assert keys("seen", "due", "income", 'o"0') == [
        [False, False, True, True], ["0044-03-15 BC", "infinity", "0044-03-15 BC", "0044-03-15 BC"],
        ["1", "0.5", "-1", "0.25"], ["a", "b", "b", "a"],
    ]  # fmt: skip
