"""What cannot be judged ends with 2 and one line, whatever it is."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ledger import merkle
from ledger.notes import COSIGNATURE, SigningKey, proof_text
from tests.client.logs import LOG_KEY, ORIGIN, OTHER_KEY, PORTAL_KEY, SCRIPT, Log, event, receipt, run, verifier, zipped

EVENTS = [event(number) for number in range(300)]
LOG = Log.sealed(EVENTS, 100)
FILES = LOG.files()


def unusable(*arguments) -> str:
    """The line that verification ends with."""
    said = run(*arguments)
    assert said.code == 2, said.out
    assert said.out == ""
    assert said.err.startswith("countersign-verify: ")
    assert said.err.count("\n") == 1
    as_json = run(*arguments, "--json")
    assert (as_json.code, as_json.json["verified"]) == (2, False)
    return str(as_json.json["unusable"])


@pytest.fixture
def bundle(tmp_path):
    """Zips the good files with some replaced; None takes one out."""

    def make(changes=None, method=zipfile.ZIP_STORED):
        files = {**FILES, **(changes or {})}
        return zipped(tmp_path / "b.zip", {name: data for name, data in files.items() if data is not None}, method)

    return make


def about(**changes) -> bytes:
    return json.dumps({**json.loads(FILES["bundle.json"]), **changes}).encode()


def test_no_bundle_at_all(tmp_path):
    (tmp_path / "text").write_text("no zip")
    (tmp_path / "empty").mkdir()
    assert "cannot be read" in unusable(tmp_path / "absent")
    assert "is not a zip file" in unusable(tmp_path / "text")
    assert "lacks bundle.json" in unusable(tmp_path / "empty")
    assert "--help" in unusable()
    assert "--help" in unusable("--nonsense", "x")


@pytest.mark.parametrize("part", [0, 10, 0.3, 0.9, 0.999])
def test_truncated(bundle, tmp_path, part):
    whole = bundle().read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: int(part if part > 1 else part * len(whole))])
    assert "truncated" in unusable(cut)


def test_one_flipped_bit_in_each_region_is_noticed(bundle, tmp_path):
    whole = bundle().read_bytes()
    flipped = tmp_path / "flipped.zip"
    for at in range(40, len(whole), len(whole) // 60):
        flipped.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        said = run(flipped, "--processes", 1)
        assert said.code in (0, 2), said.out  # a zip holds bytes that mean nothing, such as dates
        assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("../evil", "outside itself"),
        ("/etc/passwd", "outside itself"),
        ("C:evil", "outside itself"),
        ("tile/0/../../x", "outside itself"),
        ("evil.exe", "does not belong there"),
        ("tile/0/1", "does not belong there"),
        ("tile/64/000", "does not belong there"),
        ("tile/0/000.p/0", "does not belong there"),
        ("anchors/a/b/c", "does not belong there"),
        ("checkpoints/007", "does not belong there"),
    ],
)
def test_foreign_names(bundle, name, line):
    assert line in unusable(bundle({name: b"x"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names(bundle):
    path = bundle()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tile/0/000", b"")
    assert "twice" in unusable(path)


def test_bombs_and_absurd_sizes(bundle):
    assert "no honest size" in unusable(bundle({"disclosures.jsonl": bytes(20 << 20)}, zipfile.ZIP_DEFLATED))
    assert "no honest size" in unusable(bundle({"tile/0/000": bytes(9000)}))
    assert "no honest size" in unusable(bundle({"tile/entries/000": bytes(17 << 20)}))
    assert "no honest size" in unusable(bundle({"README.txt": bytes(17 << 20)}))


def test_packed_bundles_and_methods(bundle):
    assert run(bundle(method=zipfile.ZIP_DEFLATED)).code == 0
    assert "is damaged" in unusable(with_method(bundle(method=zipfile.ZIP_DEFLATED), 99))
    assert "is damaged" in unusable(encrypted(bundle()))


def with_method(path: Path, method: int) -> Path:
    """Every file in the central directory claims another compression."""
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 10] = method
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(bytes(data))
    return path


def encrypted(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"a": 1' + b"0" * 10_000 + b"}", "not a JSON object"),
        (b'{"format": 1, "format": 2}', "names something twice"),
        (b"{}", "names the format"),
        (about(format="other/9"), "names the format"),
        (about(origin="other.example"), "do not name the same log"),
        (about(keys=None), "no list of keys"),
        (about(keys=[1]), "no list of keys"),
        (about(keys=["nonsense"]), "not a verifier key"),
        (about(keys=["a+00000000+" + LOG_KEY.vkey.split("+", 2)[2]]), "does not match its id"),
        (about(size="300"), "no usable number for size"),
        (about(last=[]), "no usable number for last"),
        (about(size=True), "no usable number for size"),
        (about(size=-2), "no usable number for size"),
        (about(first=1 << 60), "no usable number for first"),
        (about(size=301), "do not say the same"),
        (about(root="AAAA"), "do not say the same"),
    ],
)
def test_wrong_json(bundle, data, line):
    assert line in unusable(bundle({"bundle.json": data}))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda note: b"", "not a signed note"),
        (lambda note: note[:-1], "not a signed note"),
        (lambda note: note.replace(b"\n\n", b"\n"), "not a signed note"),
        (lambda note: note.replace("—".encode(), b"-"), "not a signed note"),
        (lambda note: note.replace(b"\n300\n", b"\n300\r\n"), "not a signed note"),
        (lambda note: b"\xff" + note, "not UTF-8"),
        (lambda note: note.replace(b"\n300\n", b"\n0300\n"), "not a decimal number"),
        (lambda note: note.replace(b"\n300\n", b"\n9999999999999\n"), "not a decimal number"),
        (lambda note: note.replace(b"\n300\n", b"\n-1\n"), "not a decimal number"),
        (lambda note: note.replace(b"=\n\n", b"\n\n", 1), "is not base64"),
        (lambda note: note.replace(note.split(b"\n")[2], b"AAAA"), "has not 32 bytes"),
        (lambda note: b"\n".join([b"one", *note.split(b"\n")[3:]]), "not a checkpoint"),
        (lambda note: note + note.splitlines(True)[-1] * 100, "not a signed note"),
        (lambda note: note + "— x AAAA\n".encode(), "not a signed note"),
    ],
)
def test_wrong_notes(bundle, change, line):
    assert line in unusable(bundle({"checkpoint": change(FILES["checkpoint"])}))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"checkpoint": None}, "lacks checkpoint"),
        ({"tile/0/000": None}, "lacks tile/0/000, which"),
        ({"tile/1/000.p/1": None}, "lacks tile/1/000.p/1, which"),
        ({"tile/0/000": FILES["tile/0/000"][:-1]}, "tile/0/000 has not 8192 bytes"),
        ({"tile/entries/000": b"\x00"}, "ends within an entry"),
        ({"tile/entries/000": b"\x00\x05abc"}, "ends within an entry"),
        ({"checkpoints/101": LOG.checkpoints[100]}, "of another log or size"),
        ({"disclosures.jsonl": b"{}\n"}, "line 1 lacks one of event, label, salt, value"),
        ({"disclosures.jsonl": b'{"event": 1, "label": "", "salt": "", "value": ""}\n'}, "lacks one of"),
        ({"disclosures.jsonl": b"nonsense\n"}, "line 1 is not a JSON object"),
        ({"disclosures.jsonl": b"x" * (9 << 20)}, "line 1 is too long"),
        ({"records.jsonl": b'{"event": "\\ud800", "object": "", "bytes": ""}\n'}, "not Unicode"),
        ({"receipts/1": b""}, "not a signed note"),
        ({"receipts/1": LOG.checkpoints[100]}, "not a receipt"),
    ],
)
def test_wrong_files(bundle, changes, line):
    assert line in unusable(bundle(changes))


def test_what_was_kept_elsewhere_must_be_genuine(bundle, tmp_path):
    def kept(data):
        (tmp_path / "kept").write_bytes(data)
        return tmp_path / "kept"

    good = LOG.checkpoints[300]
    other = Log.sealed(EVENTS[:20], key=OTHER_KEY).checkpoints[20]
    assert "cannot be read" in unusable(bundle(), "--checkpoint", tmp_path / "absent")
    assert "is not signed by a key of" in unusable(bundle(), "--checkpoint", kept(other))
    assert "is not signed by a key of" in unusable(bundle(), "--checkpoint", kept(good.replace(b"\n300\n", b"\n301\n")))
    assert "is of the log 'other'" in unusable(bundle(), "--checkpoint", kept(good.replace(ORIGIN.encode(), b"other")))
    promise = receipt(EVENTS[1], 1)
    assert "is a receipt of the log 'other'" in unusable(
        bundle(), "--receipt", kept(receipt(EVENTS[1], 1, origin="other"))
    )
    assert "damaged or forged" in unusable(bundle(), "--receipt", kept(promise.replace(b"T00", b"T01")))
    assert "no key that is known" in unusable(
        bundle(), "--receipt", kept(receipt(EVENTS[1], 1, SigningKey.generate("else")))
    )
    said = run(bundle(), "--receipt", kept(promise), "--key", LOG_KEY.vkey, "--json")
    assert said.code == 0
    assert any("a key that came from the bundle itself" in line for line in said.json["checked"])


def test_keys(bundle, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"# of the log\n{LOG_KEY.vkey}\n\n{PORTAL_KEY.vkey}\n")
    assert run(bundle(), "--key", keys).code == 0
    keys.write_text("# none\n")
    assert "holds no key" in unusable(bundle(), "--key", keys)
    assert "is not a verifier key" in unusable(bundle(), "--key", "nonsense")
    assert "is not base64" in unusable(bundle(), "--key", "a+00000000+!")
    assert "is not an Ed25519 key" in unusable(bundle(), "--key", "a+00000000+AAAA")
    keys.write_bytes(b"\xff")
    assert "not UTF-8" in unusable(bundle(), "--key", keys)


def test_an_unpacked_bundle(tmp_path):
    for name, data in FILES.items():
        path = tmp_path / "log" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert run(tmp_path / "log").code == 0
    (tmp_path / "log" / "tile" / "0" / "000").write_bytes(b"")
    assert "has not 8192 bytes" in unusable(tmp_path / "log")
    (tmp_path / "log" / "receipts").symlink_to(tmp_path)
    assert "holds a link" in unusable(tmp_path / "log")


# One proof, and two checkpoints


@pytest.fixture
def proof(tmp_path):
    def make(index=7, change=lambda text: text, entry=None):
        hashes = merkle.inclusion(index, 300, merkle.tiled(300, LOG.tiles.__getitem__))
        (tmp_path / "proof").write_bytes(change(proof_text(index, hashes, LOG.checkpoints[300], b"extra")))
        (tmp_path / "entry").write_bytes(EVENTS[index] if entry is None else entry)
        return "proof", tmp_path / "proof", "--entry", tmp_path / "entry"

    return make


def test_one_proof(proof):
    key = "--key", LOG_KEY.vkey
    for index in (0, 7, 255, 256, 299):
        said = run(*proof(index), *key, "--json")
        assert said.code == 0
        assert said.json["checked"] == [f"these bytes are entry {index} of the 300 that were signed"]
    assert run(*proof(entry=b"{}"), *key, "--json").places == [("row_edited", 7, 7)]
    assert "an entry has none" in run(*proof(entry=EVENTS[7] + b"\n"), *key).out
    moved = run(*proof(change=lambda text: text.replace(b"index 7", b"index 8")), *key, "--json")
    assert moved.attacks == ["row_edited"]
    assert run(*proof(), "--key", OTHER_KEY.vkey, "--json").attacks == ["signature_invalid"]
    witness = SigningKey.generate("w", COSIGNATURE)
    assert run(*proof(), *key, "--witness", witness.vkey, "--json").attacks == ["not_witnessed"]
    body = LOG.checkpoints[300].split(b"\n\n")[0] + b"\n"
    seen = proof(change=lambda text: text + witness.line(body, 99))
    assert "w saw it at POSIX time 99" in run(*seen, *key, "--witness", witness.vkey).out


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: b"", "is not a proof"),
        (lambda text: text.replace(b"@v1", b"@v2"), "is not a proof"),
        (lambda text: text.replace(b"index 7\n", b""), "names no index"),
        (lambda text: text.replace(b"index 7", b"index seven"), "not a decimal number"),
        (lambda text: text.replace(b"index 7", b"index 300"), "not a proof within a tree"),
        (lambda text: text.replace(b"index 7\n", b"index 7\nAAAA\n"), "not a proof within a tree"),
        (lambda text: text.replace(b"index 7\n", b"index 7\n?\n"), "is not base64"),
    ],
)
def test_wrong_proofs(proof, change, line):
    assert line in unusable(*proof(change=change), "--key", LOG_KEY.vkey)
    assert "give that of" in unusable(*proof())


def test_consistency(bundle, tmp_path):
    def pair(old: bytes, new: bytes):
        (tmp_path / "old").write_bytes(old)
        (tmp_path / "new").write_bytes(new)
        return "consistency", tmp_path / "old", tmp_path / "new", "--bundle", bundle()

    good = LOG.checkpoints
    said = run(*pair(good[100], good[300]))
    assert said.code == 0
    assert "the log of 300 entries begins with that of 100" in said.out
    assert run(*pair(good[100], good[100]), "--key", LOG_KEY.vkey, "--json").json["not_ruled_out"] == []
    fork = Log.sealed([event(9), *EVENTS[1:]], 100)
    assert run(*pair(fork.checkpoints[100], good[300]), "--json").attacks == ["forked"]
    assert run(*pair(good[100], fork.checkpoints[300]), "--json").attacks == ["forked"]
    assert run(*pair(good[300], fork.checkpoints[300]), "--json").attacks == ["forked"]
    longer = Log.sealed([*EVENTS, event(9)])
    assert "too few" in unusable(*pair(good[100], longer.checkpoints[301]))
    foreign = good[100].replace(ORIGIN.encode(), b"other")
    assert "is of the log 'other'" in unusable(*pair(foreign, good[300]))
    compared = pair(good[100], good[300])[:-1]
    assert "verify it, or take another" in unusable(*compared, bundle({"tile/0/000": bytes(8192)}))


# The file itself


def test_the_file_is_python_3_9_and_imports_only_what_python_brings():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def pythons() -> list[str]:
    found = [path for name in ("python3.9", "python3.10", "python3.13") if (path := shutil.which(name))]
    works = [path for path in found if subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0]
    return [sys.executable, *works]


@pytest.mark.parametrize("python", pythons())
def test_it_runs_alone_without_any_package(bundle, tmp_path, python):
    alone = tmp_path / "verify.py"
    shutil.copy(SCRIPT, alone)
    for path, code in ((bundle(), 0), (tmp_path / "absent", 2)):
        done = subprocess.run([python, "-I", "-S", alone, path], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("VERIFIED" in done.stdout) is (code == 0)
        assert done.stderr.count("\n") == (code == 2)


def test_several_processes_find_what_one_finds(bundle, monkeypatch):
    broken = Log(list(EVENTS), tiles=LOG.tiles, checkpoints=LOG.checkpoints)
    broken.entries[280] = b"{}"
    path = bundle(broken.files())
    one = run(path, "--json", "--processes", 1)
    monkeypatch.setattr(verifier, "PARALLEL_FROM", 1)
    assert run(path, "--json", "--processes", 2) == one
    assert one.places == [("row_edited", 280, 280)]
