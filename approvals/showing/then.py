"""The pages of a request and of a policy as they stood."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.models import User
from approvals import gate, workflow
from approvals.asof import request_at
from approvals.comparing import of_request
from approvals.dossier import Dossier
from approvals.findings import showing as about
from approvals.models import PolicyVersion, ReviewRequest
from approvals.showing.gatebox import gate_lines, headline
from approvals.showing.manifests import Delta, changes, rule_in_words
from approvals.showing.parts import conversation, earlier, moments
from approvals.showing.runs import every_run
from approvals.showing.talk import comments_of, lines_of, parts_of
from audits import asof
from ledger.canonical import sha256
from registry.asof import evidence_at
from registry.models import Evidence

COMPUTED = "computed from what was on record then"


def request_then(request: ReviewRequest, viewer: User, at: datetime) -> dict[str, Any]:
    """What the request page shows of a moment; nothing can be done there. Raises Refusal `not_on_record`."""
    with gate.snapshot():
        found, looked = request_at(request, at)
    standing = workflow.standing(found.case, at)
    title, tone = headline(found, standing, at)
    judged, lines = about.of_request(found, at, until=at), lines_of(found)
    parts = parts_of(found, [row.finding for row in judged["findings"]], lines)
    attached = evidence_at(Evidence.objects.filter(version=request.version_id), at)
    return {
        **asof.shown(looked, viewer), **judged, "computed": COMPUTED, "lines": lines,
        "found": found.request, "dossier": found, "standing": standing, "gate_title": title, "gate_tone": tone,
        "gate_lines": gate_lines(found, standing, None, at),
        "evidence": evidence_then(found), "everything": len(attached),
        "left_out": [
            each
            for each in attached
            if each.pk not in found.revision.evidence_ids and each.provenance == Evidence.Provenance.SUBMITTED
        ],
        "runs": every_run(found, until=at),
        "material": of_request(found, at) if found.revision.material_change else None,
        "deltas": deltas_then(found), "moments": moments(found, found.revisions),
        "talk": conversation(found, comments_of(request, parts, at)), "earlier": earlier_then(found, viewer, at),
        "people": {"contributors": contributors(found)}, "rule": rule_in_words(found.request.version.decision_rule),
        "may": {},
    }  # fmt: skip


def evidence_then(found: Dossier) -> list[dict[str, Any]]:
    items = {item.id: item for item in found.case.evidence}
    return [
        {"evidence": row, "verdict": items[str(row.pk)].verdict, "url": row.get_absolute_url(), "opened": None}
        for row in found.evidence
    ]


def deltas_then(found: Dossier) -> list[Delta]:
    """What the revision of the moment changed in the one before it."""
    if len(found.revisions) < 2:
        return []
    before = found.revisions[-2]
    return [Delta(f"What changed since revision {before.number}", before, changes(before, found.revision))]


def earlier_then(found: Dossier, viewer: User, at: datetime) -> list[ReviewRequest]:
    """What had come to nothing by then for this model or these bytes."""
    return [
        each
        for each in earlier(found.request.version, viewer, found.request.pk)
        if (each.state in ("rejected", "withdrawn") and each.closed_at and each.closed_at <= at)
        or (hasattr(each, "revocation") and each.revocation.at <= at)
    ]


def contributors(found: Dossier) -> list[User]:
    named = {str(each.opaque_id): each for each in found.request.version.contributors.all()}
    registered = found.request.version.registered_by
    named[str(registered.opaque_id)] = registered
    return sorted((named[each] for each in found.case.people.contributors if each in named), key=lambda each: each.name)


def policy_then(policy: PolicyVersion, at: datetime) -> dict[str, Any]:
    """A policy's text never changes: it was there or not. Raises Refusal `not_on_record` where it was not."""
    if policy.published_at > at:
        raise asof.unrecorded(policy.published_at)
    newer = policy.policy.versions.filter(number__gt=policy.number, published_at__lte=at).order_by("-number").first()
    intact = sha256(bytes(policy.document)) == policy.digest
    return {"then": {"at": at}, "then_title": f"As it stood on {asof.in_words(at)}", "newer": newer, "intact": intact}
