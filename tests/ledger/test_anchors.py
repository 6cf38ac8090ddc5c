"""LOG_ANCHORS as it is read, rounds that take checkpoints out, and what is told of them."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from django.conf import settings as loaded
from django.core.checks import run_checks
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

# LOG_ANCHORS


@pytest.fixture(scope="module")
def vkey():
    return Log().witness().vkey


def test_each_kind(vkey):
    targets, faults = parse([
        "folder:/srv/my%20anchors", "off-site=folder:/mnt/x#outside=yes&every=3600",
        "s3:https://s3.test/bucket/log#region=eu-central-1&days=3650&credentials_file=/run/secrets/s3",
        "webhook:https://hooks.test/in?token=abc#secret_file=/run/secrets/hook",
        "tsa:https://tsa.test/tsr#ca_file=/etc/tsa.pem", f"witness:https://witness.test/w1/#vkey={vkey}&outside=no",
        "local=webhook:http://127.0.0.1:9/x#secret_file=/s",
    ])  # fmt: skip
    assert faults == []
    assert [(one.name, one.kind, one.place, one.outside) for one in targets] == [
        ("folder", "folder", "/srv/my anchors", False),
        ("off-site", "folder", "/mnt/x", True),
        ("s3", "s3", "https://s3.test/bucket/log", False),
        ("webhook", "webhook", "https://hooks.test", False),
        ("tsa", "tsa", "https://tsa.test/tsr", True),
        ("witness", "witness", "https://witness.test/w1", False),
        ("local", "webhook", "http://127.0.0.1:9", False),
    ]
    assert targets[1].every == 3600
    assert (targets[2].region, targets[2].days) == ("eu-central-1", 3650)
    assert targets[5].key.vkey == vkey


S3 = "s3:https://s3.test/b#credentials_file=/c"
FAULTY = {
    "srv/anchors": "no known kind", "ftp:/srv": "no known kind", "": "no known kind", "=folder:/x": "Its name",
    "A=folder:/x": "Its name", "folder:anchors": "whole path", "folder:/x#colour=red": "unknown to folder",
    "folder:/x#every=-1": "whole number", "folder:/x#every=1h": "whole number", "folder:/x#outside=so": "yes or no",
    S3: "days", S3 + "&days=0": "days", "s3:https://s3.test/b#days=1": "credentials_file",
    "s3:https://s3.test/b?x=y#days=1&credentials_file=/c": "no query",
    "webhook:https://hooks.test/": "secret_file", "webhook:https://hooks.test/#secret_file=relative": "secret_file",
    "webhook:http://hooks.test/#secret_file=/s": "Use https", "webhook:https:///x#secret_file=/s": "no URL",
    "webhook:https://[::1/#secret_file=/s": "no URL", "webhook:https://h:port/#secret_file=/s": "no URL",
    "webhook:file:///etc/passwd#secret_file=/s": "no URL", "webhook:https://hooks.test/ä#secret_file=/s": "no URL",
    "webhook:https://me:hunter2@hooks.test/#secret_file=/s": "secrets belong into files",
    "tsa:https://tsa.test/": "ca_file", "witness:https://w.test/": "vkey", "witness:https://w.test/#vkey=a+b+c": "vkey",
}  # fmt: skip


@pytest.mark.parametrize("entry", FAULTY)
def test_what_is_wrong_is_said_and_the_rest_is_used(entry):
    targets, (fault,) = parse([entry, "other=folder:/x"])
    assert [one.name for one in targets] == ["other"]
    assert fault.name == "anchor 1"
    assert FAULTY[entry] in fault.sentence
    assert "hunter2" not in fault.sentence


def test_a_log_key_is_no_witness_key():
    _, (fault,) = parse([f"witness:https://w.test/#vkey={Log().key.vkey}"])
    assert "not one of cosignatures" in fault.sentence


def test_two_of_one_name():
    targets, (fault,) = parse(["folder:/a", "folder:/b"])
    assert [one.place for one in targets] == ["/a"]
    assert fault == ("folder", "Another anchor has this name. Put a name of its own before it: other=kind:….")


def test_http_where_it_is_allowed():
    targets, faults = parse(["webhook:http://hooks.test/#secret_file=/s"], http=True)
    assert (len(targets), faults) == (1, [])


def test_the_system_check_tells(settings):
    settings.LOG_ANCHORS = ["folder:/srv/anchors", "webhook:https://me:hunter2@hooks.test/"]
    (error,) = [one for one in run_checks() if one.id == "countersign.E040"]
    assert "anchor 2" in error.msg
    assert "hunter2" not in f"{error.msg} {error.hint}"
    settings.LOG_ANCHORS = ["folder:/srv/anchors"]
    assert not [one for one in run_checks() if one.id == "countersign.E040"]


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
def log(settings, committing_db):
    made = Log()
    settings.LOG_ORIGIN = made.origin
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
    assert told == {"breaks": "internal_error", "asks": "witness_unsteady", "folder": "done"}
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


def test_a_proof_comes_from_the_rows_of_the_tree(log, owner_cursor, settings, tmp_path):
    for index, leaf in enumerate(log.leaves):
        owner_cursor.execute(
            "WITH e AS (INSERT INTO ledger_event (id, bytes, time, actor_kind, actor_id, event, object_type, object_id,"
            " outcome) VALUES (gen_random_uuid(), '', now(), '', '', '', '', '', 'done') RETURNING id)"
            " INSERT INTO ledger_leaf (index, event_id, hash) SELECT %s, id, %s FROM e",
            [index, leaf],
        )
    assert between(13, 40) == log.prove(13, 40)
    with pytest.raises(Failed) as failed:
        between(13, 41)
    assert failed.value.code == "proof_unavailable"


def test_a_fork_is_told_when_a_proof_is_missing(log, publish, settings):
    """The witness is at a size; the rows that would prove the rest are not there."""
    witness = log.witness()
    with served(witness.answer) as address:
        settings.LOG_ANCHORS = [f"witness:{address}#vkey={witness.vkey}"]
        publish(3)
        assert anchor_checkpoints() == {"witness": "done"}
        publish(8)
        assert anchor_checkpoints() == {"witness": "proof_unavailable"}


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
