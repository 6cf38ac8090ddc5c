"""What the sequencer refuses to sign: a database put back, a history replaced, a promise it cannot read."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from ledger.pledge import PledgeBroken
from ledger.sequencer import Sequencer
from tests.jobs.workers import wait_for
from tests.ledger.owning import refused, size_of
from tests.ledger.whole import Log, acts, looping, many
from tests.sealing import log_key

# Put back, replaced


def test_a_database_put_back_to_an_older_state(log, owner, settings, caplog, tmp_path):
    older = size_of()
    acts(5)
    log.seal()
    promised = size_of()
    owner.puts_back(older)
    words = (
        f"A tree of {promised} entries was promised and the database holds {older}: it was put back to an older state."
        r" Nothing is signed\. Restore a newer backup of the database; or, if what was lost stays lost, start a new log"
        r" by giving LOG_ORIGIN, and the name of its key, a new name"
    )
    refused(log, words, PledgeBroken)
    acts(9)
    refused(log, words, PledgeBroken)  # with more acts than were lost
    (log.folder / "pledge.json").rename(tmp_path / "pledge.json")
    with log.leading() as sequencer, pytest.raises(PledgeBroken, match=words):
        sequencer.sequence_once()  # the published file beside it says the same
    (tmp_path / "pledge.json").rename(log.folder / "pledge.json")
    with looping(log):
        wait_for(lambda: "put back to an older state" in caplog.text)
        acts(1)
    assert size_of("ledger_pending") == 10, "acts go on, and wait"

    before = {path: path.read_bytes() for path in log.folder.rglob("*") if path.is_file()}
    settings.LOG_ORIGIN = "second.example/log"
    second = Log(log.database, log.root)
    sealed = [second.sequencer()]
    trees = [sealed[0].sequence_once(), sealed[0].sequence_once(), sealed[0].sequence_once()]
    sealed[0].connection.close()
    assert [tree and (tree.size, tree.count) for tree in trees] == [(older, older), (older + 10, 10), None]
    second.seal()
    second.is_whole()
    second.is_verified(tmp_path)
    assert {path: path.read_bytes() for path in log.folder.rglob("*") if path.is_file()} == before, "old evidence stays"
    refused(log, f"The first {promised} entries in the database are not those that were promised", PledgeBroken)


def test_a_database_put_back_under_a_sequencer_that_runs(log, owner, caplog):
    """What it remembers of the tree does not carry it over that."""
    older = size_of()
    with looping(log):
        acts(5)
        wait_for(lambda: log.shown() == older + 5)
        owner.puts_back(older)
        before = log.kept()
        acts(7)
        wait_for(lambda: "put back to an older state" in caplog.text)
    assert {name: log.kept()[name] for name in before if name != "ledger_pending"} == {
        name: before[name] for name in before if name != "ledger_pending"
    }
    assert size_of("ledger_pending") == 7


def test_another_history_in_place_of_the_promised_one(log, owner, tmp_path):
    """As long as it, longer, and shorter by nothing: only the roots tell."""
    older = size_of()
    acts(5)
    log.seal()
    kept = tmp_path / "kept"
    for more in (5, 8):
        log.root.rename(kept)
        owner.puts_back(older)
        owner.does("DELETE FROM ledger_checkpoint")
        acts(more)
        log.root.mkdir()
        log.seal()
        shutil.rmtree(log.root)
        kept.rename(log.root)
        refused(log, rf"The first {older + 5} entries .* its history was replaced\. Nothing is signed", PledgeBroken)
    many(300)
    refused(log, "its history was replaced", PledgeBroken)


# The promise


def test_a_damaged_promise(log):
    path = log.folder / "pledge.json"
    good = path.read_bytes()
    body = json.loads(good)
    acts(1)
    for bad in (
        b"", good[:-9], b"[]", b"\xff", b"null", *(
            json.dumps(body | change).encode()
            for change in (
                {"origin": "other.example/log"}, {"size": str(body["size"])}, {"size": True}, {"size": -1},
                {"root": body["root"][2:]}, {"root": "x" * 64}, {"root": None},
            )
        ),
    ):  # fmt: skip
        path.write_bytes(bad)
        with log.leading() as sequencer, pytest.raises(PledgeBroken, match=r"pledge\.json is damaged\. Nothing is"):
            sequencer.sequence_once()
        assert path.read_bytes() == bad
    path.write_bytes(good)
    log.seal()
    log.is_whole()


def test_a_lost_promise_is_made_anew_with_a_warning(log, caplog):
    path, shown = log.folder / "pledge.json", log.folder / "checkpoint"
    path.unlink()
    acts(1)
    log.seal()
    log.is_whole()
    assert not caplog.records, "the published file beside it said the same"
    assert path.exists()
    for damage in (shown.unlink, lambda: shown.write_bytes(b"torn"), lambda: shown.write_bytes(b"")):
        path.unlink()
        damage()
        log.seal()
        log.is_whole()
        assert path.exists()
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert f"{path} was lost; it is made anew from the database. Compare an anchored" in record.getMessage()
        caplog.clear()


def test_a_folder_that_was_lost_is_made_anew(log, tmp_path):
    """With every file, from the rows."""
    many(600)
    log.seal()
    files = {path: path.read_bytes() for path in log.folder.rglob("*") if path.is_file()}
    shutil.rmtree(log.folder)
    log.seal()
    again = {path: path.read_bytes() for path in log.folder.rglob("*") if path.is_file()}
    assert set(again) <= set(files), "but for narrower tiles of older trees"
    assert again == {path: files[path] for path in again}
    log.is_whole()
    log.is_verified(tmp_path)


def test_an_older_promise_is_kept_too(log):
    """The folder was restored from its backup, the database was not."""
    path, shown = log.folder / "pledge.json", log.folder / "checkpoint"
    older = path.read_bytes(), shown.read_bytes()
    acts(3)
    log.seal()
    for count in (0, 2):
        path.write_bytes(older[0])
        shown.write_bytes(older[1])
        acts(count)
        log.seal()
        log.is_whole()


def test_a_key_of_another_name_signs_nothing(tmp_path: Path):
    with pytest.raises(ValueError, match=r"No signing key bears the log's name a\.example/log\. Set LOG_KEY to"):
        Sequencer(None, tmp_path, [log_key("b.example/log")], "a.example/log")
