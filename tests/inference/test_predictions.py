"""What the prediction log keeps at each level, who opens it, ground truth, retention, and what the database refuses."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from inference.gateway.board import KeyTerms, Served
from inference.gateway.entry import Entry, new_id
from inference.gateway.logbook import BUFFER_ROWS, Logbook
from inference.gateway.refused import Refused
from inference.models import Prediction, PredictionDeletion, PredictionLoss
from inference.predictions import rules
from inference.predictions.models import floor
from inference.predictions.rules import Terms, sampled
from tests.inference.gateway import ROWS, body, expected, infer, put, swap
from tests.inference.world import an_endpoint

WELL = {"writable": True, "trouble": None}
# What PostgreSQL says where a file cannot grow.
FULL_DISK = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON inference_prediction FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
"""
ALICE = "alice\ttab\\N \0 é"


@given(st.integers(0, 2**48 - 1))
def test_an_id_says_when_and_is_a_uuid_of_version_7(milliseconds):
    id = uuid.UUID(new_id(milliseconds))
    assert (id.version, id.variant, id.int >> 80) == (7, uuid.RFC_4122, milliseconds)


@given(st.uuids(), st.integers(1, 98))
def test_who_is_in_the_sample_is_told_by_the_id(id, percent):
    number = int.from_bytes(hashlib.sha256(id.bytes).digest()[:4]) % 100
    assert sampled(str(id), percent) == sampled(str(id), percent) == (number < percent)
    assert sampled(str(id), percent) <= sampled(str(id), percent + 1)
    assert sampled(str(id), 100)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("all", "fast", 1, 1), "level_unknown"),
        (("none", "slow", 1, 1), "mode_unknown"),
        (("none", "fast", 0, 1), "sample_invalid"),
        (("none", "fast", 100, 1), "sample_invalid"),
        (("none", "fast", 1, 0), "days_invalid"),
        (("none", "fast", 1, rules.LONGEST_DAYS + 1), "days_invalid"),
    ],
)
def test_terms_are_checked(given, found):
    assert rules.fault_of(*given).code == found


def ask(inside, world, **terms):
    """An answer at a level, and its row."""
    swap(inside, log=Terms(**terms))
    answer = infer(inside, world, json={**body(), "id": ALICE}, headers={"X-Request-ID": f"desk-{uuid.uuid4()}"})
    assert answer.status_code == 200
    inside.application.gateway.logbook.flush()
    return answer, Prediction.objects.get(pk=answer.headers["x-prediction-id"])


def test_each_level_keeps_what_it_says_and_no_more(db, inside, world):
    answer, row = ask(inside, world, level="none")
    assert (row.input_digest, row.output_digest, row.inputs, row.outputs) == ("", "", None, None)
    assert (row.status, row.code, row.rows, row.level) == (200, "", 3, "none")
    assert (row.artifact, row.revision) == tuple(answer.json()["parameters"].values())
    assert (row.request_id, row.client_id) == (answer.headers["x-request-id"], ALICE.replace("\0", "\ufffd"))
    assert (row.endpoint_id, row.key_id) == (world.endpoint.pk, world.key.pk)
    assert abs(row.at - datetime.now(UTC)) < timedelta(seconds=10)
    assert floor(row.at) < row.pk < floor(row.at + timedelta(milliseconds=1))
    assert 0 < row.latency < 5_000_000

    answer, row = ask(inside, world, level="hashes")
    assert row.input_digest == f"sha256:{hashlib.sha256(answer.request.content).hexdigest()}"
    assert row.output_digest == f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    assert (row.inputs, row.outputs) == (None, None)
    with pytest.raises(DatabaseError, match="prediction_content_by_level"), transaction.atomic():
        Prediction.objects.create(
            **{**{each.attname: getattr(row, each.attname) for each in Prediction._meta.fields}, "inputs": "{}",
               "id": new_id(int(row.at.timestamp() * 1000))}
        )  # fmt: skip

    answer, row = ask(inside, world, level="full")
    labels, table, decisions = expected()
    assert json.loads(row.inputs) == {"X": [pytest.approx(each) for each in ROWS]}
    told = json.loads(row.outputs)
    assert (told["label"], told["decision"]) == (labels, decisions)
    assert [value for each in told["probabilities"] for value in each] == pytest.approx(table)
    for _ in range(12):
        _, row = ask(inside, world, level="sampled", sample=50)
        assert (row.inputs is not None) == sampled(str(row.pk), 50)


def test_refusals_are_logged_where_the_key_was_valid(db, inside, world):
    def refused(status, code, **given):
        answer = infer(inside, world, **given)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        return answer.headers.get("x-prediction-id")

    infer(inside, world, secret=world.slow)
    assert refused(429, "rate_limited", secret=world.slow) is None, "else one key could fill the log"
    ids = [
        refused(422, "inputs_needed", json={"inputs": []}),
        refused(400, "not_json", content=b"{"),
        refused(413, "too_large", content=b" " * 2_000_000),
    ]

    def fails(*_):
        raise RuntimeError

    put(inside, run=fails)
    ids.append(refused(500, "internal_error"))
    swap(inside, approved=None, log=Terms("full"))
    ids.append(refused(409, "not_approved"))
    assert refused(401, "key_invalid", secret=f"{world.secret[:8]}zzzzzzzz{world.secret[16:]}") is None
    assert refused(403, "scope_missing", secret=world.reader) is None
    inside.application.gateway.logbook.flush()
    rows = {str(row.pk): row for row in Prediction.objects.all()}
    assert len(rows) == 1 + len(ids)
    told = sorted((row.status, row.code) for row in rows.values() if row.code)
    assert told == [
        (400, "not_json"), (409, "not_approved"), (413, "too_large"), (422, "inputs_needed"), (500, "internal_error"),
    ]  # fmt: skip
    assert all(row.output_digest == "" and row.inputs is None for row in rows.values() if row.code)
    assert rows[ids[1]].input_digest == f"sha256:{hashlib.sha256(b'{').hexdigest()}"


def an_entry(pk=1, **log):
    served = Served(pk, "loans", "1", "production", "x", (), (), "decision", 1, 1, None, "", (), log=Terms(**log))
    entry = Entry("request-1", time.perf_counter())
    entry.admitted(KeyTerms(1, b"", {}, 1, 0.0), served)
    entry.close(200, "", b"")
    return entry


def test_a_full_buffer_drops_and_counts_in_fast_mode_and_refuses_in_strict(caplog):
    book = Logbook(rows=2)
    for _ in range(4):
        book.put(an_entry())
    assert book.state() == {"dropped": 2, "waiting": 2, "writable": True, "trouble": None}
    assert [each.message.partition(":")[0] for each in caplog.records] == ["the prediction log's buffer is full"]
    with pytest.raises(Refused) as caught:
        asyncio.run(book.put_and_wait(an_entry(mode="strict")))
    assert (caught.value.status, caught.value.code) == (503, "log_unavailable")
    assert "too much waits for it" in caught.value.sentence
    small = Logbook(size=10)
    small.put(an_entry())
    small.put(an_entry())
    assert (small.state()["dropped"], Logbook().rows) == (1, BUFFER_ROWS)


def test_a_row_that_cannot_be_written_takes_no_other_with_it(cast, committing_db, owner_cursor, caplog):
    """One of a clock that is days off, and one that was written before its connection was lost. Then a full disk, and
    no database at all."""
    endpoint = an_endpoint(cast)
    book = Logbook()
    good, lost, twice = (an_entry(endpoint.pk) for _ in range(3))
    lost.id = new_id(0)
    for each in (twice, lost, good):
        book.put(each)
    book.write([twice])
    book.flush()
    assert {str(row.pk) for row in Prediction.objects.all()} == {good.id, twice.id}
    assert book.state() == {"dropped": 1, "waiting": 0, **WELL}
    loss = PredictionLoss.objects.get()
    assert (loss.endpoint, loss.why, loss.rows) == (endpoint, "unwritable", 1)

    owner_cursor.execute(FULL_DISK)
    book.put(an_entry())
    book.flush()
    assert book.state() == {"dropped": 1, "waiting": 1, "writable": False, "trouble": "disk_full"}
    with pytest.raises(Refused) as caught:
        asyncio.run(book.put_and_wait(an_entry(mode="strict")))
    assert (caught.value.status, caught.value.code) == (503, "log_unavailable")
    assert "the disk of the database is full" in caught.value.sentence
    owner_cursor.execute("DROP TRIGGER full_disk ON inference_prediction")
    book.flush()
    assert book.state() == {"dropped": 1, "waiting": 0, **WELL}
    connection.close()
    broken, before = Logbook(), dict(connection.settings_dict)
    connection.settings_dict["NAME"] = "no_such_database"
    try:
        broken.put(an_entry())
        broken.flush()
        assert broken.state() == {"dropped": 0, "waiting": 1, "writable": False, "trouble": "database"}
        with pytest.raises(Refused):
            asyncio.run(broken.put_and_wait(an_entry(mode="strict")))
    finally:
        connection.settings_dict.update(before)
    broken.flush()
    assert broken.state() == {"dropped": 0, "waiting": 0, **WELL}
    assert Prediction.objects.count() == 4


def test_the_database_lets_go_only_of_what_was_decided(db, inside, world):
    ask(inside, world)
    for change in (
        lambda: Prediction.objects.update(code="x"),
        lambda: Prediction.objects.all()._raw_delete("default"),
        lambda: PredictionDeletion.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            change()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM prediction_deletions()")
        assert cursor.fetchone()[1] == 0
        with pytest.raises(DatabaseError, match="from 0 to 60"), transaction.atomic():
            cursor.execute("SELECT prediction_partitions(100)")
    assert Prediction.objects.count() == 1
