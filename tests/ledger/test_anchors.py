"""Rounds that take checkpoints out of the database, and what is told of them."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from django.conf import settings as loaded
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from ledger import anchors
from ledger.anchors import rounds
from ledger.anchors.addresses import parse
from ledger.anchors.proofs import between
from ledger.anchors.targets import Failed, Known, NeedsProof, Receipt, Target
from ledger.models import Anchor
from ledger.tasks import anchor_checkpoints
from portal.celery import app
from tests.conftest import ROOT
from tests.ledger.stand_ins import Log, served

# Rounds


@dataclass(frozen=True, kw_only=True)
class Strange(Target):
    """Does what it is told: hangs until it is let go, breaks, or wants proofs without end."""

    kind: ClassVar[str] = "webhook"
    does: str = "hang"
    let_go: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def place(self):
        return "https://strange.test"

    def take(self, what, known):
        if self.does == "break":
            raise RuntimeError("a secret from deep within")
        if self.does == "ask":
            raise NeedsProof(known.last + 1)
        self.let_go.wait(30)
        return Receipt(self.place, b"late")


@pytest.fixture
def log(settings, owner_cursor):
    """A log of its own name over the tree in the database: the rows that the cast has left, and as many as it needs."""
    made = Log()
    settings.LOG_ORIGIN = made.origin
    owner_cursor.execute("SELECT hash FROM ledger_leaf ORDER BY index")
    there = [bytes(row) for (row,) in owner_cursor.fetchall()]
    for index, leaf in enumerate(made.leaves[:20], len(there)):
        owner_cursor.execute(
            "WITH e AS (INSERT INTO ledger_event (id, bytes, time, actor_kind, actor_id, event, object_type, object_id,"
            " outcome) VALUES (gen_random_uuid(), '', now(), '', '', '', '', '', 'done') RETURNING id)"
            " INSERT INTO ledger_leaf (index, event_id, hash) SELECT %s, id, %s FROM e",
            [index, leaf],
        )
    made.rows = len(there) + 20
    made.leaves = [*there, *made.leaves]
    return made


@pytest.fixture
def publish(log, owner_cursor):
    """What the sequencer does last; the portal's role could not."""

    def insert(size):
        owner_cursor.execute(
            "INSERT INTO ledger_checkpoint (origin, size, note) VALUES (%s, %s, %s)", [log.origin, size, log.note(size)]
        )

    return insert


def kept():
    return list(Anchor.objects.order_by("size", "target").values_list("size", "target"))


def test_the_newest_checkpoint_goes_to_every_target_once(log, publish, settings, tmp_path):
    witness = log.witness()
    with served(witness.answer) as address:
        settings.LOG_ANCHORS = [f"folder:{tmp_path}", f"witness:{address}#vkey={witness.vkey}"]
        assert anchor_checkpoints() == {}
        publish(3)
        publish(8)
        assert anchor_checkpoints() == {"folder": "done", "witness": "done"}
        assert anchor_checkpoints() == {}
        assert kept() == [(8, "folder"), (8, "witness")]
        assert (tmp_path / log.published(8).folder / "8").read_bytes() == log.note(8)
        assert anchors.witness_keys() == [witness.vkey]
    cosigned = anchors.anchors_of(8).get(target="witness")
    assert (cosigned.kind, cosigned.place, cosigned.origin) == ("witness", address, log.origin)
    assert bytes(cosigned.receipt).startswith(log.note(8))
    assert anchors.bundle_path(cosigned) == "anchors/witness/8"
    assert anchors.bundle_path(anchors.anchors_of(8).get(target="folder")) == "anchors/folder/8.json"
    assert Anchor.objects.count() == 2


def test_a_round_stores_what_an_earlier_one_was_killed_before_storing(log, publish, settings, tmp_path):
    settings.LOG_ANCHORS = [f"folder:{tmp_path}"]
    publish(8)
    (target,), _ = parse(settings.LOG_ANCHORS)
    target.take(log.published(8), Known())
    assert anchor_checkpoints() == {"folder": "done"}
    assert kept() == [(8, "folder")]


def test_two_rounds_at_once_store_one(log, publish, settings, tmp_path):
    settings.LOG_ANCHORS = [f"folder:{tmp_path}"]
    publish(8)
    told = []

    def go():
        told.append(anchor_checkpoints())
        connection.close()

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"folder": "done"} in told
    assert kept() == [(8, "folder")]


def test_one_that_fails_stops_no_other_and_is_told(log, publish, settings, tmp_path):
    settings.LOG_ANCHORS = [f"gone=folder:{tmp_path}/gone", "folder:not absolute", f"there=folder:{tmp_path}"]
    publish(8)
    assert anchor_checkpoints() == {"gone": "folder_missing", "there": "done"}
    with CaptureQueriesContext(connection) as queries:
        gone, there, wrong = anchors.standing()
    assert len(queries) == 2
    assert (gone.size, gone.at, gone.age, gone.behind, gone.code) == (None, None, None, True, "folder_missing")
    assert gone.sentence == f"{tmp_path}/gone is not there. Create it, or mount its disk."
    assert (there.size, there.behind, there.code, there.tried) == (8, False, "", None)
    assert there.age.total_seconds() < 60
    assert (wrong.name, wrong.code) == ("anchor 2", "misconfigured")

    since = gone.tried
    assert gone.since == since
    anchor_checkpoints()
    again = anchors.standing()[0]
    assert again.since == since < again.tried
    (tmp_path / "gone").mkdir()
    assert anchor_checkpoints() == {"gone": "done"}
    assert anchors.standing()[0].code == ""
    publish(9)
    assert [one.behind for one in anchors.standing()] == [True, True, False]


def test_without_anchors_nothing_is_looked_up(settings, db):
    settings.LOG_ANCHORS = []
    with CaptureQueriesContext(connection) as queries:
        assert anchors.standing() == []
        assert not anchors.anchored_outside(1)
    assert len(queries) <= 1


def test_a_round_that_is_late_does_not_speak_ill_of_a_target_that_has_more(log, publish, settings, tmp_path):
    settings.LOG_ANCHORS = [f"folder:{tmp_path}"]
    publish(8)
    anchor_checkpoints()
    (folder,), _ = parse(settings.LOG_ANCHORS)
    assert rounds.settle(folder, log.published(3), Failed("ahead", "It is.")) == "done"
    assert anchors.standing()[0].code == ""


def test_one_that_hangs_is_left_behind_and_not_joined_by_a_second(log, publish, settings, tmp_path):
    hangs, (folder,) = Strange(name="hangs"), parse([f"folder:{tmp_path}"])[0]
    publish(8)
    began = time.monotonic()
    told = rounds.carry([hangs, folder], log.origin, log.prove, seconds=0.3)
    assert told == {"folder": "done", "hangs": "timed_out"}
    assert time.monotonic() - began < 5
    before = threading.active_count()
    publish(9)
    assert rounds.carry([hangs], log.origin, log.prove, seconds=0.1) == {"hangs": "timed_out"}
    assert threading.active_count() == before
    hangs.let_go.set()
    rounds.Errand.under_way["hangs"].join()
    assert rounds.carry([hangs], log.origin, log.prove) == {"hangs": "done"}
    assert kept() == [(8, "folder"), (9, "hangs")]


def test_what_nobody_foresaw_stops_no_other(log, publish, settings, tmp_path, caplog):
    settings.LOG_ANCHORS = []
    (folder,), _ = parse([f"folder:{tmp_path}"])
    publish(8)
    strange = [Strange(name="breaks", does="break"), Strange(name="asks", does="ask")]
    told = rounds.carry([*strange, folder], log.origin, log.prove)
    assert told == {"breaks": "internal_error", "asks": "unsteady", "folder": "done"}
    assert "deep within" in caplog.text


def test_between_two_checkpoints_of_a_target_there_may_be_a_pause(log, publish, settings, tmp_path):
    settings.LOG_ANCHORS = [f"rare=folder:{tmp_path}#every=3600", f"folder:{tmp_path}"]
    publish(3)
    assert anchor_checkpoints() == {"rare": "done", "folder": "done"}
    publish(8)
    assert anchor_checkpoints() == {"folder": "done"}
    assert kept() == [(3, "folder"), (3, "rare"), (8, "folder")]
    assert [(one.target, one.size) for one in anchors.newest_anchors()] == [("folder", 8), ("rare", 3)]
    assert [(one.target, one.size) for one in anchors.newest_anchors(7)] == [("folder", 3), ("rare", 3)]
    assert [(one.target, one.size) for one in anchors.anchors_over(2)] == [("folder", 3), ("rare", 3)]
    assert [(one.target, one.size) for one in anchors.anchors_over(3)] == [("folder", 8)]
    assert not anchors.anchored_outside(3)
    settings.LOG_ANCHORS = [f"rare=folder:{tmp_path}#outside=yes"]
    assert anchors.anchored_outside(3)
    assert not anchors.anchored_outside(4)


def test_an_anchor_is_never_taken_back(log, publish, settings, tmp_path):
    settings.LOG_ANCHORS = [f"folder:{tmp_path}"]
    publish(8)
    anchor_checkpoints()
    for change in ("UPDATE ledger_anchor SET size = 9", "DELETE FROM ledger_anchor"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)


def test_a_proof_comes_from_the_rows_of_the_tree(log):
    assert between(3, log.rows) == log.prove(3, log.rows)
    with pytest.raises(Failed) as failed:
        between(3, log.rows + 1)
    assert failed.value.code == "proof_unavailable"


def test_a_witness_sees_the_log_grow_and_no_fork(log, publish, settings):
    witness = log.witness()
    with served(witness.answer) as address:
        settings.LOG_ANCHORS = [f"witness:{address}#vkey={witness.vkey}"]
        for size in (3, 8, log.rows):
            publish(size)
            assert anchor_checkpoints() == {"witness": "done"}
        assert witness.asked == [0, 3, 8]
        publish(log.rows + 1)
        assert anchor_checkpoints() == {"witness": "proof_unavailable"}
        log.leaves[1:] = log.leaves[:-1]
        publish(log.rows + 2)
        assert anchor_checkpoints() == {"witness": "proof_unavailable"}
    assert witness.size == log.rows


def test_a_folder_and_a_witness_see_another_history(log, publish, settings, tmp_path):
    """The tree's rows are one log's, the checkpoints another's: what an owner of database and key could do."""
    witness = log.witness()
    with served(witness.answer) as address:
        settings.LOG_ANCHORS = [f"folder:{tmp_path}", f"witness:{address}#vkey={witness.vkey}"]
        publish(5)
        assert anchor_checkpoints() == {"folder": "done", "witness": "done"}
        log.leaves[4] = log.leaves[5]
        publish(9)
        assert anchor_checkpoints() == {"folder": "other_checkpoint", "witness": "witness_disagrees"}
        assert [one.code for one in anchors.standing()] == ["other_checkpoint", "witness_disagrees"]
    assert kept() == [(5, "folder"), (5, "witness")]


# Processes


def test_the_scheduler_sends_a_task_that_there_is():
    entry = loaded.CELERY_BEAT_SCHEDULE["anchor-checkpoints"]
    app.loader.import_default_modules()
    assert entry["task"] in app.tasks
    assert entry["schedule"] == 60


def test_no_process_but_a_working_worker_imports_the_libraries():
    program = (
        "import django, sys; django.setup(); import ledger.tasks, portal.urls, ledger.anchors\n"
        "print({'rfc3161_client', 'boto3'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout == "set()\n"


def test_without_the_library_a_time_stamp_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    (target,), _ = parse([f"tsa:https://tsa.test/#ca_file={tmp_path}/ca.pem"])
    with pytest.raises(Failed) as failed:
        target.take(Log().published(3), Known())
    assert failed.value.code == "library_missing"
