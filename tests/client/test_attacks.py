"""Each attack on a sealed log, done to its rows and tiles: the verifier names it and its place."""

from __future__ import annotations

import pytest

from ledger import merkle
from ledger.merkle import Tile
from tests.client.logs import (
    ORIGIN,
    PORTAL_KEY,
    Log,
    cosigned,
    event,
    receipt,
    run,
    zipped,
)

SIZE, STEPS = 700, (1, 100, 300, 301, 512, 650)
EVENTS = [event(number) for number in range(SIZE)]
SEALED = Log.sealed(EVENTS, *STEPS)


@pytest.fixture
def log():
    return Log(list(EVENTS), tiles=dict(SEALED.tiles), checkpoints=dict(SEALED.checkpoints))


@pytest.fixture
def verify(tmp_path):
    """Zips what a log gives and verifies it: `verify(log, "--key", …, files=…)`."""

    def call(log, *arguments, files=None, human=False):
        path = zipped(tmp_path / "bundle.zip", files or log.files())
        return run(path, *([] if human else ["--json"]), "--processes", 1, *arguments)

    return call


@pytest.fixture
def kept(tmp_path):
    """Files kept outside the portal."""

    def write(name, data):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def pinned(log):
    return "--key", log.key.vkey, "--key", PORTAL_KEY.vkey


def test_an_unaltered_log_is_verified_and_what_stays_open_is_said(verify, log):
    found = verify(log)
    assert (found.code, found.attacks) == (0, [])
    assert found.json["verified"] is True
    assert found.json["size"] == SIZE
    assert "pin it: --key '" + log.key.vkey in found.open
    assert "put back to an earlier state" in found.open
    assert "a forked history" in found.open
    assert "removed before it was sequenced" in found.open
    said = verify(log, human=True)
    assert said.code == 0
    assert said.out.startswith(f"Log: {ORIGIN}, 700 entries, root ")
    assert "\nVERIFIED\n" in said.out
    assert "Checked: 700 entries hash to their leaves, and 700 leaves to the signed root." in said.out
    assert said.out.count("Not ruled out: ") == 4


def test_nothing_stays_open_when_key_checkpoint_and_receipt_are_given(verify, log, kept):
    found = verify(
        log, *pinned(log), "--checkpoint", kept("kept", log.checkpoints[700]),
        "--receipt", kept("r", receipt(EVENTS[5], 5)),
    )  # fmt: skip
    assert (found.code, found.json["not_ruled_out"]) == (0, [])
    assert any(line.endswith("is entry 5") for line in found.json["checked"])


def test_an_older_checkpoint_leaves_a_fork_after_it_open(verify, log, kept):
    found = verify(log, "--checkpoint", kept("kept", log.checkpoints[300]))
    assert found.code == 0
    assert "a forked history from entry 300 on" in found.open


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 513])
def test_every_shape_of_tree_is_verified(verify, size):
    log = Log.sealed(EVENTS[:size], *(step for step in (1, 128, 256) if step < size))
    found = verify(log)
    assert (found.code, found.attacks, found.json["size"]) == (0, [], size)


# Row edited


@pytest.mark.parametrize("number", [0, 299, 511, 699])
def test_row_edited(verify, log, number):
    log.entries[number] = log.entries[number].replace(b'"done"', b'"gone"')
    found = verify(log)
    assert (found.code, found.places) == (1, [("row_edited", number, number)])
    said = verify(log, human=True).out
    assert f"NOT VERIFIED: row edited, entry {number} (model.registered, 2026-11-24T" in said
    assert "VERIFIED\n" not in said


def test_rows_edited_next_to_each_other_and_apart(verify, log):
    for number in (10, 11, 12, 400):
        log.entries[number] = b"{}"
    assert verify(log).places == [("row_edited", 10, 12), ("row_edited", 400, 400)]


def test_rows_that_changed_places_are_edited_not_moved(verify, log):
    log.entries[10], log.entries[11] = log.entries[11], log.entries[10]
    log.entries[698], log.entries[699] = log.entries[699], log.entries[698]
    assert verify(log).places == [("row_edited", 10, 11), ("row_edited", 698, 699)]


def test_many_edited_rows_are_counted(verify, log):
    for number in range(0, 100, 2):
        log.entries[number] = b"not even JSON"
    found = verify(log)
    assert len(found.places) == 21
    assert "30 further places" in found.json["findings"][-1]["sentence"]


# Row and its leaf edited


@pytest.mark.parametrize(("number", "low", "high"), [(5, 1, 99), (255, 100, 255), (256, 256, 299), (300, 300, 300)])
def test_row_and_its_leaf_edited_in_one_tile(verify, log, number, low, high):
    """Only the leaf tile was made anew: the level above tells, and the checkpoints narrow it down."""
    log.entries[number] = b"{}"
    log.rebuild(upto=1)
    found = verify(log)
    assert (found.code, found.places) == (1, [("leaf_edited", low, high)])
    assert found.json["findings"][0]["where"] == f"tile/0/{number // 256:03d}"


@pytest.mark.parametrize(("number", "low", "high"), [(0, 0, 0), (299, 100, 299), (512, 512, 649), (699, 650, 699)])
def test_row_and_its_leaf_edited_with_all_tiles_above(verify, log, number, low, high):
    log.entries[number] = b"{}"
    log.rebuild()
    found = verify(log)
    assert (found.code, found.places) == (1, [("leaf_edited", low, high)])
    assert "row and its leaf edited" in verify(log, human=True).out


def test_a_checkpoint_kept_elsewhere_narrows_the_place_down(verify, log, kept):
    sealed = Log.sealed(EVENTS, 320)
    log.entries[310] = b"{}"
    log.rebuild()
    assert verify(log, "--checkpoint", kept("k", sealed.checkpoints[320])).places == [("leaf_edited", 301, 319)]


def test_an_altered_leaf_alone_is_the_tile_and_not_the_row(verify, log):
    for tile in (Tile(0, 1), Tile(0, 2, 188)):
        log.tiles[tile] = bytes(32) + log.tiles[tile][32:]
    found = verify(log)
    assert (found.code, found.attacks) == (1, ["tile_altered", "tile_altered"])
    assert [one["where"] for one in found.json["findings"]] == ["tile/0/001", "tile/0/002.p/188"]


def test_an_altered_tile_does_not_hide_an_edited_row(verify, log):
    log.tiles[Tile(0, 1)] = bytes(32) + log.tiles[Tile(0, 1)][32:]
    log.entries[5] = b"{}"
    assert verify(log).places == [("tile_altered", None, None), ("row_edited", 5, 5)]


def test_an_altered_upper_tile_is_named(verify, log):
    log.tiles[Tile(1, 0, 2)] = log.tiles[Tile(1, 0, 2)][:32] + bytes(32)
    found = verify(log)
    assert (found.code, found.attacks) == (1, ["tile_altered"])
    assert found.json["findings"][0]["where"] == "tile/1/000.p/2"


# Row deleted, inserted, tail cut off


@pytest.mark.parametrize("number", [0, 255, 400])
def test_row_deleted_leaving_a_hole(verify, log, number):
    log.entries[number] = b""
    assert verify(log).places == [("row_deleted", number, number)]


@pytest.mark.parametrize(("first", "count"), [(0, 1), (255, 1), (400, 3), (697, 1), (698, 1)])
def test_row_deleted_and_the_rest_moved_up(verify, log, first, count):
    del log.entries[first : first + count]
    found = verify(log)
    assert (found.code, found.places) == (1, [("row_deleted", first, first + count - 1)])
    assert "too early" in found.json["findings"][0]["sentence"]


@pytest.mark.parametrize(("first", "count"), [(0, 1), (256, 2), (697, 1), (698, 1)])
def test_row_inserted_in_the_past(verify, log, first, count):
    log.entries[first:first] = [event(9000 + one) for one in range(count)]
    found = verify(log)
    assert (found.code, found.places) == (1, [("row_inserted", first, first + count - 1)])


def test_rows_inserted_behind_the_signed_end_of_a_tile(verify, log):
    files = Log.sealed(EVENTS[:512]).files()
    files["tile/entries/001"] += merkle.encode_entries([event(9000)])
    assert verify(log, files=files).attacks == ["row_inserted"]


@pytest.mark.parametrize("left", [699, 600, 512, 256, 0])
def test_tail_cut_off(verify, log, left):
    del log.entries[left:]
    found = verify(log)
    assert (found.code, found.places) == (1, [("tail_cut", left, 699)])


def test_tail_cut_off_with_its_files(verify, log):
    files = log.files()
    del files["tile/entries/002.p/188"]
    assert verify(log, files=files).places == [("tail_cut", 512, 699)]


def test_tail_cut_off_but_a_newer_checkpoint_is_in_the_bundle(verify, log):
    old = Log.sealed(EVENTS[:650])
    files = {**old.files(), "checkpoints/700": log.checkpoints[700]}
    assert verify(log, files=files).places == [("tail_cut", 650, 699)]
    files = {**old.files(), "anchors/w1/700": cosigned(log.checkpoints[700])}
    assert verify(log, files=files).places == [("tail_cut", 650, 699)]


def test_tail_cut_off_in_words_only(verify, log):
    files = log.files()
    files["bundle.json"] = files["bundle.json"].replace(b'"size": 700', b'"size": 699')
    assert verify(log, files=files).places == [("tail_cut", 699, 699)]


# Whole database put back, history forked, event removed before it was sequenced


def test_whole_database_put_back(verify, log, kept):
    old = Log.sealed(EVENTS[:300], 100)
    found = verify(old, "--checkpoint", kept("kept", log.checkpoints[700]))
    assert (found.code, found.places) == (1, [("restored", 300, 699)])
    assert "whole database put back" in verify(old, "--checkpoint", kept("kept", log.checkpoints[700]), human=True).out
    silent = verify(old)
    assert silent.code == 0
    assert "that the whole database was put back to an earlier state" in silent.open


def test_history_forked(verify, log, kept):
    other = Log.sealed([*EVENTS[:400], *(event(5000 + number) for number in range(300))], 300, 350, 512)
    found = verify(other, "--checkpoint", kept("kept", log.checkpoints[650]))
    assert (found.code, found.places) == (1, [("forked", 0, 649)])
    common = kept("common", log.checkpoints[300])
    narrower = verify(other, "--checkpoint", kept("kept", log.checkpoints[650]), "--checkpoint", common)
    assert narrower.places == [("forked", 300, 649)]
    assert "history forked" in verify(other, "--checkpoint", kept("kept", log.checkpoints[650]), human=True).out
    silent = verify(other)
    assert silent.code == 0
    assert "a forked history" in silent.open


def test_history_forked_within_the_bundle_or_among_what_was_kept(verify, log, kept):
    other = Log.sealed([*EVENTS[:400], event(5000)])
    files = {**log.files(), "checkpoints/401": other.checkpoints[401]}
    assert verify(log, files=files).places == [("forked", 0, 400)]
    old = Log.sealed(EVENTS[:300])
    a, b = kept("a", log.checkpoints[700]), kept("b", Log.sealed([*EVENTS[1:], EVENTS[0]]).checkpoints[700])
    assert verify(old, "--checkpoint", a, "--checkpoint", b).attacks == ["forked", "restored"]


def test_a_folder_of_kept_checkpoints(verify, log, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    assert "holds no checkpoint" in verify(log, "--checkpoint", folder).json["unusable"]
    for size, note in log.checkpoints.items():
        (folder / str(size)).write_bytes(note)
    found = verify(log, "--checkpoint", folder)
    assert found.code == 0
    assert "7 kept elsewhere fit the tree" in found.json["checked"][1]


def test_event_removed_before_it_was_sequenced(verify, log, kept):
    gone = Log.sealed(EVENTS[:50] + EVENTS[51:])
    promise = kept("promise", receipt(EVENTS[50], 50))
    found = verify(gone, "--receipt", promise)
    assert (found.code, found.attacks) == (1, ["removed_before_sealing"])
    assert "00000032" in found.json["findings"][0]["where"]
    assert "event removed before it was sequenced" in verify(gone, "--receipt", promise, human=True).out
    assert verify(gone).code == 0


def test_a_receipt_newer_than_the_bundle_decides_nothing(verify, kept):
    old = Log.sealed(EVENTS[:50])
    found = verify(old, "--receipt", kept("promise", receipt(EVENTS[50], 50)))
    assert found.code == 0
    assert "Take a later bundle" in found.open
    empty = verify(Log.sealed([]), "--receipt", kept("promise", receipt(EVENTS[50], 50)))
    assert empty.code == 0
    assert "no known time" in empty.open


def test_receipts_in_the_bundle_count_too(verify, log):
    files = {**log.files(), "receipts/5": receipt(event(9000), 5)}
    assert verify(log, files=files).attacks == ["removed_before_sealing"]
