"""Segregation of duties: whose signature can count for a requirement, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from approvals.workflow.policy import Policy, Requirement

HANDS = {
    "submitter": "You asked for this approval",
    "owner": "You own this model",
    "contributors": "You are named as a contributor to this version",
    "evidence_producers": "You produced evidence that is signed over here",
}


@dataclass(frozen=True)
class Reason:
    """A stable code for programs and a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True)
class People:
    """Who had a hand in what is signed: opaque ids of accounts."""

    submitter: frozenset[str] = frozenset()
    owner: frozenset[str] = frozenset()
    contributors: frozenset[str] = frozenset()
    evidence_producers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Person:
    """Somebody who would sign. `roles` are those held for the model's team; `house_roles` those held everywhere."""

    id: str
    is_human: bool = True
    roles: frozenset[str] = frozenset()
    house_roles: frozenset[str] = frozenset()

    def holds(self, requirement: Requirement) -> bool:
        return requirement.role in (self.roles if requirement.scope == "team" else self.house_roles)


def excluded(requirement: Requirement, person: str, people: People) -> list[str]:
    """The groups named by the requirement, other than earlier signers, that this account is in."""
    return [name for name in requirement.distinct_from if name in HANDS and person in getattr(people, name)]


def why_excluded(requirement: Requirement, person: str, people: People) -> list[Reason]:
    """Own work: one reason for each hand that the person had in it."""
    return [
        Reason("own_work", f"{HANDS[name]}, so your signature cannot count for it. Somebody else has to sign.")
        for name in excluded(requirement, person, people)
    ]


def may_sign(
    policy: Policy,
    requirement: Requirement,
    person: Person,
    people: People,
    *,
    signed: Iterable[tuple[str, str]],
    open_requirements: Iterable[str],
    approving: bool = True,
) -> list[Reason]:
    """Why this person's signature cannot count for the requirement now; empty where it can.

    `signed` are (requirement, account) pairs that count already, `open_requirements` the slugs whose turn it is.
    Somebody who rejects or asks for changes need not wait for their stage, and may have approved before.
    """
    reasons = []
    if not person.is_human:
        reasons.append(Reason("humans_only", "Only a person signs. A service account may submit and attach evidence."))
    if not person.holds(requirement):
        whose = "of the model's team" if requirement.scope == "team" else "of the whole house"
        sentence = f"{a(requirement.role).capitalize()} {whose} signs here: not a role you hold."
        reasons.append(Reason("role_missing", sentence))
    reasons += why_excluded(requirement, person.id, people)
    if not approving:
        return reasons
    counted = list(signed)
    mine = [slug for slug, account in counted if account == person.id]
    if requirement.slug in mine:
        reasons.append(Reason("already_signed", "You have signed this already. One person counts once."))
    elif mine and "earlier_signers" in requirement.distinct_from:
        earlier = policy.requirement(mine[0])
        title = earlier.title.lower() if earlier else mine[0]
        reasons.append(
            Reason("already_signed", f"You signed the {title} of this request. Another person has to sign here.")
        )
    elif sum(slug == requirement.slug for slug, _ in counted) >= requirement.count:
        reasons.append(Reason("requirement_met", "Enough people have signed this already. Nothing is left to do here."))
    elif requirement.slug not in set(open_requirements):
        reasons.append(Reason("not_your_turn", "An earlier stage is still open. Sign once it is complete."))
    return reasons


def a(role: str) -> str:
    """A role's slug with its article: `an approver`, `a risk officer`."""
    words = role.replace("_", " ")
    return f"an {words}" if words[:1] in "aeiou" else f"a {words}"
