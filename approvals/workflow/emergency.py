"""Breaking the glass: some people together let a version serve for hours while its review goes on.

Only missing signatures of the review are lifted. Evidence, findings, a changed manifest or a broken record are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from approvals.workflow.policy import ALWAYS_DISTINCT, Policy, Requirement
from approvals.workflow.signing import Reason, excluded

if TYPE_CHECKING:
    from approvals.workflow.standing import Case, Signature

EMERGENCY = "emergency"
ROLES = ("approver", "risk_officer")
# What speaks against an approval only because the review is not done.
LIFTED = {"signature_missing", "in_review"}
MEANING = (
    "I let this version serve at once, before its review is done, because waiting would do more harm. I know that this "
    "is shown to everybody, ends by itself, and has to be reviewed."
)


@dataclass(frozen=True)
class Granted:
    until: datetime
    told: Reason


def emergency_requirement(policy: Policy, held: Collection[str] = ()) -> Requirement:
    """What is signed in an emergency, in the first of the roles that may which is held."""
    people = policy.emergency.people if policy.emergency else 0
    role = next((each for each in ROLES if each in held), ROLES[0])
    return Requirement(EMERGENCY, "Emergency approval", role, people, ALWAYS_DISTINCT, MEANING)


def signatures(case: Case, digest: str | None = None) -> list[Signature]:
    """Those that count, one for each person, oldest first; over any revision, or over this digest."""
    found: list[Signature] = []
    seen: set[str] = set()
    requirement = emergency_requirement(case.policy)
    for each in sorted(case.signatures, key=lambda one: one.at):
        if each.outcome != EMERGENCY or each.seal == "broken" or digest not in (None, each.digest):
            continue
        if seen & set(each.accounts) or any(excluded(requirement, one, case.people) for one in each.accounts):
            continue
        seen |= set(each.accounts)
        found.append(each)
    return found


def ends(case: Case) -> datetime | None:
    """When an emergency of this request ends or ended; None where there was none.

    It begins with the last signature that was needed, over whichever revision, and there is no second one: a new
    revision does not wind the clock up again.
    """
    rule = case.policy.emergency
    if rule is None:
        return None
    begun = [
        complete[rule.people - 1].at
        for digest in {each.digest for each in case.signatures}
        if len(complete := signatures(case, digest)) >= rule.people
    ]
    return min(begun) + timedelta(hours=rule.hours) if begun else None


def granted(case: Case, reasons: Sequence[Reason], at: datetime) -> Granted | None:
    """The emergency that lets this version serve now, where nothing but the missing review speaks against it."""
    rule, until = case.policy.emergency, ends(case)
    if rule is None or until is None or at >= until or case.state != "in_review":
        return None
    if any(each.code not in LIFTED for each in reasons):
        return None
    outside = case.policy.anchor_outside
    given = signatures(case, case.computed)
    sealed = [each for each in given if each.seal == "sealed" and (each.anchored or not outside)]
    if len(sealed) < rule.people:
        return None
    sentence = (
        f"It serves under an emergency approval of {rule.people} people, until the review is done, for hours only."
    )
    return Granted(until, Reason("emergency", sentence))


def ran_out(case: Case, at: datetime) -> Reason | None:
    until = ends(case)
    if until is None or at < until or case.state != "in_review":
        return None
    return Reason("emergency_over", "The emergency approval ran out before the review was done. Finish the review.")


def why_no_emergency(case: Case, accounts: Collection[str], reasons: Iterable[Reason], at: datetime) -> list[Reason]:
    """Why an emergency signature of these accounts would do nothing now; empty where it would count."""
    if case.policy.emergency is None:
        return [Reason("no_emergency", "The policy of this request knows no emergency approval.")]
    found = [each for each in reasons if each.code not in LIFTED | {"emergency_over"}]
    if (until := ends(case)) is not None:
        word = "runs" if at < until else "has run out"
        found.append(
            Reason("emergency_used", f"An emergency approval of this request {word} already. It is given once.")
        )
    elif any(set(accounts) & set(each.accounts) for each in signatures(case, case.computed)):
        found.append(Reason("already_signed", "You have signed this already. One person counts once."))
    return found
