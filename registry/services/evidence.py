"""Evidence about a version: what the portal computed, and what people submit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accounts.models import User
from ledger.actors import Actor
from ledger.canonical import digest_of
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Dataset, Evidence, Upload, Version
from registry.services.inputs import account_of, words
from registry.services.uploads import artifact_of, plain_filename, usable_upload
from registry.storage import Stored

# What people may submit. Reports that the portal computes itself are no kind of these: nobody can hand one in.
KINDS: dict[str, str] = {
    "validation_report": "Validation report",
    "model_documentation": "Model documentation",
    "test_results": "Test results",
    "legal_opinion": "Legal opinion",
    "document": "Other document",
}
OFFICE = "application/vnd.openxmlformats-officedocument"
MEDIA_TYPES: dict[str, str] = {
    ".pdf": "application/pdf",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".json": "application/json",
    ".csv": "text/csv",
    ".html": "text/html",
    ".png": "image/png",
    ".docx": f"{OFFICE}.wordprocessingml.document",
    ".xlsx": f"{OFFICE}.spreadsheetml.sheet",
}


def add_evidence(
    version: Version, *, kind: str, title: str, stored: Stored, filename: str, media_type: str, provenance: str,
    produced_by: User, dataset: Dataset | None = None, summary: Mapping[str, Any] | None = None,
    made_at: datetime | None = None,
) -> Evidence:  # fmt: skip
    """The change beneath every act that yields evidence; the act around it has the permission and the event. `made_at`
    is for what is older than its being evidence."""
    return Evidence.objects.create(
        version=version, model_id=version.model_id, kind=kind, title=title, artifact=artifact_of(stored),
        filename=plain_filename(filename), media_type=media_type, provenance=provenance, produced_by=produced_by,
        dataset=dataset, summary=dict(summary or {}), **({"created_at": made_at} if made_at else {}),
    )  # fmt: skip


def facts_of(evidence: Evidence) -> dict[str, Any]:
    """What the log says of evidence; shared by the acts that add it."""
    return {
        "version": str(evidence.version_id), "kind": evidence.kind, "artifact": evidence.artifact.digest,
        "provenance": evidence.provenance, "summary": digest_of(evidence.summary),
        "dataset": str(evidence.dataset_id) if evidence.dataset_id else None,
    }  # fmt: skip


@governed(permission="registry.attach_evidence", event="evidence.attached", on="version")
def attach_evidence(*, by: Actor, version: Version, kind: str, title: str, upload: Upload) -> Done[Evidence]:
    """Submit a document about a version. Raises Refusal `kind_unknown` or `evidence_exists`."""
    artifact = usable_upload(upload, version.team_id)
    if kind not in KINDS:
        raise Refusal("kind_unknown", f"Evidence that people submit is one of: {', '.join(KINDS)}.", "kind")
    said = words(title, "title", most=200)
    if version.evidence.standing().filter(artifact=artifact, title=said).exists():
        raise Refusal("evidence_exists", "This very file is attached under this title already.", "upload")
    ending = "." + upload.filename.rsplit(".", 1)[-1].lower()
    evidence = add_evidence(
        version, kind=kind, title=said, stored=Stored(artifact.digest, artifact.size), filename=upload.filename,
        media_type=MEDIA_TYPES.get(ending, "application/octet-stream"), provenance=Evidence.Provenance.SUBMITTED,
        produced_by=account_of(by),
    )  # fmt: skip
    return Done(evidence, on=evidence, facts=facts_of(evidence), discloses={"title": said})


@governed(permission="registry.attach_evidence", event="evidence.withdrawn", on="evidence")
def withdraw_evidence(*, by: Actor, evidence: Evidence, reason: str) -> Done[Evidence]:
    """Take back what one submitted; it stays listed.

    Raises Refusal `computed_evidence`, `not_yours` or `already_withdrawn`.
    """
    if evidence.provenance == Evidence.Provenance.COMPUTED:
        raise Refusal("computed_evidence", "A report that was computed here stays. Ask for a new one beside it.")
    if evidence.produced_by_id != account_of(by).pk:
        raise Refusal("not_yours", "Only who submitted this evidence can withdraw it. Ask them, or submit your own.")
    if evidence.withdrawn_at is not None:
        raise Refusal("already_withdrawn", "This evidence has been withdrawn already.")
    evidence.withdrawn_at, evidence.withdrawn_reason = database_time(), words(reason, "reason", most=500)
    evidence.save(update_fields=["withdrawn_at", "withdrawn_reason"])
    return Done(evidence, facts=facts_of(evidence), discloses={"reason": evidence.withdrawn_reason})
