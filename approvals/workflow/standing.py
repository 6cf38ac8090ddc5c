"""What the signatures on a request add up to at a moment. No clock, no database: everything comes in as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from approvals.workflow.findings import CONDITION, STANDING, Acceptance, Finding, Weighed, weigh
from approvals.workflow.policy import EvidenceRule, Policy, Requirement
from approvals.workflow.signing import People, Reason, a, excluded

EXPIRING = timedelta(days=30)
OPEN = ("in_review", "changes_requested")
CLOSED = ("rejected", "withdrawn")
# States of a request that was signed by all who had to, and outcomes of a decision that say so.
APPROVED = ("approved", "conditionally_approved")
APPROVING = ("approve", "approve_with_conditions")
PASSING = ("within", "")
ANEW = "A new request has to be made and signed."
UNSEALED = "a signature waits for its seal in the log, which takes moments. If it lasts, tell whoever runs the portal."


@dataclass(frozen=True)
class EvidenceItem:
    """One frozen piece of evidence as the records have it now. Digests are "" where nothing was recorded."""

    id: str
    kind: str
    title: str
    provenance: str
    source: str = ""
    verdict: str = ""
    artifact: str = ""
    decision_rule: str = ""
    dataset: str = ""
    registered_dataset: str = ""
    says: str = ""
    withdrawn: bool = False


@dataclass(frozen=True)
class Signature:
    """One decision on record.

    `seal` is what the log knows of it: `sealed`, `pending`, or `broken` where the row is not what the log recorded.
    """

    requirement: str
    signer: str
    outcome: str
    digest: str
    at: datetime
    signer_active: bool = True
    seal: str = "sealed"


@dataclass(frozen=True)
class Case:
    """Everything the verdict rests on. `computed` is the manifest's digest from the records as they are now."""

    policy: Policy
    team: str
    state: str
    frozen: str
    computed: str
    artifact: str
    decision_rule: str
    evidence: tuple[EvidenceItem, ...]
    people: People
    signatures: tuple[Signature, ...]
    revoked: bool = False
    findings: tuple[Finding, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()


@dataclass(frozen=True)
class Fulfilment:
    """How far one requirement is: `met`, `waiting` (its turn) or `blocked` (an earlier stage is open)."""

    requirement: Requirement
    stage: str
    state: str
    signers: tuple[str, ...]
    sentence: str
    who: str


@dataclass(frozen=True)
class Standing:
    """`allowed` is the gate's answer; `obligations` are what is known and owed even where it says yes.

    `conditional` is whether anybody who counts approved on conditions, or one is open. `valid_until` is when the
    approval runs out, or before it the first condition, finding or accepted risk that it hangs on.
    """

    allowed: bool
    state: str
    reasons: tuple[Reason, ...]
    obligations: tuple[Reason, ...]
    requirements: tuple[Fulfilment, ...]
    decided_at: datetime | None
    valid_until: datetime | None
    weighed: Weighed
    conditional: bool = False

    @property
    def open_requirements(self) -> list[str]:
        return [each.requirement.slug for each in self.requirements if each.state == "waiting"]

    @property
    def signed(self) -> list[tuple[str, str]]:
        return [(each.requirement.slug, signer) for each in self.requirements for signer in each.signers]


def standing(case: Case, at: datetime) -> Standing:
    """The verdict on a request at `at`. It is yes only where nothing at all speaks against it."""
    counted = list(counting(case))
    requirements = fulfilments(case.policy, counted, case.team)
    complete = all(each.state == "met" for each in requirements)
    decided = max(signature.at for signature in counted) if complete else None
    until = decided + timedelta(days=case.policy.valid_days) if decided else None
    weighed = weighing(case, at)
    obligations = (*limitations(case.policy, case.evidence), *weighed.obligations)
    state, reasons = _verdict(case, requirements, counted, until, [*weighed.gaps.values(), *weighed.reasons], at)
    ends = min(until, weighed.ends) if until and weighed.ends else until
    conditional = any(signature.outcome == "approve_with_conditions" for signature in counted) or any(
        finding.kind == CONDITION and finding.state in STANDING for finding in case.findings
    )
    return Standing(
        not reasons, state, tuple(reasons), obligations, requirements, decided, ends, weighed, conditional
    )  # fmt: skip


def weighing(case: Case, at: datetime) -> Weighed:
    """What gaps in the evidence, findings and accepted risks add up to."""
    gaps = {}
    for rule in case.policy.evidence:
        one = replace(case.policy, evidence=(rule,))
        for gap in evidence_gaps(one, case.evidence, case.artifact, case.decision_rule):
            gaps[rule.slug] = gap
    return weigh(case.policy.findings, gaps, case.findings, case.acceptances, at)


def counting(case: Case) -> Iterable[Signature]:
    """The approvals that count: over today's digest, for a requirement of the policy, by somebody without a hand in it.

    Each person counts once in all, or once for each requirement where the policy lets earlier signers sign again.
    """
    seen: set[str] = set()
    given: set[tuple[str, str]] = set()
    for signature in sorted(case.signatures, key=lambda each: each.at):
        requirement = case.policy.requirement(signature.requirement)
        if signature.outcome not in APPROVING or signature.digest != case.computed or requirement is None:
            continue
        if signature.seal == "broken":
            continue
        if excluded(requirement, signature.signer, case.people) or (requirement.slug, signature.signer) in given:
            continue
        if signature.signer in seen and "earlier_signers" in requirement.distinct_from:
            continue
        seen.add(signature.signer)
        given.add((requirement.slug, signature.signer))
        yield signature


def fulfilments(policy: Policy, counted: Sequence[Signature], team: str) -> tuple[Fulfilment, ...]:
    """Each requirement in order; a stage's turn comes when every earlier stage is complete."""
    found, turn = [], True
    for stage in policy.stages:
        complete = True
        for requirement in stage.requirements:
            signers = tuple(each.signer for each in counted if each.requirement == requirement.slug)
            met = len(signers) >= requirement.count
            complete = complete and met
            state = "met" if met else "waiting" if turn else "blocked"
            said = _words(requirement, len(signers), state, team)
            found.append(Fulfilment(requirement, stage.slug, state, signers, *said))
        turn = turn and complete
    return tuple(found)


NUMBERS = ("none", "one", "two", "three", "four", "five")


def _words(requirement: Requirement, given: int, state: str, team: str) -> tuple[str, str]:
    def count(number: int) -> str:
        return NUMBERS[number] if number < len(NUMBERS) else str(number)

    needed = f"{count(requirement.count)} signature{'' if requirement.count == 1 else 's'} needed"
    sentence = f"{needed}, {count(given)} given"
    if state == "met":
        return sentence, ""
    who = f"{a(requirement.role).capitalize()} of team {team} may sign"
    return sentence, f"{who}." if state == "waiting" else f"{who}, after the stage before."


def evidence_gaps(
    policy: Policy, evidence: Sequence[EvidenceItem], artifact: str, decision_rule: str
) -> Iterable[Reason]:
    """One reason for each evidence rule that nothing frozen fulfils, naming the nearest miss."""
    for rule in policy.evidence:
        alike = [item for item in evidence if _alike(rule, item)]
        misses = [(_miss(rule, item, artifact, decision_rule), item) for item in alike]
        if any(miss is None for miss, _ in misses):
            continue
        computed = ", computed here," if rule.provenance == "computed" else ""
        if not misses:
            yield Reason("evidence_missing", f"{rule.title}{computed} is missing. Ask for it on the version's page.")
            continue
        miss, item = misses[-1]
        assert miss is not None
        yield Reason(miss.code, f"{rule.title}: “{item.title}” {miss.sentence}")


def _alike(rule: EvidenceRule, item: EvidenceItem) -> bool:
    return item.kind == rule.kind and rule.source in ("", item.source) and rule.provenance in ("", item.provenance)


def _miss(rule: EvidenceRule, item: EvidenceItem, artifact: str, decision_rule: str) -> Reason | None:
    if item.withdrawn:
        return Reason("evidence_withdrawn", "has been withdrawn. Attach another and submit a new revision.")
    if "artifact" in rule.bound_to and item.artifact != artifact:
        return Reason("evidence_other_subject", "is about other bytes than these. Compute it for this version.")
    if "decision_rule" in rule.bound_to and item.decision_rule != decision_rule:
        return Reason("evidence_other_subject", "was computed under another decision rule. Compute it anew.")
    if "dataset" in rule.bound_to and (not item.dataset or item.dataset != item.registered_dataset):
        return Reason("evidence_other_subject", "does not rest on a registered dataset. Compute it on one.")
    if rule.verdicts == "within_only" and item.verdict not in PASSING:
        return Reason(
            "evidence_verdict", f"says {verdict_words(item.verdict)}; the policy takes only reports within bounds."
        )
    return None


def limitations(policy: Policy, evidence: Sequence[EvidenceItem]) -> Iterable[Reason]:
    """Known limitations: frozen reports with a verdict that is not within bounds, by the code `evidence:<id>`."""
    for item in evidence:
        asked = any(_alike(rule, item) and rule.verdicts == "acknowledge" for rule in policy.evidence)
        if asked and item.verdict not in PASSING:
            said = f" {item.says}" if item.says else ""
            yield Reason(f"evidence:{item.id}", f"“{item.title}” says {verdict_words(item.verdict)}.{said}")


def verdict_words(verdict: str) -> str:
    named = {"within": "within the bounds", "outside": "outside the bounds", "too_few": "too few people to test"}
    return named.get(verdict, verdict.replace("_", " "))


def _verdict(
    case: Case, requirements: Sequence[Fulfilment], counted: Sequence[Signature], until: datetime | None,
    evidence: list[Reason], at: datetime,
) -> tuple[str, list[Reason]]:  # fmt: skip
    if case.revoked:
        return "revoked", [Reason("revoked", f"The approval was revoked. {ANEW}")]
    if case.state in CLOSED:
        return case.state, [Reason(case.state, f"The request was {case.state}. {ANEW}")]
    outdated = case.computed != case.frozen
    reasons = list(evidence)
    if any(each.seal == "broken" for each in case.signatures):
        advice = "Somebody changed the database past the portal: tell whoever answers for it; repair nothing."
        reasons.insert(0, Reason("record_broken", f"A decision is not what the log recorded. {advice}"))
    if outdated:
        advice = "Submit a new revision." if case.state in OPEN else ANEW
        reasons.insert(0, Reason("outdated", f"What was frozen has changed since. {advice}"))
    if case.state == "changes_requested":
        reasons.insert(0, Reason("changes_requested", "A reviewer asked for changes. Answer with a new revision."))
    if not outdated:
        reasons += [
            Reason("signature_missing", f"{each.requirement.title}: {each.sentence}. {each.who}")
            for each in requirements
            if each.state != "met"
        ]
    if case.state in OPEN:
        return case.state, reasons or [Reason("in_review", "The request is still under review.")]
    if outdated or reasons:
        return "outdated" if outdated else "suspended", reasons
    if case.policy.deactivated_signer == "suspends" and not all(each.signer_active for each in counted):
        return "suspended", [Reason("signer_deactivated", f"Somebody who signed has left. {ANEW}")]
    if until is None or at >= until:
        return "expired", [Reason("expired", f"The approval has run out. {ANEW}")]
    sealed = fulfilments(case.policy, [each for each in counted if each.seal == "sealed"], case.team)
    if not all(each.state == "met" for each in sealed):
        return "sealing", [Reason("seal_pending", f"Everybody has signed; {UNSEALED}")]
    return "expiring" if until - at <= EXPIRING else "active", []
