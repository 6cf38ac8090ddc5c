"""Accepting a risk: an exception from one rule on evidence, or for one finding, signed like a decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.conf import settings

from accounts.models import User
from accounts.services import require_reason
from accounts.takeover.holding import require_settled
from approvals import credentials, workflow
from approvals import dossier as records
from approvals.findings.models import AcceptanceWithdrawal, Finding, FindingStep, RiskAcceptance
from approvals.findings.people import HUMANS, hands_on
from approvals.findings.services import hold, still_to_come
from approvals.models import ReviewRequest
from approvals.notices.receipts import hold_receipt
from approvals.proving import used
from approvals.workflow import findings as rules
from ledger.actors import Actor
from ledger.canonical import canonical, sha256
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal

FORMAT = "countersign-risk-acceptance/1"
ROLE = "risk_officer"
MEANING = (
    "I have weighed this risk and answer for it, for this version, environment and use, until the end of the day "
    "named. I neither made the model nor own it, and I do not answer for the finding."
)
ALIVE = ("in_review", "changes_requested", *workflow.APPROVED)


@dataclass(frozen=True)
class Draft:
    """What would be signed: `document` are the canonical bytes, `digest` their SHA-256."""

    target: str
    finding: Finding | None
    severity: str
    reason: str
    until: date
    earlier: tuple[RiskAcceptance, ...]
    content: dict[str, Any]

    @property
    def document(self) -> bytes:
        return canonical(self.content)

    @property
    def digest(self) -> str:
        return sha256(self.document)


def draft(by: User, request: ReviewRequest, target: str, reason: str, until: date) -> Draft:
    """The text of an acceptance as it would be signed now. Reads only.

    Raises Refusal `request_closed`, `unknown_target`, `nothing_to_accept`, `reason_needed`, `until_too_late`,
    `due_passed`, `renewals_used_up` or `humans_only`, `role_missing`, `own_work`, `credentials_changed` for somebody
    who may not sign it.
    """
    if not by.is_person:
        raise Refusal("humans_only", HUMANS)
    found = records.open_dossier(request)
    if request.state not in ALIVE or found.revocation is not None:
        raise Refusal("request_closed", "This request came to nothing. There is no approval to make an exception for.")
    finding, severity, described = wanted(found, target)
    may_accept(found, finding, by)
    require_reason(reason)
    term(until)
    earlier = tuple(each for each in found.acceptances if each.target == target)
    if len(earlier) > settings.RISK_ACCEPTANCE_RENEWALS:
        sentence = (
            f"This risk has been accepted {len(earlier)} times already. It has to be settled now, not accepted anew."
        )
        raise Refusal("renewals_used_up", sentence)
    content = {
        "format": FORMAT, "request": str(request.pk), "version": str(request.version_id),
        "artifact": request.version.artifact.digest, "environment": request.environment, "use": request.use,
        "policy": request.policy_version.digest, "target": described, "reason": reason.strip(),
        "until": until.isoformat(), "renewal": len(earlier), "renews": str(earlier[-1].pk) if earlier else None,
        "signer": str(by.opaque_id), "meaning": MEANING,
    }  # fmt: skip
    return Draft(target, finding, severity, reason.strip(), until, earlier, content)


def wanted(found: records.Dossier, target: str) -> tuple[Finding | None, str, dict[str, Any]]:
    """The finding (None for a rule), its severity, and the target as the document says it."""
    named = rules.target_of(target)
    by_slug = {rule.slug: rule for rule in found.policy.evidence}
    if named is not None and named[0] == "evidence" and named[1] in by_slug:
        rule = by_slug[named[1]]
        gap = workflow.weighing(replace(found.case, acceptances=()), database_time()).gaps.get(rule.slug)
        if gap is None:
            raise Refusal("nothing_to_accept", f"{rule.title} is there. There is no risk to accept.", "target")
        return None, "", {"kind": "evidence", "rule": rule.slug, "title": rule.title, "missing": gap.sentence}
    steps = {f"finding:{step.finding_id}": step for step in found.steps}
    if named is None or target not in steps:
        sentence = (
            "A risk is accepted for one rule on evidence of this policy (`evidence:<rule>`) or for one finding on this "
            "version (`finding:<number>`). Signatures, separation of duties, identity and the log know no exception."
        )
        raise Refusal("unknown_target", sentence, "target")
    step = steps[target]
    if step.state == FindingStep.State.CLOSED:
        raise Refusal("nothing_to_accept", f"{step.finding} is closed. There is no risk to accept.", "target")
    described = {
        "kind": step.finding.kind, "id": str(step.finding_id), "severity": step.severity,
        "title": step.finding.title, "words": step.finding.digest, "due": step.due.isoformat(),
    }  # fmt: skip
    return step.finding, step.severity, described


def may_accept(found: records.Dossier, finding: Finding | None, by: User) -> None:
    """Raises Refusal `role_missing`, `own_work` or `credentials_changed`."""
    if ROLE not in by.roles_in(found.request.team_id):
        raise Refusal("role_missing", "A risk officer accepts risks here: not a role you hold.")
    people = found.case.people
    owner = {str(found.request.version.model.owner.opaque_id)}
    hands = people.submitter | people.owner | people.contributors | people.evidence_producers | people.recused | owner
    if str(by.opaque_id) in hands or (finding is not None and by.pk in hands_on([finding])[finding.pk]):
        sentence = "You had a hand in what this is about, so you cannot accept its risk. Somebody else has to."
        raise Refusal("own_work", sentence)
    require_settled(by)


def term(until: date) -> None:
    still_to_come(until, "until")
    days = settings.RISK_ACCEPTANCE_DAYS
    if rules.too_long(until, database_time(), days):
        raise Refusal("until_too_late", f"A risk is accepted for {days} days at most. Choose an earlier day.", "until")


@governed(permission="approvals.accept_risk", event="risk_acceptance.signed", on="request", lock=False)
def accept_risk(
    *, by: Actor, request: ReviewRequest, target: str, reason: str, until: date, digest: str, nonce: str,
    session_key: str,
) -> Done[RiskAcceptance]:  # fmt: skip
    """Answer for a risk until the end of a day. It lifts nothing before it is sealed.

    Raises whatever `draft` raises, `changed_while_reading` where the digest is not that of the text as it would be
    signed now, or `reauthentication_needed`.
    """
    assert isinstance(by, User)
    hold(request.version_id)
    request = ReviewRequest.objects.select_related("version__artifact", "policy_version").get(pk=request.pk)
    text = draft(by, request, target, reason, until)
    if digest != text.digest:
        sentence = "What you would sign has changed while you were reading. Look at it again, then sign that."
        raise Refusal("changed_while_reading", sentence)
    proof = used(nonce, by, request, digest, session_key)
    found = records.open_dossier(request)
    grants = by.grants.active().filter(role__slug=ROLE).order_by("id")
    row = RiskAcceptance.objects.create(
        version=request.version, environment=request.environment, use=request.use, request=request,
        finding=text.finding, rule="" if text.finding else target.partition(":")[2], severity=text.severity,
        reason=text.reason, until=until, renewal=len(text.earlier), renews=text.earlier[-1] if text.earlier else None,
        signer=by, meaning=MEANING, document=text.document, digest=digest,
        judged_by={
            "role": ROLE,
            "grants": [str(grant.pk) for grant in grants if grant.team_id in (None, request.team_id)],
            "people": {name: sorted(members) for name, members in vars(found.case.people).items()},
            **credentials.on_record(by),
        },
        authentication=Event.objects.about(proof).get(event="signer.reauthenticated").pk,
    )  # fmt: skip
    hold_receipt(row, by, request.get_absolute_url())
    facts = {
        "risk_acceptance": str(row.pk), "request": str(request.pk), "version": str(request.version_id),
        "environment": row.environment, "use": row.use, "target": target, "severity": row.severity,
        "until": until.isoformat(), "renewal": row.renewal, "digest": digest,
        "authentication": str(row.authentication), "meaning": MEANING,
    }  # fmt: skip
    return Done(row, facts=facts, discloses={"reason": row.reason}, changed=[row])


@governed(permission="approvals.accept_risk", event="risk_acceptance.withdrawn", on="acceptance", lock=False)
def withdraw_acceptance(*, by: Actor, acceptance: RiskAcceptance, reason: str) -> Done[AcceptanceWithdrawal]:
    """End an accepted risk before its day; what it lifted stands in the way again at once.

    Raises Refusal `humans_only`, `already_withdrawn` or `reason_needed`.
    """
    assert isinstance(by, User)
    if not by.is_person:
        raise Refusal("humans_only", HUMANS)
    hold(acceptance.version_id)
    if AcceptanceWithdrawal.objects.filter(acceptance=acceptance).exists():
        raise Refusal("already_withdrawn", "This acceptance has been withdrawn already.")
    require_reason(reason)
    row = AcceptanceWithdrawal.objects.create(acceptance=acceptance, withdrawn_by=by, reason=reason.strip())
    facts = {
        "risk_acceptance": str(acceptance.pk), "request": str(acceptance.request_id),
        "version": str(acceptance.version_id), "digest": acceptance.digest,
    }  # fmt: skip
    return Done(row, facts=facts, discloses={"reason": row.reason})
