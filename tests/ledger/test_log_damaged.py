"""Rows of the log that contradict each other, and what the sequencer says, refuses and keeps."""

from __future__ import annotations

import contextlib
import threading

import pytest

from ledger.merkle import EMPTY_ROOT, ENTRIES, Tile, decode_entries
from ledger.notes import Checkpoint, sign
from ledger.sequencer import LogDamaged, Sequencer
from ledger.tiles import TileStore
from tests.jobs.workers import wait_for
from tests.ledger.owning import refused, size_of
from tests.ledger.whole import acts, many, rows
from tests.sealing import connect, log_key

# Rows that contradict each other


def test_rows_that_contradict_the_tree(log, owner):
    many(300)
    log.seal()
    acts(1)
    size = size_of()
    assert size % 256 > 1
    contradict = f"The leaves in the database contradict its tree of {size} entries"
    digest = b"\x01" * 32
    with owner.instead("ledger_leaf", f"index = {size - 1}", "hash", digest):
        refused(log, f"{contradict}: they do not hash to it. Nothing is signed. Restore the database")
    with owner.instead("ledger_treehead", f"size = {size}", "root", digest):
        refused(log, f"{contradict}: they do not hash to it")
    with owner.instead("ledger_tile", "(level, index) = (1, 0)", "hash", digest):
        refused(log, f"{contradict}: they do not hash to it")
    with owner.instead("ledger_leaf", f"index = {size - 1}", "index", size + 1):
        refused(log, f"{contradict}: tile 1 at level 0 has no more than")
    with owner.instead("ledger_tile", "(level, index) = (1, 0)", "index", 1000):
        refused(log, f"{contradict}: tile 0 at level 1 has no more than 0 bytes")
    log.seal()
    log.is_whole()


def test_a_checkpoint_that_is_not_of_its_tree(log, owner):
    acts(3)
    log.seal()
    size, key = size_of(), log_key(log.origin)
    where = f"size = {size}"
    for body in (
        Checkpoint(log.origin, size, EMPTY_ROOT).body(),
        Checkpoint(log.origin, size - 1, EMPTY_ROOT).body(),
        Checkpoint(log.origin, size + 1, EMPTY_ROOT).body(),
    ):
        with owner.instead("ledger_checkpoint", where, "note", sign(body, [key])):
            refused(log, "The newest checkpoint in the database is not one of its tree: it has .* is none of the tree")
    for garbage in (b"", b"torn", b"\xff" * 99):
        with owner.instead("ledger_checkpoint", where, "note", garbage):
            refused(log, "The newest checkpoint in the database is not one of its tree")
    acts(1)
    log.seal()
    log.is_whole()


def test_rows_missing_where_an_older_promise_needs_them(log, owner):
    path = log.folder / "pledge.json"
    acts(1)
    log.seal()
    older = path.read_bytes()
    many(300)
    log.seal()
    path.write_bytes(older)
    with owner.instead("ledger_leaf", "index = 3", "index", 100_000):
        refused(log, "Rows of the tree are missing in the database: .* Restore it")
    log.seal()
    log.is_whole()


def test_another_hand_has_grown_the_tree(log, owner):
    with contextlib.closing(connect(log.database)) as opened:
        slow = Sequencer(opened, log.root, [log_key(log.origin)], log.origin, fsync=False)
        assert slow.sequence_once() is None
        acts(1)
        log.seal()
        acts(1)
        before = log.kept()
        with pytest.raises(LogDamaged, match=r"The tree has grown by another hand\. Only one sequencer may run"):
            slow.sequence_once()
        assert log.kept() == before
        assert slow.sequence_once().count == 1, "afterwards it knows what the other did"
    log.seal()
    log.is_whole()


def test_another_hand_takes_what_is_pending(log, owner):
    """It takes away one event between the moment at which a sequencer reads what waits and its commit."""
    event = acts(3)[1]
    owner.does("BEGIN")
    owner.does("DELETE FROM ledger_pending WHERE event_id = %s", event)
    said: list[Exception] = []
    with log.leading() as sequencer:

        def work() -> None:
            try:
                sequencer.sequence_once()
            except LogDamaged as damage:
                said.append(damage)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            wait_for(lambda: rows("SELECT 1 FROM pg_locks WHERE NOT granted"))
        finally:
            owner.does("COMMIT")
            thread.join()
    assert "Another has taken pending events. Only one sequencer may run" in str(said[0])
    owner.does("INSERT INTO ledger_pending VALUES (%s)", event)
    log.is_sound()
    log.seal()
    log.is_whole()


def test_what_waits_without_an_event_is_told_of_once_and_holds_nobody_up(log, owner, caplog):
    """The owner takes an event out before it is sealed; and the portal's role could put any number in the queue."""
    kept, gone = acts(2)
    owner.does("DELETE FROM ledger_event WHERE id = %s", gone)
    with log.leading() as sequencer:
        while sequencer.sequence_once():
            pass
        assert sequencer.sequence_once() is None
    assert [event for (event,) in rows("SELECT event_id::text FROM ledger_leaf ORDER BY index DESC LIMIT 1")] == [kept]
    (said,) = [one.getMessage() for one in caplog.records if "there is no such event" in one.getMessage()]
    assert gone in said
    owner.does("DELETE FROM ledger_pending WHERE event_id = %s", gone)
    log.is_sound()


# What the folder keeps of an event that somebody alters


@pytest.mark.parametrize("change", ["altered", "taken out", "blown up"])
def test_the_folder_keeps_an_entry_that_was_changed_in_the_database(log, owner, change):
    """The sequencer starts anew, and lets the bundle grow in which that entry stands."""
    acts(2)
    log.seal()
    place = size_of() - 1
    found = "SELECT id, bytes FROM ledger_event JOIN ledger_leaf ON event_id = id WHERE index = %s"
    ((event, raw),) = rows(found, place)
    if change == "taken out":
        owner.does("DELETE FROM ledger_search WHERE event_id = %s", event)
        keys = "SELECT conname FROM pg_constraint WHERE conrelid = 'ledger_leaf'::regclass AND contype = 'f'"
        ((name,),) = owner.does(keys)
        owner.does(f"ALTER TABLE ledger_leaf DROP CONSTRAINT {name}")
        owner.does("DELETE FROM ledger_event WHERE id = %s", event)
    else:
        other = bytes(raw).replace(b'"done"', b'"gone"' if change == "altered" else b'"' + b"x" * 65_535 + b'"')
        owner.does("UPDATE ledger_event SET bytes = %s WHERE id = %s", other, event)
    for _ in range(2):
        acts(2)
        log.seal()
        bundle = TileStore(log.folder).read(Tile(ENTRIES, 0, size_of()))
        assert decode_entries(bundle)[place] == bytes(raw)


def test_an_event_too_large_for_an_entry_is_said(log, owner):
    """The portal's own code never writes one (`event_too_large`)."""
    (event,) = acts(1)
    with owner.instead("ledger_event", f"id = '{event}'", "bytes", b"x" * 65_536):
        refused(log, "can be no entry of a log: an entry has at most 65535 bytes, not 65536. Nothing is signed")
    log.seal()
    log.is_whole()
