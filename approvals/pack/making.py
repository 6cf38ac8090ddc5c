"""What a worker does for one pack: gather under one snapshot, write the zip, sign its index, keep the file."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from approvals import gate
from approvals.pack import reports, summary
from approvals.pack.gathering import Gathered, acceptances_of, gathered, key_files, log_files, wait_for_seal
from approvals.pack.models import EvidencePack
from audits.exports import keeping
from audits.exports.bundle import LEVEL, member, words_beside
from audits.exports.making import VERIFIER
from fairness.selftest.models import SelfTest
from ledger.canonical import canonical, sha256, timestamp
from ledger.keys import portal_key
from ledger.notes import sign
from registry import storage
from registry.models import Evidence

FORMAT = "countersign-evidence-pack/1"
FOLDER = "packs"
README = Path(__file__).parent / "readme.txt"
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Made:
    """A pack that is in the storage, and what the log shall say of it."""

    pack: EvidencePack
    found: Gathered
    index: str
    files: int
    file: str
    digest: str
    size: int


class Writer:
    """A zip whose files are hashed as they go in; `listed` is what pack.json says of them."""

    def __init__(self, file: IO[bytes]) -> None:
        self.zip = zipfile.ZipFile(file, "w", allowZip64=True)
        self.listed: dict[str, dict[str, Any]] = {}

    def put(self, name: str, data: bytes) -> None:
        self.listed[name] = {"sha256": sha256(data), "size": len(data)}
        self.zip.writestr(member(name, True), data, compresslevel=LEVEL)

    def copy(self, name: str, pieces: Iterator[bytes]) -> None:
        """Not deflated: what packs too well would look like a bomb to whoever checks it."""
        whole, size = hashlib.sha256(), 0
        with self.zip.open(member(name, False), "w", force_zip64=True) as file:
            for piece in pieces:
                whole.update(piece)
                size += len(piece)
                file.write(piece)
        self.listed[name] = {"sha256": f"sha256:{whole.hexdigest()}", "size": size}

    def close(self, about: dict[str, Any]) -> str:
        """Write the index, sign it, and end the file. The digest of the index."""
        index = canonical(about | {"files": self.listed})
        lines = (FORMAT, about["origin"], about["request"], sha256(index), about["made_at"], "")
        self.zip.writestr(member("pack.json", True), index, compresslevel=LEVEL)
        self.zip.writestr(member("pack.note", True), sign("\n".join(lines).encode(), [portal_key()]))
        self.zip.close()
        return sha256(index)


def make(pack: EvidencePack, attempt: int, progress: Progress) -> Made:
    """Raises Refusal `seal_pending`, `proof_unavailable`, `record_missing`, `artifact_missing`, `artifact_damaged` or
    `disk_full`; whatever was written is gone then.
    """
    progress(2, "Waiting for the log's seal")
    wait_for_seal(pack.request)
    with keeping.aside() as folder:
        path = folder / "pack"
        with gate.snapshot(), path.open("wb") as file:
            progress(10, "Gathering what the request rests on")
            found = gathered(pack.request)
            writer = Writer(file)
            index = write(writer, found, progress)
        progress(97, "Keeping the file")
        name, digest, size = keeping.keep(path, f"{pack.pk}-{attempt}", FOLDER)
    return Made(pack, found, index, len(writer.listed), name, digest, size)


def write(writer: Writer, found: Gathered, progress: Progress) -> str:
    dossier, made_at = found.dossier, timestamp(found.answer.evaluated_at)
    writer.put("manifest.json", bytes(dossier.revision.manifest_bytes))
    for revision in dossier.revisions:
        writer.put(f"revisions/{revision.number}.json", bytes(revision.manifest_bytes))
    for pk, record in found.decisions.items():
        writer.put(f"decisions/{pk}.json", record)
    for accepted in acceptances_of(dossier):
        writer.put(f"risk-acceptances/{accepted.pk}.json", bytes(accepted.document))
    writer.put("policy.json", bytes(dossier.request.policy_version.document))
    writer.put("gate.dsse.json", canonical(found.envelope))
    for name, data in (*log_files(found), *key_files()):
        writer.put(name, data)
    unshown = []
    for at, evidence in enumerate(dossier.evidence):
        progress(30 + 50 * at / len(dossier.evidence), f"Evidence: {evidence.title}")
        writer.copy(path_of(evidence), storage.stream(evidence.artifact))
        if evidence.provenance == Evidence.Provenance.COMPUTED:
            page = reports.as_page(evidence)
            if page is None:
                unshown.append(evidence)
            else:
                writer.put(f"reports/{evidence.pk}.html", page)
    progress(85, "The summary")
    writer.put("summary.pdf", summary.typeset(found))
    left_out = list(not_here(found, unshown))
    writer.put("README.txt", readme(found, made_at, left_out).encode())
    writer.put("verify.py", VERIFIER.read_bytes())
    return writer.close({
        "format": FORMAT, "origin": settings.LOG_ORIGIN, "portal": settings.PUBLIC_URL, "made_at": made_at,
        "request": str(dossier.request.pk), "revision": dossier.revision.number, "left_out": left_out,
    })  # fmt: skip


def path_of(evidence: Evidence) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", evidence.filename).strip("-.")[-80:]
    return f"evidence/{evidence.pk}/{name or 'file'}"


def not_here(found: Gathered, unshown: list[Evidence]) -> Iterator[str]:
    """What somebody might look for in a pack, and where it is instead."""
    version = found.dossier.request.version
    if version.bytes_here:
        yield (
            f"the model's bytes ({version.artifact.size:,}): whoever has them compares their SHA-256 with "
            f"{version.artifact.digest}, which manifest.json names"
        )
    else:
        yield "the model's bytes, which were never verified: manifest.json has under `pinned` what stands for them"
    yield "the rows of datasets: manifest.json names the digest of each"
    yield "the conversation, mail and network addresses: they stay in the portal and its log"
    if any(each.provenance == Evidence.Provenance.COMPUTED for each in found.dossier.evidence):
        yield "reports as PDF: each computed report is here as JSON and, to read and to print, as a page under reports/"
    if withheld := SelfTest.objects.withheld().filter(version=version).count():
        yield (
            f"privileged self-tests of this version: {withheld} (12 CFR 1002.15), seen by the people named on them "
            "only; nothing of them is here, and no requirement rests on them"
        )
    for each in unshown:
        yield f"a page of “{each.title}” ({path_of(each)}), which this version of the portal cannot show"
    if len(found.dossier.revisions) > 1:
        yield "evidence that only earlier revisions named: their manifests have its digests"


def readme(found: Gathered, made_at: str, left_out: list[str]) -> str:
    request = found.dossier.request
    given = {
        "request": request.pk, "portal": settings.PUBLIC_URL, "made_at": made_at, "subject": request.version,
        "use": request.use, "environment": request.environment, "revision": found.dossier.revision.number,
        "left_out": "\n".join(f"    - {one}" for one in left_out),
    }  # fmt: skip
    return words_beside(README, given)
