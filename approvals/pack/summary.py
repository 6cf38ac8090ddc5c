"""The pack on one page, for people: typeset by typst from plain data, the same bytes for the same records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from approvals.models import Decision
from approvals.pack.gathering import Gathered, number_of
from audits import typesetting

TEMPLATE = Path(__file__).parent / "summary.typ"
MOST = 6  # signatures and limitations: more would not fit on one page, and the other files have them all
LONGEST = 220
OUTCOMES = {
    "approve": "signed the",
    "approve_with_conditions": "signed, with conditions, the",
    "request_changes": "asked for changes in the",
    "reject": "rejected in the",
}


def typeset(found: Gathered) -> bytes:
    return typesetting.typeset(TEMPLATE, told(found))


def told(found: Gathered) -> dict[str, Any]:
    dossier, answer = found.dossier, found.answer
    request, revision = dossier.request, dossier.revision
    version, model = request.version, request.version.model
    origin, size, root = found.note.decode().split("\n")[:3]
    signed = dossier.decisions[-MOST:]
    return {
        "title": f"Evidence pack of request {request.pk}",
        "said": said(found),
        "facts": [
            ["Model", f"{model.name} ({model.slug}), version {version.number}", False],
            ["Environment and use", f"{request.environment}, for {request.use}", False],
            ["Risk tier", str(revision.manifest["model"]["risk_tier"]), False],
            [
                "Bytes of the model" if version.bytes_here else "Bytes not verified: pinned",
                f"{version.artifact.digest}, {version.artifact.size:,} bytes",
                True,
            ],
            ["Manifest signed", f"revision {revision.number}, {revision.digest}", True],
            ["Policy", str(request.policy_version), False],
            ["Its digest", request.policy_version.digest, True],
            ["Holds until", at(answer.valid_until) if answer.valid_until else "it does not hold", False],
            ["Asked for by", f"{request.submitted_by.name}, {at(request.submitted_at)}", False],
        ],
        "signatures": [signature(found, each) for each in signed],
        "more": f"{len(dossier.decisions) - MOST} earlier ones are in decisions/." if len(dossier.decisions) > MOST
        else "",
        "limits": [cut(each.sentence) for each in answer.obligations[:MOST]],
        "entries": ", ".join(f"{number_of(place):,} ({place.event.event})" for place in found.entries),
        "footer": f"Log {origin}, tree of {int(size):,} entries, root {root}. This page is for reading; what counts "
        "are the files beside it, which verify.py checks.",
    }  # fmt: skip


def said(found: Gathered) -> str:
    answer, request = found.answer, found.dossier.request
    word = "yes" if answer.allowed else "no"
    sentence = f"The gate said {word} ({answer.state.replace('_', ' ')}) on {at(answer.evaluated_at)}."
    if answer.request_id != request.pk:
        sentence += f" Its answer rests on request {answer.request_id}, not on this one."
    if revocation := found.dossier.revocation:
        sentence += f" The approval was revoked by {revocation.revoked_by.name} on {at(revocation.at)}."
    return " ".join([sentence, *(cut(each.sentence) for each in answer.reasons[:2])])


def signature(found: Gathered, decision: Decision) -> dict[str, str]:
    requirement = found.dossier.policy.requirement(decision.requirement)
    title = requirement.title.lower() if requirement else decision.requirement
    entry = found.entry_of("decision.signed", decision=str(decision.pk))
    outdated = "" if decision.digest == found.dossier.revision.digest else ", which is outdated"
    behalf = f" on behalf of {decision.on_behalf_of.name}" if decision.on_behalf_of else ""
    limits = f" Acknowledged known limitations: {len(decision.acknowledged)}." if decision.acknowledged else ""
    return {
        "who": f"{decision.signer.name}{behalf}",
        "what": f"{OUTCOMES[decision.outcome]} {title}",
        "at": at(decision.at),
        "meaning": cut(decision.meaning),
        "entry": f"Revision {decision.revision.number}{outdated}. Sealed as entry {entry:,}.{limits}",
    }


def at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
