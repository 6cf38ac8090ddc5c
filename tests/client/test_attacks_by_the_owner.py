"""The eight attacks on a real log, done as the owner of the database, and found by the verifier in a bundle made after.

The owner may do everything that PostgreSQL allows: the triggers are disabled first, as only the owner can. What is in
the log's folder counts as the owner's too where a test says so. Nothing of the verdict comes from the portal.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connection

from accounts.services import add_team
from audits.exports.making import Tally, write_bundle
from audits.exports.rows import head_of
from ledger.actors import SystemActor
from ledger.keys import portal_key
from ledger.merkle import leaf_hash
from ledger.models import Checkpoint, Event, Leaf
from ledger.notes import sign
from ledger.receipts import body
from tests.client.logs import run
from tests.ledger.owning import OF_EVENT, Owner
from tests.sealing import Sealer, log_key

CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))


class Audited(Owner):
    """The owner's hands on the tables, and what an auditor sees of it afterwards."""

    def __init__(self, cursor: Any, seal: Sealer, settings: Any, folder: Path) -> None:
        super().__init__(cursor)
        self.seal, self.settings, self.folder = seal, settings, folder
        self.origin = settings.LOG_ORIGIN
        self.size = Leaf.objects.count()

    def forgets(self, event: Any) -> None:
        for table in OF_EVENT:
            self.does(f"DELETE FROM {table} WHERE event_id = %s", event)  # noqa: S608
        self.does("DELETE FROM ledger_event WHERE id = %s", event)

    def forgets_from(self, place: int) -> None:
        for event in Leaf.objects.filter(index__gte=place).values_list("event_id", flat=True):
            self.forgets(event)

    def burns_the_folder(self) -> None:
        """What the sequencer keeps outside the database, with its pledge."""
        shutil.rmtree(self.seal.root)
        self.seal.root.mkdir()

    def keeps(self, name: str) -> Path:
        """The newest checkpoint, as somebody else has kept it."""
        path = self.folder / name
        path.write_bytes(bytes(Checkpoint.objects.latest("size").note))
        return path

    def bundle(self) -> Path:
        path = self.folder / "log.zip"
        with connection.cursor() as cursor:
            write_bundle(path, cursor.cursor, head_of(cursor.cursor, self.origin), Tally(), lambda percent, phase: None)
        return path

    def verdict(self, *arguments: Any) -> Any:
        keys = ("--key", log_key(self.origin).vkey, "--key", portal_key().vkey)
        return run(self.bundle(), "--json", "--processes", 1, *keys, *arguments)


@pytest.fixture
def owner(committing_db, owner_cursor, seal, settings, tmp_path):
    for number in range(12):
        add_team(by=CONSOLE, name=f"Team {number}", slug=f"team-{number}")
        if number % 4 == 0:
            seal()
    seal()
    return Audited(owner_cursor, seal, settings, tmp_path)


def test_an_untouched_log_is_verified(owner):
    found = owner.verdict("--checkpoint", owner.keeps("kept"))
    assert (found.code, found.attacks) == (0, [])


def test_the_owner_can_do_nothing_before_the_triggers_are_disabled(committing_db, owner_cursor, seal):
    seal()
    for statement in ("UPDATE ledger_event SET outcome = 'done'", "DELETE FROM ledger_leaf", "TRUNCATE ledger_record"):
        with pytest.raises(psycopg2.Error, match="append-only"):
            owner_cursor.execute(statement)


def test_row_edited(owner):
    event = Leaf.objects.get(index=5).event
    altered = bytes(event.bytes).replace(b'"done"', b'"gone"')
    owner.does("UPDATE ledger_event SET bytes = %s WHERE id = %s", altered, event.pk)
    found = owner.verdict()
    assert (found.code, found.places) == (1, [("row_edited", 5, 5)])


def test_row_and_its_leaf_edited(owner):
    event = Leaf.objects.get(index=5).event
    altered = bytes(event.bytes).replace(b'"done"', b'"gone"')
    owner.does("UPDATE ledger_event SET bytes = %s WHERE id = %s", altered, event.pk)
    owner.does("UPDATE ledger_leaf SET hash = %s WHERE index = 5", leaf_hash(altered))
    assert owner.verdict().places == [("row_edited", 5, 5)], "the log's folder still has the leaf as it was"
    owner.burns_the_folder()
    found = owner.verdict()
    assert found.code == 1
    ((attack, low, high),) = found.places
    assert attack == "leaf_edited"
    assert low <= 5 <= high < owner.size - 1, "the earlier checkpoints narrow it down"


def test_row_deleted(owner):
    owner.forgets(Leaf.objects.get(index=5).event_id)
    found = owner.verdict()
    assert (found.code, found.places) == (1, [("row_deleted", 5, 5)])


def test_row_deleted_and_the_rest_moved_up(owner):
    owner.forgets(Leaf.objects.get(index=5).event_id)
    owner.does("UPDATE ledger_leaf SET index = index + 1000 WHERE index > 5")
    owner.does("UPDATE ledger_leaf SET index = index - 1001 WHERE index > 5")
    found = owner.verdict()
    assert (found.code, found.places) == (1, [("row_deleted", 5, 5)])


def test_row_inserted_in_the_past(owner):
    add_team(by=CONSOLE, name="Never added", slug="never")
    event = Event.objects.latest("id")
    owner.does("DELETE FROM ledger_pending WHERE event_id = %s", event.pk)
    owner.does("UPDATE ledger_leaf SET index = index + 1000 WHERE index >= 7")
    owner.does("UPDATE ledger_leaf SET index = index - 999 WHERE index >= 1000")
    owner.does(
        "INSERT INTO ledger_leaf (index, event_id, hash) VALUES (7, %s, %s)", event.pk, leaf_hash(bytes(event.bytes))
    )
    found = owner.verdict()
    assert (found.code, found.places) == (1, [("row_inserted", 7, 7)])


def test_tail_cut_off(owner):
    owner.forgets_from(owner.size - 3)
    found = owner.verdict()
    assert (found.code, found.places) == (1, [("tail_cut", owner.size - 3, owner.size - 1)])


def put_back(owner, size):
    """The database and the log's folder as they were when the tree had this size."""
    owner.forgets_from(size)
    for table in ("ledger_checkpoint", "ledger_treehead"):
        owner.does(f"DELETE FROM {table} WHERE size > %s", size)  # noqa: S608
    owner.burns_the_folder()


def test_whole_database_put_back(owner):
    kept, before = owner.keeps("kept"), list(Checkpoint.objects.order_by("size"))[-2]
    put_back(owner, before.size)
    silent = owner.verdict()
    assert silent.code == 0
    assert "that the whole database was put back to an earlier state" in silent.open
    found = owner.verdict("--checkpoint", kept)
    assert (found.code, found.places) == (1, [("restored", before.size, owner.size - 1)])


def test_history_forked(owner):
    """The owner has the log's key too, and signs another history from some entry on."""
    kept, before = owner.keeps("kept"), list(Checkpoint.objects.order_by("size"))[-2]
    common = owner.folder / "common"
    common.write_bytes(bytes(before.note))
    put_back(owner, before.size)
    owner.does("DELETE FROM ledger_checkpoint")
    for number in range(20):
        add_team(by=CONSOLE, name=f"Other {number}", slug=f"other-{number}")
    forger = Sealer(owner.seal.root, owner.seal.database)
    forger()
    forger.connection.close()
    silent = owner.verdict()
    assert silent.code == 0
    assert "a forked history" in silent.open
    found = owner.verdict("--checkpoint", kept, "--checkpoint", common)
    assert (found.code, found.places) == (1, [("forked", before.size, owner.size - 1)])


def test_event_removed_before_it_was_sequenced(owner):
    """The sequencer is stopped, somebody acts and gets a receipt, the owner removes the act, the sequencer goes on."""
    add_team(by=CONSOLE, name="Unwanted", slug="unwanted")
    event = Event.objects.latest("id")
    promise = owner.folder / "receipt"
    promise.write_bytes(
        sign(body(owner.origin, event.pk, leaf_hash(bytes(event.bytes)), event.time).encode(), [portal_key()])
    )
    owner.forgets(event.pk)
    add_team(by=CONSOLE, name="Later", slug="later")
    owner.seal()
    silent = owner.verdict()
    assert silent.code == 0
    assert "that an event was removed before it was sequenced" in silent.open
    found = owner.verdict("--receipt", promise)
    assert (found.code, found.attacks) == (1, ["removed_before_sealing"])
    assert str(event.pk) in found.json["findings"][0]["where"]
