"""Evidence packs in tests: one world's pack, made once, and packs that somebody has tampered with."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from ledger.canonical import canonical, sha256
from ledger.keys import portal_key
from ledger.notes import COSIGNATURE, SigningKey, sign
from tests import worlds
from tests.approvals import world as approvals
from tests.sealing import seal_now

FORGER = SigningKey.generate("portal.example/forger")
WITNESS = SigningKey.generate("witness.example/w1", COSIGNATURE)
Files = dict[str, bytes]


def a_signed_request(cast: Any) -> Any:
    """Sent back once, then signed by two; real and stub reports, a document, and a checkpoint kept at two places."""
    from approvals.services import revise
    from ledger.models import Anchor, Checkpoint
    from ledger.notes import with_cosignatures
    from tests.fairness.reporting import stored_report

    version = approvals.a_complete_version(cast, historical="outside")
    stored_report(cast, version, worlds.a_dataset(cast))
    request = approvals.a_request(cast, version)
    approvals.sign(cast.validator, request, "validation", "request_changes", sealed=False)
    worlds.a_document(cast, version, by=cast.developer, title="Größen & Grenzen")
    revise(by=cast.developer, request=request, note="A document answers it.")
    known = [f"evidence:{pk}" for pk in request.latest.evidence_ids]
    approvals.sign(cast.validator, request, "validation", acknowledged=known, sealed=False)
    approvals.sign(cast.approver, request, "approval", acknowledged=known)
    kept = Checkpoint.objects.latest("size")
    note = bytes(kept.note)
    receipts = {
        ("shelf", "folder"): b"{}",
        ("witness", "witness"): with_cosignatures(note, WITNESS.line(note[: note.rfind(b"\n\n") + 1], 1_700_000_000)),
    }
    for (target, kind), receipt in receipts.items():
        Anchor.objects.create(
            origin=kept.origin, size=kept.size, target=target, kind=kind, place="/shelf", receipt=receipt
        )
    worlds.a_model(cast)
    seal_now()
    request.refresh_from_db()
    return request


def packed(by: Any, request: Any) -> tuple[Any, bytes]:
    """A finished pack and its bytes, made here and now without a worker's threads."""
    from approvals.pack.making import make
    from approvals.pack.models import EvidencePack
    from approvals.pack.services import OnBehalf, open_pack, publish_pack, request_pack
    from jobs.services import claim

    pack = request_pack(by=by, request=request)
    held = claim(pack.job_id)
    assert held is not None
    publish_pack(by=OnBehalf(by), pack=pack, made=make(pack, 1, lambda percent, phase: None), claim=held)
    pack = EvidencePack.objects.with_parts().get(pk=pack.pk)
    with open_pack(by=by, pack=pack) as file:
        return pack, file.read()


def unzipped(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


def resigned(files: Files, key: SigningKey | None = None, /, **about: Any) -> Files:
    """With an index that fits, signed by the portal's key or by another, which is then published in the pack too."""
    given, files = key or portal_key(), dict(files)
    if key is not None:
        files["keys/keys.txt"] += f"{key.vkey}\n".encode()
    listed = {
        name: {"sha256": sha256(data), "size": len(data)}
        for name, data in files.items()
        if name not in ("pack.json", "pack.note")
    }
    told = {**json.loads(files["pack.json"]), "files": listed, **about}
    index = canonical(told)
    lines = ("countersign-evidence-pack/1", told["origin"], told["request"], sha256(index), told["made_at"], "")
    return {**files, "pack.json": index, "pack.note": sign("\n".join(map(str, lines)).encode(), [given])}


def reanswered(files: Files, change: Any) -> Files:
    """With the gate's answer changed and signed anew by the portal's key."""
    from approvals.workflow import attestation

    envelope = json.loads(files["gate.dsse.json"])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    body, key = canonical(statement), portal_key()
    made = attestation.envelope(body, key.verifier.public, key.private.sign(attestation.pae(body)))
    return {**files, "gate.dsse.json": canonical(made)}
