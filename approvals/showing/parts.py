"""The other parts of a request's pages: evidence, conversation, timeline, and what a submission would freeze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Q
from django.urls import reverse

from accounts.models import User
from approvals import comparing, workflow
from approvals.bound import bindings, governing
from approvals.dossier import Dossier, contributors_of
from approvals.findings import reading
from approvals.frozen import as_item, manifest_of
from approvals.gate import evidence_of
from approvals.models import EvidenceView, PolicyVersion, Recusal, ReviewRequest, Revision
from approvals.showing.manifests import manifest_lines
from approvals.showing.offers import offered
from ledger.events import database_time
from ledger.models import Record
from registry.models import Evidence, Version

# So many environments and uses are compared before somebody chooses one.
PLACES = 20


def opened_by(viewer: User, request: ReviewRequest) -> dict[int, datetime]:
    rows = EvidenceView.objects.filter(request=request, person=viewer)
    return dict(rows.values_list("evidence_id", "at"))


def evidence_rows(found: Dossier, viewer: User) -> list[dict[str, Any]]:
    """The frozen evidence for the request page, with where it came from and whether the viewer opened it."""
    opened = opened_by(viewer, found.request)
    items = {item.id: item for item in found.case.evidence}
    return [
        {
            "evidence": row,
            "verdict": items[str(row.pk)].verdict,
            "url": reverse("request-evidence", args=[found.request.pk, row.pk]),
            "opened": opened.get(row.pk),
        }
        for row in found.evidence
    ]


def earlier(version: Version, viewer: User, other_than: int | None = None) -> list[ReviewRequest]:
    """What ended earlier for this model or these bytes, as far as the viewer may see it, newest first."""
    rows = ReviewRequest.objects.visible_to(viewer).ended(version)
    rows = rows if other_than is None else rows.exclude(pk=other_than)
    return list(rows.select_related("version__model", "revocation__revoked_by").order_by("-id")[:20])


def stepped_back(request: ReviewRequest, viewer: User) -> list[Recusal]:
    """Who stepped back from this request, or from others for this model or these bytes, newest first."""
    version = request.version
    alike = Q(request__version__model=version.model_id) | Q(request__version__artifact=version.artifact_id)
    rows = Recusal.objects.visible_to(viewer).filter(alike).select_related("person", "request")
    return list(rows.order_by("-id")[:20])


def left_out(found: Dossier) -> list[Evidence]:
    """What people submitted about this version that is not in the manifest; of reports `runs` tells."""
    rows = Evidence.objects.filter(version=found.request.version_id, provenance=Evidence.Provenance.SUBMITTED)
    return list(rows.exclude(pk__in=found.revision.evidence_ids))


def people(found: Dossier) -> dict[str, list[User]]:
    """Who had a part in it, by name."""
    version = found.request.version
    return {"contributors": sorted({*version.contributors.all(), version.registered_by}, key=lambda each: each.name)}


def conversation(found: Dossier, comments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Notes of revisions, reasons of decisions and these comments, oldest first."""
    sealed = Record.objects.filter(object_type="approvals.decision", event__event="decision.signed")
    sealed = sealed.filter(object_id__in=[str(each.pk) for each in found.decisions])
    entries = dict(sealed.values_list("object_id", "event__leaf__index"))
    told = [
        {"id": f"revision-{each.number}", "who": each.submitted_by, "at": each.submitted_at, "text": each.note,
         "what": f"revision {each.number}"}
        for each in found.revisions
        if each.note
    ]  # fmt: skip
    told += [
        {"id": f"decision-{each.pk}", "who": each.signer, "at": each.at, "text": each.comment, "decision": each,
         "what": f"{each.requirement}, revision {each.revision.number}",
         "outdated": each.digest != found.revision.digest, "entry": entries.get(str(each.pk))}
        for each in found.decisions
    ]  # fmt: skip
    return sorted([*told, *comments], key=lambda each: each["at"])


def prospect(
    version: Version, viewer: User, under_way: Dossier | None = None, *, environment: str = "", use: str = ""
) -> dict[str, Any]:
    """What a new request, or a new revision of one under way, would freeze now, and what would still be missing."""
    at, bound = database_time(), bindings()
    request = under_way.request if under_way else None
    environment, use = (request.environment, request.use) if request else (environment, use)
    stays = request is not None and not (under_way and workflow.pin_ended(under_way.case, at))
    policy = request.policy_version if request and stays else governing(bound, version, use)
    evidence = evidence_of([version.pk])[version.pk]
    steps = reading.standing(reading.read([version.pk]).newest.get(version.pk, []), request.pk if request else None)
    make = partial(
        manifest_of, version, evidence, contributors_of([version.pk])[version.pk],
        request_id=request.pk if request else None,
        number=under_way.revision.number + 1 if under_way else 1, submitter=viewer, steps=steps,
        acceptances=reading.holding(under_way.acceptances if under_way else (), at),
    )  # fmt: skip
    asked = (environment, use)
    known = comparing.baselines(version.model_id, at, *([asked] if all(asked) else []))
    places = [asked] if all(asked) else list(known)[:PLACES]
    comparisons = []
    for place in places:
        governs = policy if request else governing(bound, version, place[1])
        of_place = make(policy=governs, environment=place[0], use=place[1])
        comparisons.append(comparing.shown(known.get(place), of_place, place))
    change = None
    if all(asked) and policy.rules.weighs_change:
        change = comparing.compared(known.get(asked), make(policy=policy, environment=environment, use=use))
    kind = change["kind"] if change else workflow.HIGHEST
    rules = policy.rules.applying(version.model.tier, environment or "production", use, kind)
    manifest = make(
        policy=policy, environment=environment or "as chosen below", use=use or "as written below", change=change
    )
    items = [as_item(each) for each in evidence]
    rule = workflow.manifest_digest(version.decision_rule)
    about = (items, version.artifact.digest, rule, at)
    gaps = list(workflow.evidence_gaps(rules, *about))
    missing = [
        each for each in rules.evidence if list(workflow.evidence_gaps(replace(rules, evidence=(each,)), *about))
    ]
    frozen = set(under_way.revision.evidence_ids) if under_way else set()
    return {
        "subject": version,
        "policy": policy,
        "lines": manifest_lines(manifest),
        "comparisons": comparisons,
        "gaps": gaps,
        "offers": list(offered(version, policy, missing)),
        "limitations": list(workflow.limitations(rules, items)),
        "pinned_anew": request is not None and not stays,
        "other_policies": [] if request else for_uses(bound, version),
        "choices": [(each.pk, choice(each, item, under_way is not None and each.pk not in frozen))
                    for each, item in zip(evidence, items, strict=True)],
        "earlier": earlier(version, viewer, request.pk if request else None),
    }  # fmt: skip


def for_uses(bound: Sequence[workflow.Binding[PolicyVersion]], version: Version) -> list[dict[str, Any]]:
    """The uses for which another policy governs this version than for the rest."""
    uses = sorted({each.use for each in bound if each.use})
    general = governing(bound, version, "")
    found = [{"use": use, "policy": governing(bound, version, use)} for use in uses]
    return [each for each in found if each["policy"] != general]


def choice(evidence: Evidence, item: workflow.EvidenceItem, new: bool) -> str:
    verdict = f", {workflow.verdict_words(item.verdict)}" if item.verdict else ""
    return f"{evidence.title} ({evidence.get_provenance_display().lower()}{verdict}{', new' if new else ''})"


def moments(found: Dossier, revisions: Sequence[Revision]) -> list[dict[str, Any]]:
    """The request's timeline, newest first."""
    looks = {
        "approve": ("ok", "ok"),
        "approve_with_conditions": ("ok", "wait"),
        "emergency": ("warn", "no"),
        "request_changes": ("pen", "wait"),
        "reject": ("no", "no"),
    }
    told = [
        {"text": f"Revision {each.number} submitted", "at": each.submitted_at, "who": each.submitted_by, "icon": "info",
         "tone": "info", "url": reverse("request-manifest", args=[found.request.pk]) + f"?revision={each.number}"}
        for each in revisions
    ]  # fmt: skip
    for each in found.decisions:
        requirement = found.policy.requirement(each.requirement)
        title = requirement.title.lower() if requirement else each.requirement
        words = {
            "approve": f"Signed: {title}", "approve_with_conditions": f"Signed with conditions: {title}",
            "request_changes": "Changes requested", "reject": "Rejected", "emergency": "Emergency approval signed",
        }[each.outcome]  # fmt: skip
        outdated = "" if each.digest == found.revision.digest else f" (revision {each.revision.number}, outdated)"
        icon, tone = looks[each.outcome]
        told.append({"text": words + outdated, "at": each.at, "who": each.signer, "icon": icon, "tone": tone,
                     "url": f"#decision-{each.pk}"})  # fmt: skip
    if found.revocation:
        told.append({"text": "Approval revoked", "at": found.revocation.at, "who": found.revocation.revoked_by,
                     "icon": "stop", "tone": "no", "url": ""})  # fmt: skip
    return sorted(told, key=lambda moment: moment["at"], reverse=True)
