"""The evidence pack: what is in it, and that its verifier names whatever is not as it was signed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from approvals.pack import summary
from approvals.pack.gathering import gathered
from approvals.services import revise, submit, withdraw
from ledger.canonical import sha256
from ledger.keys import portal_key
from registry.services import edit_card
from tests.approvals import policies
from tests.approvals import world as approvals
from tests.approvals.findings_world import a_finding, a_risk
from tests.approvals.packing import (
    FORGER,
    WITNESS,
    Files,
    a_signed_request,
    packed,
    reanswered,
    resigned,
    unzipped,
    zipped,
)
from tests.client.logs import Verdict, run
from tests.sealing import log_key, seal_now

BUILT: dict[str, Any] = {}


@pytest.fixture
def built(request) -> dict[str, Any]:
    """The files of one world's pack, and what its summary says: made once, as the tests need no database for them."""
    if not BUILT:
        cast = request.getfixturevalue("cast")
        signed = a_signed_request(cast)
        BUILT["told"] = summary.told(gathered(signed))
        BUILT["files"] = unzipped(packed(cast.auditor, signed)[1])
    return BUILT


@pytest.fixture
def files(built) -> Files:
    return dict(built["files"])


@pytest.fixture
def keys(settings) -> list[str]:
    return ["--key", log_key(settings.LOG_ORIGIN).vkey, "--key", portal_key().vkey]


@pytest.fixture
def verdict(tmp_path):
    def look(files: Files, *given: str) -> Verdict:
        return run(zipped(tmp_path / "pack.zip", files), *given, "--json")

    return look


def found(said: Verdict) -> list[tuple[str, str]]:
    assert said.code == 1, said.out
    return [(one["attack"], one["where"]) for one in said.json["findings"]]


def only(files: Files, pattern: str) -> str:
    (name,) = [name for name in files if re.fullmatch(pattern, name)]
    return name


class TestVerifying:
    def test_it_verifies_alone_on_a_bare_python(self, files, keys, tmp_path):
        pack, script = zipped(tmp_path / "pack.zip", files), tmp_path / "verify.py"
        script.write_bytes(files["verify.py"])
        command = [sys.executable, "-I", "-S", script, pack, *keys, "--witness", WITNESS.vkey]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[0].startswith("Evidence pack: request ")
        assert lines[2] == "VERIFIED"
        assert "the gate said yes (active)" in done.stdout
        assert "3 decisions are as the log sealed them" in done.stdout
        assert "5 pieces of evidence" in done.stdout
        assert "witness.example/w1 saw the first" in done.stdout
        assert "came from the pack itself" not in done.stdout
        assert "Not in the pack: the model's bytes" in done.stdout

    def test_without_keys_it_says_whom_it_trusted(self, files, verdict):
        said = verdict(files)
        assert said.code == 0, said.out
        assert "the log's key came from the pack itself" in said.open
        assert f"Pin it: --key '{portal_key().vkey}'" in said.open
        assert "another history" in said.open

    def test_one_byte_changed_in_any_file_is_named(self, files, keys, tmp_path):
        folder = tmp_path / "pack"
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        assert run(folder, *keys).code == 0
        for name, data in files.items():
            first = name.startswith(("pack.", "keys/"))  # what is looked at before there is an index to believe
            for at in (0, len(data) // 2, len(data) - 1) if first else (len(data) // 2,):
                (folder / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
                for given in (keys, []) if first else (keys,):
                    said = run(folder, *given, "--json")
                    assert found(said)[0][1] == name, (name, at, said.out)
            (folder / name).write_bytes(data)

    def test_files_removed_added_and_swapped_are_named(self, files, keys, verdict):
        of_each_kind = {name.partition("/")[0]: name for name in files if name not in ("pack.json", "pack.note")}
        for name in of_each_kind.values():
            rest = {one: data for one, data in files.items() if one != name}
            assert found(verdict(rest, *keys)) == [("file_missing", name)]
        for name in ("evidence/999/more.txt", "bundle.json", "NOTES.md"):
            assert found(verdict({**files, name: b"{}"}, *keys)) == [("file_added", name)]
        one, two = "revisions/1.json", "revisions/2.json"
        swapped = {**files, one: files[two], two: files[one]}
        assert found(verdict(swapped, *keys)) == [("file_altered", one), ("file_altered", two)]

    def test_who_signs_the_index_anew_with_another_key_is_found_twice(self, files, keys, verdict):
        name = max((one for one in files if one.startswith("decisions/")), key=lambda one: (len(one), one))
        record = json.loads(files[name])
        forged = resigned({**files, name: json.dumps({**record, "meaning": "Nothing."}).encode()}, FORGER)
        assert found(verdict(forged, *keys))[:2] == [("signature_invalid", "pack.note"), ("decision_altered", name)]
        unpinned = found(verdict(forged))
        assert unpinned[0] == ("decision_altered", name)
        assert ("signature_invalid", "gate.dsse.json") not in unpinned

    def test_a_decision_cannot_be_left_out(self, files, keys, verdict, settings):
        name = max((one for one in files if one.startswith("decisions/")), key=lambda one: (len(one), one))
        record = json.loads(files.pop(name))
        assert ("decision_missing", name) in found(verdict(resigned(files), *keys))
        sealed = [one for one in files if one.startswith("entries/") and name_of(files[one]) == name]
        for one in sealed:
            del files[one], files[one.replace("entries", "proofs").replace(".json", ".tlog-proof")]
        said = found(verdict(resigned(files), *keys))
        assert [attack for attack, _ in said][:2] == ["answer_altered", "decision_missing"]
        assert record["signer"] in said[1][1]

    def test_whoever_has_the_portals_key_cannot_change_what_was_signed(self, files, keys, verdict):
        """The index fits and is signed: only the log and the digests in it stand against this."""
        entry, proof = (
            min(name for name in files if name.startswith(begin)) for begin in ("entries/", "proofs/")
        )  # fmt: skip
        evidence = min(name for name in files if name.startswith("evidence/"))
        decision = min(name for name in files if name.startswith("decisions/"))
        told = files["disclosures.jsonl"].replace(b"Replicated", b"Invented..", 1)
        manifest = files["manifest.json"].replace(b"mortgage-screening", b"mortgage-answering")
        other = max(name for name in files if name.startswith("entries/"))
        tampered = {
            "entry": ({entry: files[entry].replace(b'"v":1', b'"v":2')}, "row_edited", entry),
            "proof": ({proof: files[max(one for one in files if one.startswith("proofs/"))]}, "row_edited", proof),
            "entries swapped": ({entry: files[other], other: files[entry]}, "row_edited", entry),
            "evidence": ({evidence: b"rosy"}, "evidence_altered", evidence),
            "evidence beside": ({"evidence/999/x": b"rosy"}, "evidence_altered", "evidence/999/x"),
            "policy": ({"policy.json": b"{}"}, "policy_altered", "policy.json"),
            "manifest": ({"manifest.json": manifest}, "manifest_altered", "manifest.json"),
            "revision": ({"revisions/2.json": manifest}, "manifest_altered", "revisions/2.json"),
            "a revision more": ({"revisions/3.json": manifest}, "manifest_altered", "revisions/3.json"),
            "a decision more": ({"decisions/999.json": files[decision]}, "decision_altered", "decisions/999.json"),
            "a reason": ({"disclosures.jsonl": told}, "disclosure_altered", "disclosures.jsonl, line"),
            "key set": ({"keys/jwks.json": b'{"keys": []}'}, "signature_invalid", "keys/jwks.json"),
            "cosignature": (
                {name: flipped(data) for name, data in files.items() if name.startswith("anchors/witness/")},
                "signature_invalid", "anchors/witness/",
            ),
        }  # fmt: skip
        for what, (changed, attack, where) in tampered.items():
            said = found(verdict(resigned({**files, **changed}), *keys, "--witness", WITNESS.vkey))
            assert any(one[0] == attack and one[1].startswith(where) for one in said), (what, said)
        for name, attack in ((evidence, "evidence_altered"), ("revisions/1.json", "manifest_altered")):
            rest = {one: data for one, data in files.items() if one != name}
            assert attack in [one for one, _ in found(verdict(resigned(rest), *keys))]

    def test_the_gates_answer_is_about_these_files(self, files, keys, verdict):
        def of(statement):
            return statement["predicate"]["urn:countersign:gate-result:v1"]

        def other_bytes(statement):
            statement["subject"][0]["digest"]["sha256"] = "0" * 64

        def other_manifest(statement):
            of(statement)["revision_digest"] = sha256(b"x")

        def more(statement):
            statement["predicate"]["inputAttestations"].append({"uri": "x", "digest": {"sha256": "1" * 64}})

        def less(statement):
            del statement["predicate"]["inputAttestations"][-1]

        def signer(statement):
            of(statement)["requirements"][0]["signers"] = ["somebody else"]

        for change in (other_bytes, other_manifest, more, less):
            said = found(verdict(resigned(reanswered(files, change)), *keys))
            assert ("answer_altered", "gate.dsse.json") in said, change.__name__
        said = found(verdict(resigned(reanswered(files, signer)), *keys))
        assert said == [("decision_missing", "the signature of somebody else for validation")]
        envelope = json.loads(files["gate.dsse.json"])
        envelope["signatures"] = []
        unsigned = {**files, "gate.dsse.json": json.dumps(envelope).encode()}
        assert found(verdict(resigned(unsigned), *keys)) == [("signature_invalid", "gate.dsse.json")]

    def test_checkpoints_and_receipts_kept_elsewhere(self, files, keys, verdict, tmp_path, settings):
        from ledger.notes import Checkpoint, sign
        from tests.client.logs import receipt

        kept = tmp_path / "kept"
        smaller = only(files, "checkpoints/[0-9]+")
        for name in ("checkpoint", smaller):
            kept.write_bytes(files[name])
            said = verdict(files, *keys, "--checkpoint", str(kept))
            assert said.code == 0, said.out
            assert ("another history" in said.open) is (name != "checkpoint")
        size = int(smaller.partition("/")[2])
        for count, code, words in ((size, 1, "forked"), (size - 1, 0, "has no proof from that size")):
            forked = Checkpoint(settings.LOG_ORIGIN, count, b"\1" * 32).body()
            kept.write_bytes(sign(forked, [log_key(settings.LOG_ORIGIN)]))
            said = verdict(files, *keys, "--checkpoint", str(kept))
            assert said.code == code, said.out
            assert words in said.out
        entry = min(name for name in files if name.startswith("entries/"))
        for raw, words in ((files[entry], "is entry"), (b"{}", "Verify a log bundle with it")):
            kept.write_bytes(receipt(raw, 1, portal_key(), settings.LOG_ORIGIN))
            said = verdict(files, *keys, "--receipt", str(kept))
            assert said.code == 0, said.out
            assert words in said.out


def flipped(note: bytes) -> bytes:
    """A witness's signature that is none: another time."""
    import base64

    text, _, code = note[:-1].rpartition(b" ")
    raw = bytearray(base64.b64decode(code))
    raw[-1] ^= 1
    return text + b" " + base64.b64encode(raw) + b"\n"


def name_of(entry: bytes) -> str:
    content = json.loads(entry)
    return f"decisions/{content['facts']['decision']}.json" if content["event"] == "decision.signed" else ""


class TestUnusable:
    def line(self, path: Path) -> str:
        said = run(path)
        assert (said.code, said.out) == (2, ""), said.out
        assert said.err.count("\n") == 1
        return said.err

    def test_what_cannot_be_judged_ends_with_one_line(self, files, tmp_path):
        def of(**changed: bytes | None) -> str:
            changes = {name.replace("__", "/"): data for name, data in changed.items()}
            kept = {name: data for name, data in {**files, **changes}.items() if data is not None}
            return self.line(zipped(tmp_path / "p.zip", kept))

        assert "lacks pack.json" in of(**{"pack.json": None})
        assert "lacks pack.note" in of(**{"pack.note": None})
        assert "pack.json is not a JSON object" in of(**{"pack.json": b"[]", "pack.note": b"x"})
        assert "names a file outside itself" in of(**{"../x": b""})
        assert "names a file outside itself" in of(**{"/etc/x": b""})

    @pytest.mark.parametrize(
        ("about", "words"),
        [
            ({"format": "countersign-evidence-pack/9"}, "names the format 'countersign-evidence-pack/9'"),
            ({"request": 3}, "does not say which request"),
            ({"files": []}, "lists no files"),
            ({"files": {"x": {"sha256": 1, "size": 1}}}, "gives no digest and size of 'x'"),
            ({"files": {}}, "the pack lacks manifest.json"),
        ],
        ids=["format", "request", "files", "file", "needed"],
    )
    def test_an_index_that_says_nothing(self, files, tmp_path, about, words):
        assert words in self.line(zipped(tmp_path / "p.zip", resigned(files, **about)))

    def test_json_that_is_none_behind_an_index_that_fits(self, files, tmp_path):
        for name in ("gate.dsse.json", "manifest.json", "checkpoint"):
            assert name in self.line(zipped(tmp_path / "p.zip", resigned({**files, name: b"[1"})))

    def test_zips_that_are_broken_or_bombs(self, files, tmp_path):
        whole = zipped(tmp_path / "p.zip", files).read_bytes()
        (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
        assert "is not a zip file" in self.line(tmp_path / "cut.zip")
        at = whole.index(files["policy.json"])
        (tmp_path / "flip.zip").write_bytes(whole[:at] + b"\0" + whole[at + 1 :])
        assert "policy.json is damaged" in self.line(tmp_path / "flip.zip")
        with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
            for name, data in {**files, "reports/9.html": bytes(1 << 22)}.items():
                bomb.writestr(name, data)
        assert "reports/9.html would unpack to 4,194,304 bytes" in self.line(tmp_path / "bomb.zip")
        with zipfile.ZipFile(tmp_path / "twice.zip", "w") as twice:
            for name, data in files.items():
                twice.writestr(name, data)
            twice.writestr("policy.jsoN", b"{}")
        raw = (tmp_path / "twice.zip").read_bytes()
        (tmp_path / "twice.zip").write_bytes(raw.replace(b"policy.jsoN", b"policy.json"))
        assert "holds 'policy.json' twice" in self.line(tmp_path / "twice.zip")


class TestContents:
    def test_what_is_in_it(self, files):
        index = json.loads(files["pack.json"])
        assert set(index["files"]) == set(files) - {"pack.json", "pack.note"}
        manifest = json.loads(files["manifest.json"])
        for item in manifest["evidence"]:
            assert sha256(files[only(files, f"evidence/{item['id']}/.*")]) == item["digest"]
        assert files["manifest.json"] == files["revisions/2.json"]
        assert sha256(files["policy.json"]) == manifest["policy"]["digest"]
        assert files["summary.pdf"].startswith(b"%PDF")
        told = files["disclosures.jsonl"].decode()
        assert "A document answers it." in told
        assert "@example.org" not in told
        assert all(line in files["README.txt"].decode() for line in index["left_out"])

    def test_a_report_is_a_page_that_needs_no_portal(self, files, settings):
        page = files[only(files, r"reports/\d+\.html")].decode()
        assert "Selection rate" in page
        assert "<style>" in page
        assert "<!--" not in page
        assert not re.search(r'(src|href|action)="/', page)
        assert f'href="{settings.PUBLIC_URL}/versions/' in page
        assert any("cannot show" in one for one in json.loads(files["pack.json"])["left_out"]), "stubs are no reports"

    def test_the_summary_is_one_page(self, built):
        told = built["told"]
        assert [one["what"] for one in told["signatures"]] == [
            "asked for changes in the independent validation",
            "signed the independent validation",
            "signed the approval",
        ]
        assert all("Sealed as entry" in one["entry"] for one in told["signatures"])
        long = {"what": "signed", "who": "N" * 60, "at": "t", "meaning": "m" * summary.LONGEST, "entry": "e" * 90}
        full = {**told, "signatures": [long] * summary.MOST, "limits": ["l" * summary.LONGEST] * summary.MOST}
        assert pages(told) == pages(full) == 1

    def test_a_signature_that_carries_over_a_finding_and_a_risk_that_is_accepted(self, cast, keys, verdict):
        carrying = policies.a_requirement("validation", role="validator", carry_over_if=["artifact", "evidence"])
        document = policies.a_document(stages=[policies.a_stage(carrying, slug="validation"), policies.a_stage()])
        policies.a_policy(cast, document, everywhere=True)
        version = approvals.a_complete_version(cast)
        request = approvals.a_request(cast, version)
        approvals.sign(cast.validator, request, "validation")
        finding = a_finding(cast, version)
        seal_now()
        risk = a_risk(cast, request, f"finding:{finding.pk}")
        edit_card(by=cast.developer, version=version, card="# Use\nOnly for screening.\n")
        revise(by=cast.developer, request=request, note="The card says more.")
        known = [f"evidence:{pk}" for pk in request.latest.evidence_ids]
        approvals.sign(cast.approver, request, "approval", acknowledged=known)
        files = unzipped(packed(cast.auditor, request)[1])
        said = verdict(files, *keys)
        assert said.code == 0, said.out
        assert "the gate said yes" in said.out
        acts = {json.loads(data)["event"] for name, data in files.items() if name.startswith("entries/")}
        assert acts >= {"policy.published", "finding.raised", "risk_acceptance.signed", "request.revised"}
        assert finding.title in files["disclosures.jsonl"].decode()
        accepted = f"risk-acceptances/{risk.pk}.json"
        assert json.loads(files["manifest.json"])["risk_acceptances"][0]["digest"] == sha256(files[accepted])
        forged = resigned({**files, accepted: files[accepted].replace(b"2026", b"2036")})
        assert ("evidence_altered", accepted) in found(verdict(forged, *keys))

    def test_of_a_request_that_the_gate_does_not_speak_for(self, cast, tmp_path):
        version = approvals.a_complete_version(cast)
        first = approvals.a_request(cast, version)
        withdraw(by=cast.developer, request=first, reason="Too early.")
        second = submit(
            by=cast.developer, version=version, environment="production", use=approvals.USE, note="Once more."
        )
        seal_now()
        pack, data = packed(cast.auditor, first)
        path = tmp_path / "pack.zip"
        path.write_bytes(data)
        said = run(path, "--json")
        assert said.code == 0, said.out
        assert f"it rests on request {second.pk}" in said.open
        assert (pack.state_then, pack.revision) == ("in_review", 1)


def pages(told) -> int:
    import typst

    made = typst.compile(
        summary.TEMPLATE, sys_inputs={"data": json.dumps(told)}, ignore_system_fonts=True, format="svg"
    )  # fmt: skip
    return 1 if isinstance(made, bytes) else len(made)
