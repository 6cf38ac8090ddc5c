"""Signing: a fresh proof of identity bound to one digest, and one decision over it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from accounts.models import User
from accounts.services import check_password, count_attempt
from approvals import dossier as records
from approvals import workflow
from approvals.findings.conditions import MEANING as ON_CONDITIONS
from approvals.findings.conditions import Condition, attach, checked
from approvals.models import Decision, EvidenceView, Reauthentication, ReviewRequest
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal
from registry.storage import local

NONCE_LIVES = timedelta(minutes=2)
PURPOSES = ("decision", "risk_acceptance")
OUTCOMES = tuple(Decision.Outcome.values)


def hashed(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def reauthenticate(
    *, by: User, request: ReviewRequest, digest: str, password: str, session_key: str, purpose: str = "decision"
) -> str:
    """A nonce that lets this person, in this session, sign this digest once within two minutes.

    `purpose` is what the digest is of: `decision` for the manifest, `risk_acceptance` for the text of one.

    A wrong password counts towards the lock of the account. Raises Refusal `humans_only`, `changed_while_reading`,
    `wrong_credentials` or `account_locked`.
    """
    count_attempt(by)
    return prove_identity(
        by=by, request=request, digest=digest, password=password, session_key=session_key, purpose=purpose
    )


@governed(permission="approvals.reauthenticate", event="signer.reauthenticated", on="request", lock=False)
def prove_identity(
    *, by: Actor, request: ReviewRequest, digest: str, password: str, session_key: str, purpose: str = "decision"
) -> Done[str]:
    """What `reauthenticate` does once the attempt has been counted."""
    assert isinstance(by, User)
    if not by.is_person:
        raise Refusal("humans_only", "Only a person signs. A service account may submit and attach evidence.")
    if purpose == "decision" and digest != request.latest.digest:
        raise changed_while_reading()
    try:
        check_password(User.objects.select_for_update(no_key=True).get(pk=by.pk), password)
    except Refusal as refusal:
        if refusal.code != "wrong_credentials":
            raise
        raise Refusal(refusal.code, "This is not your password, so nothing was signed. Type it again.") from refusal
    nonce, now = secrets.token_urlsafe(32), database_time()
    row = Reauthentication.objects.create(
        request=request, person=by, session=hashed(session_key), digest=digest, nonce=hashed(nonce),
        expires_at=now + NONCE_LIVES,
    )  # fmt: skip
    facts = {"request": str(request.pk), "digest": digest, "method": "password", "purpose": purpose}
    return Done(nonce, on=row, facts=facts)


def changed_while_reading() -> Refusal:
    sentence = "A newer revision was submitted while you were reading. Look at what changed, then sign that one."
    return Refusal("changed_while_reading", sentence)


@governed(permission="approvals.sign_decision", event="decision.signed", on="request")
def sign(
    *, by: Actor, request: ReviewRequest, requirement: str, outcome: str, comment: str, digest: str, nonce: str,
    session_key: str, acknowledged: Collection[str] = (), conditions: Sequence[Condition] = (),
) -> Done[Decision]:  # fmt: skip
    """Record what this person decided about the request's latest revision, for one requirement of its policy.

    Raises Refusal `request_closed`, `unknown_requirement`, `unknown_outcome`, `changed_while_reading`,
    `revision_outdated`, `policy_superseded`, `policy_pin_expired`, `evidence_incomplete`, `not_acknowledged`,
    `reasoning_needed`, `reauthentication_needed`, an `artifact_…` of the storage, `finding_open`, `finding_overdue`,
    `condition_overdue`, `risk_acceptance_expired`, one of `conditions.checked`, or why this person's signature cannot
    count: `own_work`, `role_missing`, `already_signed`, `requirement_met`, `not_your_turn`, `humans_only`.
    """
    assert isinstance(by, User)
    if request.state != ReviewRequest.State.IN_REVIEW:
        word = request.get_state_display().lower()
        raise Refusal("request_closed", f"This request is {word}: nothing can be signed on it now.")
    if outcome not in OUTCOMES:
        raise Refusal("unknown_outcome", f"Choose one of {', '.join(OUTCOMES)}.", "outcome")
    found = records.open_dossier(request)
    wanted = found.policy.requirement(requirement)
    if wanted is None:
        names = ", ".join(each.slug for each in found.policy.requirements)
        raise Refusal("unknown_requirement", f"The policy has no such requirement. It has {names}.", "requirement")
    judge(found, wanted, by, outcome)
    if digest != found.revision.digest:
        raise changed_while_reading()
    if found.case.computed != found.case.frozen:
        sentence = "What was frozen has changed since, so signing it would not count. Ask for a new revision."
        raise Refusal("revision_outdated", sentence)
    if stale := workflow.pin_ended(found.case, database_time()):
        raise Refusal(stale.code, stale.sentence)
    if len(comment.strip()) < 3:
        raise Refusal("reasoning_needed", "Say why, in a few words. It is kept with the signature.", "comment")
    agreed = checked(found.policy, request.team_id, outcome, conditions)
    if outcome in workflow.APPROVING:
        fit_to_approve(found, acknowledged)
    proof = used(nonce, by, request, digest, session_key)
    decision = record(found, wanted, by, outcome, comment.strip(), acknowledged, proof, agreed)
    tracked = attach(decision, agreed)
    conclude(request, decision, tracked)
    facts = {
        "decision": str(decision.pk), "requirement": requirement, "outcome": outcome, "digest": digest,
        "meaning": decision.meaning, "authentication": str(decision.authentication), "judged_by": decision.judged_by,
        "acknowledged": decision.acknowledged, "evidence_opened": [str(pk) for pk in decision.evidence_opened],
        "state": request.state, **({"conditions": decision.conditions} if agreed else {}),
    }  # fmt: skip
    told = {f"condition_{place}": each.text for place, each in enumerate(agreed, 1)}
    return Done(
        decision, facts=facts, discloses={"comment": decision.comment, **told}, changed=[decision, *tracked]
    )  # fmt: skip


def as_person(user: User, team: int) -> workflow.Person:
    roles, house = frozenset(user.roles_in(team)), frozenset(user.roles_in(None))
    return workflow.Person(str(user.opaque_id), user.is_person, roles, house)


def reasons_against(
    found: records.Dossier, requirement: workflow.Requirement, user: User, outcome: str = "approve"
) -> list[workflow.Reason]:
    """Why this account's signature could not count for the requirement now."""
    now = workflow.standing(found.case, database_time())
    return workflow.may_sign(
        found.policy, requirement, as_person(user, found.request.team_id), found.case.people, signed=now.signed,
        open_requirements=now.open_requirements, approving=outcome in workflow.APPROVING,
    )  # fmt: skip


def judge(found: records.Dossier, requirement: workflow.Requirement, by: User, outcome: str) -> None:
    """Raises the first reason against this signature as a Refusal."""
    for reason in reasons_against(found, requirement, by, outcome):
        raise Refusal(reason.code, reason.sentence)


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


def used(nonce: str, by: User, request: ReviewRequest, digest: str, session_key: str) -> Reauthentication:
    """Use up a nonce. Raises Refusal `reauthentication_needed` unless it is this person's, session's and digest's."""
    row = Reauthentication.objects.select_for_update().filter(
        nonce=hashed(nonce), person=by, request=request, digest=digest, session=hashed(session_key), used_at=None
    ).first()  # fmt: skip
    now = database_time()
    if row is None or row.expires_at <= now:
        sentence = "Prove again who you are: type your password. A proof lasts two minutes and for one signature."
        raise Refusal("reauthentication_needed", sentence)
    row.used_at = now
    row.save(update_fields=["used_at"])
    return row


def record(
    found: records.Dossier, requirement: workflow.Requirement, by: User, outcome: str, comment: str,
    acknowledged: Collection[str], proof: Reauthentication, conditions: Sequence[Condition],
) -> Decision:  # fmt: skip
    team, people = found.request.team_id, found.case.people
    where = (None,) if requirement.scope == "house" else (None, team)
    grants = by.grants.active().filter(role__slug=requirement.role).order_by("id")
    judged_by: dict[str, Any] = {
        "role": requirement.role,
        "grants": [str(grant.pk) for grant in grants if grant.team_id in where],
        "people": {name: sorted(members) for name, members in vars(people).items()},
    }
    opened = EvidenceView.objects.filter(request=found.request, person=by, evidence__in=found.revision.evidence_ids)
    known = {reason.code for reason in workflow.limitations(found.policy, found.case.evidence)}
    meaning = meaning_of(requirement, outcome)
    authentication = Event.objects.about(proof).get(event="signer.reauthenticated")
    return Decision.objects.create(
        request=found.request, revision=found.revision, requirement=requirement.slug, signer=by, outcome=outcome,
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
    return requirement.meaning if outcome == Decision.Outcome.APPROVE else MEANINGS[outcome]


def conclude(request: ReviewRequest, made: Decision, tracked: Sequence[Any]) -> None:
    """Bring the request's state to what the decisions, with the one just made, now add up to."""
    if made.outcome == Decision.Outcome.REQUEST_CHANGES:
        request.state = ReviewRequest.State.CHANGES_REQUESTED
    elif made.outcome == Decision.Outcome.REJECT:
        request.state, request.closed_at = ReviewRequest.State.REJECTED, database_time()
    else:
        now = workflow.standing(records.open_dossier(request, [made, *tracked]).case, database_time())
        if all(each.state == "met" for each in now.requirements):
            given = ReviewRequest.State
            request.state = given.CONDITIONALLY_APPROVED if now.conditional else given.APPROVED
            request.closed_at = database_time()
    request.save(update_fields=["state", "closed_at"])
