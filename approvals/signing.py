"""Signing: one decision over one digest, by whoever has just proved who they are (see `proving`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from accounts.models import User
from approvals import credentials, workflow
from approvals import dossier as records
from approvals.findings.conditions import MEANING as ON_CONDITIONS
from approvals.findings.conditions import Condition, attach, checked
from approvals.models import Decision, Delegation, EvidenceView, Reauthentication, ReviewRequest
from approvals.notices import telling
from approvals.notices.receipts import hold_receipt
from approvals.proving import changed_while_reading, used
from approvals.standing_in import delegation_of
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal
from registry.storage import local

OUTCOMES = tuple(Decision.Outcome.values)


@governed(permission="approvals.sign_decision", event="decision.signed", on="request")
def sign(
    *, by: Actor, request: ReviewRequest, requirement: str, outcome: str, comment: str, digest: str, nonce: str,
    session_key: str, acknowledged: Collection[str] = (), conditions: Sequence[Condition] = (),
    on_behalf_of: User | None = None,
) -> Done[Decision]:  # fmt: skip
    """Record what this person decided about the request's latest revision, for one requirement of its policy.

    With `on_behalf_of` they sign in that person's place; the outcome `emergency` belongs to no requirement.

    Raises Refusal `request_closed`, `unknown_requirement`, `unknown_outcome`, `changed_while_reading`,
    `revision_outdated`, `policy_superseded`, `policy_pin_expired`, `comparison_revoked`, `comparison_expired`,
    `evidence_incomplete`, `not_acknowledged`,
    `reasoning_needed`, `reauthentication_needed`, `second_factor_needed`, an `artifact_…` of the storage,
    `finding_open`, `finding_overdue`, `condition_overdue`, `risk_acceptance_expired`, one of `conditions.checked`, or
    why this person's signature cannot count: `own_work`, `recused`, `role_missing`, `already_signed`,
    `requirement_met`, `not_your_turn`, `humans_only`, `credentials_changed`, `no_delegation`, `no_emergency`,
    `emergency_used`.
    """
    assert isinstance(by, User)
    if request.state != ReviewRequest.State.IN_REVIEW:
        word = request.get_state_display().lower()
        raise Refusal("request_closed", f"This request is {word}: nothing can be signed on it now.")
    if outcome not in OUTCOMES:
        raise Refusal("unknown_outcome", f"Choose one of {', '.join(OUTCOMES)}.", "outcome")
    found = records.open_dossier(request)
    delegation = delegation_of(on_behalf_of, by, request.team_id) if on_behalf_of else None
    wanted = wanted_of(found, requirement, outcome, on_behalf_of or by)
    for reason in reasons_against(found, wanted, by, outcome, on_behalf_of):
        raise Refusal(reason.code, reason.sentence)
    if digest != found.revision.digest:
        raise changed_while_reading()
    if found.case.computed != found.case.frozen:
        sentence = "What was frozen has changed since, so signing it would not count. Ask for a new revision."
        raise Refusal("revision_outdated", sentence)
    if stale := workflow.needs_revision(found.case, database_time()):
        raise Refusal(stale.code, stale.sentence)
    if len(comment.strip()) < 3:
        raise Refusal("reasoning_needed", "Say why, in a few words. It is kept with the signature.", "comment")
    agreed = checked(found.policy, request.team_id, outcome, conditions)
    if outcome in (*workflow.APPROVING, workflow.EMERGENCY):
        fit_to_approve(found, acknowledged)
    proof = used(nonce, by, request, digest, session_key)
    decision = record(found, wanted, by, outcome, comment.strip(), acknowledged, proof, agreed, delegation)
    tracked = attach(decision, agreed)
    conclude(request, decision, tracked)
    hold_receipt(decision, by, request.get_absolute_url())
    facts = {
        "decision": str(decision.pk), "requirement": decision.requirement, "outcome": outcome, "digest": digest,
        "meaning": decision.meaning, "authentication": str(decision.authentication), "judged_by": decision.judged_by,
        "acknowledged": decision.acknowledged, "evidence_opened": [str(pk) for pk in decision.evidence_opened],
        "state": request.state, **({"conditions": decision.conditions} if agreed else {}),
    }  # fmt: skip
    told = {f"condition_{place}": each.text for place, each in enumerate(agreed, 1)}
    return Done(
        decision, facts=facts, discloses={"comment": decision.comment, **told}, changed=[decision, *tracked]
    )  # fmt: skip


def as_person(user: User, team: int, behalf: User | None = None) -> workflow.Person:
    """Whoever signs on behalf of somebody has that person's roles, and only those."""
    held = behalf or user
    roles, house = frozenset(held.roles_in(team)), frozenset(held.roles_in(None))
    return workflow.Person(
        str(user.opaque_id), user.is_person, roles, house, str(behalf.opaque_id) if behalf else ""
    )  # fmt: skip


def wanted_of(found: records.Dossier, slug: str, outcome: str, holder: User) -> workflow.Requirement:
    """The requirement that is signed. Raises Refusal `unknown_requirement`."""
    if outcome == Decision.Outcome.EMERGENCY:
        return workflow.emergency_requirement(found.policy, holder.roles_in(found.request.team_id))
    wanted = found.policy.requirement(slug)
    if wanted is None:
        names = ", ".join(each.slug for each in found.policy.requirements)
        raise Refusal("unknown_requirement", f"The policy has no such requirement. It has {names}.", "requirement")
    return wanted


def reasons_against(
    found: records.Dossier, requirement: workflow.Requirement, user: User, outcome: str = "approve",
    behalf: User | None = None,
) -> list[workflow.Reason]:  # fmt: skip
    """Why this account's signature could not count for the requirement now."""
    at = database_time()
    now, person = workflow.standing(found.case, at), as_person(user, found.request.team_id, behalf)
    reasons = workflow.may_sign(
        found.policy, requirement, person, found.case.people, signed=now.signed, also=now.also,
        open_requirements=now.open_requirements, approving=outcome in workflow.APPROVING,
    )  # fmt: skip
    if outcome == Decision.Outcome.EMERGENCY:
        reasons += workflow.why_no_emergency(found.case, person.accounts, now.reasons, at)
    return reasons or [reason for each in (user, behalf) if each for reason in credentials.held_back(each)]


def fit_to_approve(found: records.Dossier, acknowledged: Collection[str]) -> None:
    """Evidence complete and readable, no finding in the way, every known limitation acknowledged."""
    weighed = workflow.weighing(found.case, database_time())
    for reason in weighed.reasons:
        raise Refusal(reason.code, reason.sentence)
    for gap in weighed.gaps.values():
        raise Refusal("evidence_incomplete", gap.sentence)
    for limitation in workflow.limitations(found.policy, found.case.evidence):
        if limitation.code not in acknowledged:
            sentence = f"{limitation.sentence} Acknowledge it before you sign, or ask for changes."
            raise Refusal("not_acknowledged", sentence, "acknowledged")
    for artifact in (found.request.version.artifact, *(each.artifact for each in found.evidence)):
        with local(artifact, verify=True):
            pass


def record(
    found: records.Dossier, requirement: workflow.Requirement, by: User, outcome: str, comment: str,
    acknowledged: Collection[str], proof: Reauthentication, conditions: Sequence[Condition],
    delegation: Delegation | None,
) -> Decision:  # fmt: skip
    team, people = found.request.team_id, found.case.people
    where = (None,) if requirement.scope == "house" else (None, team)
    holder = delegation.giver if delegation else by
    grants = holder.grants.active().filter(role__slug=requirement.role).order_by("id")
    judged_by: dict[str, Any] = {
        "role": requirement.role,
        "grants": [str(grant.pk) for grant in grants if grant.team_id in where],
        "people": {name: sorted(members) for name, members in vars(people).items()},
        **({"delegation": str(delegation.pk)} if delegation else {}),
        **credentials.on_record(by),
    }
    opened = EvidenceView.objects.filter(request=found.request, person=by, evidence__in=found.revision.evidence_ids)
    known = {reason.code for reason in workflow.limitations(found.policy, found.case.evidence)}
    meaning = meaning_of(requirement, outcome)
    authentication = Event.objects.about(proof).get(event="signer.reauthenticated")
    return Decision.objects.create(
        request=found.request, revision=found.revision, requirement=requirement.slug, signer=by, outcome=outcome,
        on_behalf_of=delegation.giver if delegation else None,
        meaning=meaning, comment=comment, digest=found.revision.digest, judged_by=judged_by,
        authentication=authentication.pk, acknowledged=sorted(known & set(acknowledged)),
        evidence_opened=sorted(opened.values_list("evidence_id", flat=True)),
        conditions=[each.as_fact() for each in conditions],
    )  # fmt: skip


MEANINGS = {
    "request_changes": "I ask for changes before this can be signed.",
    "reject": "I reject this model for this use in this environment.",
}


def meaning_of(requirement: workflow.Requirement, outcome: str) -> str:
    """What a signature with this outcome says."""
    if outcome == Decision.Outcome.APPROVE_WITH_CONDITIONS:
        return f"{requirement.meaning} {ON_CONDITIONS}"
    return MEANINGS.get(outcome, requirement.meaning)


def conclude(request: ReviewRequest, made: Decision, tracked: Sequence[Any]) -> None:
    """Bring the request's state to what the decisions, with the one just made, now add up to, and tell of it."""
    now = records.open_dossier(request, [made, *tracked])
    if made.outcome == Decision.Outcome.REQUEST_CHANGES:
        request.state = ReviewRequest.State.CHANGES_REQUESTED
    elif made.outcome == Decision.Outcome.REJECT:
        request.state, request.closed_at = ReviewRequest.State.REJECTED, database_time()
    else:
        standing = workflow.standing(now.case, database_time())
        if all(each.state == "met" for each in standing.requirements):
            given = ReviewRequest.State
            request.state = given.CONDITIONALLY_APPROVED if standing.conditional else given.APPROVED
            request.closed_at = database_time()
    request.save(update_fields=["state", "closed_at"])
    telling.decided(now, made, request.state)
    for step in tracked[1::2]:
        telling.assigned(step.finding, step)
