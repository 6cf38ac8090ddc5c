"""A policy tried on the past: what it would have asked of requests that were decided under others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from approvals.workflow.evidence import EvidenceItem, evidence_gaps
from approvals.workflow.material import HIGHEST
from approvals.workflow.policy import Policy
from approvals.workflow.signing import People, Reason, excluded
from approvals.workflow.standing import sentence_of


@dataclass(frozen=True)
class Past:
    """One request as it was when it ended, or as it is now. `signed` are (role, account) in the order of time."""

    id: int
    tier: str
    environment: str
    use: str
    at: datetime
    artifact: str
    decision_rule: str
    evidence: tuple[EvidenceItem, ...]
    people: People
    signed: tuple[tuple[str, str], ...]
    approved: bool
    rejected: bool
    left_out: tuple[EvidenceItem, ...] = ()
    change: str = HIGHEST


def missing(applied: Policy, past: Past) -> list[Reason]:
    """What would have been missed of what applies. A signature counts for a requirement of the role in which it was
    given.
    """
    reasons = list(evidence_gaps(applied, past.evidence, past.artifact, past.decision_rule, past.at, past.left_out))
    left = list(past.signed)
    signers: set[str] = set()
    for requirement in applied.requirements:
        given: list[tuple[str, str]] = []
        for role, account in left:
            again = account in signers and "earlier_signers" in requirement.distinct_from
            twice = any(account == other for _, other in given)
            if role != requirement.role or again or twice or excluded(requirement, account, past.people):
                continue
            given.append((role, account))
        given = given[: requirement.count]
        signers |= {account for _, account in given}
        left = [each for each in left if each not in given]
        if len(given) < requirement.count:
            said = sentence_of(requirement, len(given))
            reasons.append(Reason("signature_missing", f"{requirement.title}: {said}."))
    return reasons


@dataclass(frozen=True)
class Tried:
    """Requests that this policy would have `stopped` though they were approved, with why, and those that it would have
    `let_through` though they were not."""

    looked_at: int
    stopped: tuple[tuple[int, Reason], ...]
    let_through: tuple[int, ...]


def tried(policy: Policy, pasts: Iterable[Past]) -> Tried:
    """A rejection binds under every policy, so what was rejected is never let through."""
    stopped, through, count = [], [], 0
    applying = cache(policy.applying)  # many requests ask the same
    for past in pasts:
        count += 1
        reasons = missing(applying(past.tier, past.environment, past.use, past.change), past)
        if past.approved and reasons:
            stopped.append((past.id, reasons[0]))
        elif not past.approved and not past.rejected and not reasons:
            through.append(past.id)
    return Tried(count, tuple(stopped), tuple(through))
