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
    recused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Person:
    """Somebody who would sign. `roles` are those held for the model's team; `house_roles` those held everywhere.

    Where they sign on `behalf` of somebody else, the roles are that person's.
    """

    id: str
    is_human: bool = True
    roles: frozenset[str] = frozenset()
    house_roles: frozenset[str] = frozenset()
    behalf: str = ""

    @property
    def accounts(self) -> tuple[str, ...]:
        """Whoever signs for another counts as both."""
        return (self.id, self.behalf) if self.behalf else (self.id,)

    def holds(self, requirement: Requirement) -> bool:
        return requirement.role in (self.roles if requirement.scope == "team" else self.house_roles)


def excluded(requirement: Requirement, person: str, people: People) -> list[str]:
    """The groups named by the requirement, other than earlier signers, that this account is in; and `recused`."""
    named = [name for name in requirement.distinct_from if name in HANDS and person in getattr(people, name)]
    return [*named, *(["recused"] if person in people.recused else [])]


def why_excluded(requirement: Requirement, person: str, people: People, behalf: str = "") -> list[Reason]:
    """One reason for each hand that the person, or whom they sign for, had in it; and for having stepped back."""
    reasons = []
    for name in excluded(requirement, person, people):
        if name == "recused":
            reasons.append(Reason("recused", "You stepped back from this request. Somebody else has to sign."))
        else:
            sentence = f"{HANDS[name]}, so your signature cannot count for it. Somebody else has to sign."
            reasons.append(Reason("own_work", sentence))
    if behalf and excluded(requirement, behalf, people):
        sentence = "Whom you sign for had a hand in it, or stepped back, so neither of you can sign."
        reasons.append(Reason("own_work", sentence))
    return reasons


def may_sign(
    policy: Policy,
    requirement: Requirement,
    person: Person,
    people: People,
    *,
    signed: Iterable[tuple[str, str]],
    also: Iterable[tuple[str, str]] = (),
    open_requirements: Iterable[str],
    approving: bool = True,
) -> list[Reason]:
    """Why this person's signature cannot count for the requirement now; empty where it can.

    `signed` are (requirement, account) pairs that count already, `also` those on whose behalf that was, and
    `open_requirements` the slugs whose turn it is.
    Somebody who rejects or asks for changes need not wait for their stage, and may have approved before.
    """
    reasons = []
    if not person.is_human:
        reasons.append(Reason("humans_only", "Only a person signs. A service account may submit and attach evidence."))
    if not person.holds(requirement):
        whose = "of the model's team" if requirement.scope == "team" else "of the whole house"
        sentence = f"{a(requirement.role).capitalize()} {whose} signs here: not a role you hold."
        reasons.append(Reason("role_missing", sentence))
    reasons += why_excluded(requirement, person.id, people, person.behalf)
    if not approving:
        return reasons
    counted = list(signed)
    mine = [slug for slug, account in (*counted, *also) if account in person.accounts]
    if requirement.slug in mine:
        reasons.append(Reason("already_signed", "This is signed already, by you or for you. One person counts once."))
    elif mine and "earlier_signers" in requirement.distinct_from:
        earlier = policy.requirement(mine[0])
        title = earlier.title.lower() if earlier else mine[0]
        sentence = f"The {title} of this request is signed by you, or for you. Another person has to sign here."
        reasons.append(Reason("already_signed", sentence))
    elif sum(slug == requirement.slug for slug, _ in counted) >= requirement.count:
        reasons.append(Reason("requirement_met", "Enough people have signed this already. Nothing is left to do here."))
    elif requirement.slug not in set(open_requirements):
        reasons.append(Reason("not_your_turn", "An earlier stage is still open. Sign once it is complete."))
    return reasons


def a(role: str) -> str:
    """A role's slug with its article: `an approver`, `a risk officer`."""
    words = role.replace("_", " ")
    return f"an {words}" if words[:1] in "aeiou" else f"a {words}"
