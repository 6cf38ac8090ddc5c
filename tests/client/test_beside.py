"""Keys, witnesses, anchors, disclosures and records of a bundle."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from ledger.notes import SigningKey
from tests.client.logs import OTHER_KEY, WITNESS, Log, cosigned, event, run, stamp, told, zipped

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


# Keys, witnesses, time stamps


def test_a_log_signed_by_another_key_is_not_the_pinned_one(verify, log):
    forged = Log.sealed(EVENTS[:10], key=OTHER_KEY)
    assert verify(forged).code == 0
    found = verify(forged, "--key", log.key.vkey)
    assert (found.code, found.attacks) == (1, ["signature_invalid"])


def test_a_log_of_another_name_does_not_pass_by_its_own_keys_where_one_was_pinned(verify, log):
    other = SigningKey.generate("another.example/log")
    found = verify(log, "--key", other.vkey)
    assert (found.code, found.attacks) == (1, ["signature_invalid"])


def test_an_altered_checkpoint_is_named(verify, log):
    files = log.files()
    root = base64.b64encode(bytes(32))
    lines = files["checkpoint"].split(b"\n")
    files["checkpoint"] = b"\n".join([*lines[:2], root, *lines[3:]])
    files["bundle.json"] = files["bundle.json"].replace(lines[2], root)
    assert verify(log, files=files).attacks == ["signature_invalid", "leaf_edited"]
    files = log.files()
    files["checkpoints/300"] = files["checkpoints/300"].replace(files["checkpoints/300"].split(b"\n")[2], root)
    assert verify(log, files=files).attacks == ["checkpoint_altered"]
    files = {**log.files(), "checkpoints/800": log.checkpoints[700].replace(b"\n700\n", b"\n800\n")}
    assert verify(log, files=files).attacks == ["checkpoint_altered"]


def test_witnesses(verify, log):
    files = {**log.files(), "anchors/w1/650.note": cosigned(log.checkpoints[650])}
    found = verify(log, "--witness", WITNESS.vkey, files=files)
    assert found.code == 0
    assert any("saw the first 650 entries at POSIX time 1700000000" in line for line in found.json["checked"])
    assert "a forked history from entry 650 on" in found.open
    log.keys.append(WITNESS)
    found = verify(log, files={**log.files(), "checkpoint": cosigned(log.checkpoints[700])})
    assert any("by a key from the bundle" in line for line in found.json["checked"])
    assert verify(log).code == 0
    assert verify(log, "--witness", WITNESS.vkey).attacks == ["not_witnessed"]
    moved = {**log.files(), "checkpoint": log.checkpoints[700] + cosigned(log.checkpoints[650]).splitlines(True)[-1]}
    assert verify(log, "--witness", WITNESS.vkey, files=moved).attacks == ["signature_invalid"]


def test_anchors(verify, log):
    files = {
        **log.files(), "anchors/tsa/650.tsr": stamp(log.checkpoints[650]), "anchors/s3/650.json": b"{}",
        "anchors/tsa/700.tsr": stamp(log.checkpoints[700]),
    }  # fmt: skip
    found = verify(log, files=files)
    assert found.code == 0
    assert any(line.startswith("2 time stamps name") for line in found.json["checked"])
    assert any(line.startswith("1 anchor receipts only say where") for line in found.json["checked"])
    files["anchors/tsa/650.tsr"] = stamp(log.checkpoints[700])
    assert verify(log, files=files).attacks == ["anchor_altered"]


# Disclosures and records


def test_disclosures_and_records(verify):
    record = '{"name":"α"}'
    digest = "sha256:" + hashlib.sha256(record.encode()).hexdigest()
    names = [f'Vera {number} “\n\t"\\\u0001' for number in range(300)]
    events = [event(n, {"actor_name": names[n]}, records={"registry.model/5": digest}) for n in range(300)]
    log = Log.sealed(events)
    lines = [told(number, "actor_name", names[number]) for number in range(300) if number % 3]
    records = [{"event": told(7, "", "")["event"], "object": "registry.model/5", "bytes": record}]
    found = verify(log, files=log.files(disclosures=lines, records=records))
    assert found.code == 0
    assert "200 disclosures fit the digests in their events" in found.json["checked"]
    assert "1 records fit the digests in their events" in found.json["checked"]
    assert verify(log, files=log.files(disclosures=lines[::-1])).code == 0
    compact = [json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for line in lines]
    assert verify(log, files={**log.files(), "disclosures.jsonl": b"".join(compact)}).code == 0

    altered = [*lines[:5], {**lines[5], "value": "Somebody else"}, *lines[6:]]
    compact[5] = compact[5].replace(b"Vera", b"Vero")
    found = verify(log, files={**log.files(), "disclosures.jsonl": b"".join(compact)})
    assert found.places == [("disclosure_altered", 8, 8)]
    unseen = verify(log, "--entries-only", files={**log.files(), "disclosures.jsonl": b"".join(compact)})
    assert unseen.code == 0
    assert "they were not looked at" in unseen.open
    found = verify(log, files=log.files(disclosures=altered))
    assert found.places == [("disclosure_altered", 8, 8)]
    assert found.json["findings"][0]["where"] == "disclosures.jsonl, line 6"
    for wrong in ({"salt": "AAAA"}, {"label": "reason"}):
        assert verify(log, files=log.files(disclosures=[{**lines[0], **wrong}])).attacks == ["disclosure_altered"]
    unknown = verify(log, files=log.files(disclosures=[told(9000, "actor_name", "x")]))
    assert unknown.places == [("disclosure_altered", None, None)]
    found = verify(log, files=log.files(records=[{**records[0], "bytes": "{}"}]))
    assert found.places == [("record_altered", 7, 7)]


def test_part_of_a_log(verify, log):
    """A bundle may hold only some entries: the others are checked by their leaves, and that is said."""
    files = log.files()
    files["bundle.json"] = files["bundle.json"].replace(b'"first": 0', b'"first": 300').replace(b": 699,", b": 599,")
    del files["tile/entries/000"]
    found = verify(log, files=files)
    assert found.code == 0
    assert found.json["checked"][0].startswith("300 entries")
    assert "withholds" in found.open
    log.entries[40:60] = [b""] * 20
    files = log.files()
    files["bundle.json"] = files["bundle.json"].replace(b'"filter": {}', b'"filter": {"team": "3"}')
    assert verify(log, files=files).code == 0
    log.entries[70] = b"{}"
    files["tile/entries/000"] = log.files()["tile/entries/000"]
    assert verify(log, files=files).places == [("row_edited", 70, 70)]
