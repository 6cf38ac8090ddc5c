"""What the signatures on a request add up to at a moment. No clock, no database: everything comes in as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from approvals.workflow import comparison, emergency
from approvals.workflow.evidence import EvidenceItem, evidence_gaps, limitations, stale_from
from approvals.workflow.findings import CONDITION, STANDING, Acceptance, Finding, Weighed, weigh
from approvals.workflow.policy import Policy, Requirement
from approvals.workflow.signing import People, Reason, a, excluded
from approvals.workflow.upstream import UNVERIFIED, Upstream, against

EXPIRING = timedelta(days=30)
OPEN = ("in_review", "changes_requested")
CLOSED = ("rejected", "withdrawn")
# States of a request that was signed by all who had to, and outcomes of a decision that say so.
APPROVED = ("approved", "conditionally_approved")
APPROVING = ("approve", "approve_with_conditions")
# Sections of a manifest that no signature outlives.
FIXED = ("environment", "use", "model", "version", "policy")
ANEW = "A new request has to be made and signed."
UNANCHORED = (
    "its policy waits until the log is anchored outside the portal. If it lasts, tell whoever runs the portal to set "
    "up an anchor."
)
UNSEALED = "a signature waits for its seal in the log, which takes moments. If it lasts, tell whoever runs the portal."


@dataclass(frozen=True)
class Signature:
    """One decision on record.

    `seal` is what the log knows of it: `sealed`, `pending`, or `broken` where the row is not what the log recorded.
    `untouched` are the sections of the manifest signed that are the same in the latest revision. Whoever signed on
    `behalf` of somebody counts as both. It is `anchored` where its seal has reached a place outside the portal.
    """

    requirement: str
    signer: str
    outcome: str
    digest: str
    at: datetime
    signer_active: bool = True
    seal: str = "sealed"
    untouched: frozenset[str] = frozenset()
    behalf: str = ""
    anchored: bool = False

    @property
    def accounts(self) -> tuple[str, ...]:
        return (self.signer, self.behalf) if self.behalf else (self.signer,)


@dataclass(frozen=True)
class Case:
    """Everything the verdict rests on. `computed` is the manifest's digest from the records as they are now.

    `policy` is what of the pinned policy applies to the request. It is pinned until `pinned_until`, None without end,
    and `superseded` where a newer version binds at once. `left_out` is what had been computed here and was not frozen,
    where the policy asks; `upstream` what is known of a model whose bytes are not here; `compared` the approval because
    of which less was asked for.
    """

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
    pinned_until: datetime | None = None
    superseded: bool = False
    findings: tuple[Finding, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()
    left_out: tuple[EvidenceItem, ...] = ()
    upstream: Upstream | None = None
    compared: comparison.Compared | None = None


@dataclass(frozen=True)
class Fulfilment:
    """How far one requirement is: `met`, `waiting` (its turn) or `blocked` (an earlier stage is open)."""

    requirement: Requirement
    stage: str
    state: str
    signers: tuple[str, ...]
    sentence: str
    who: str
    behalves: tuple[str, ...] = ()


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

    @property
    def also(self) -> list[tuple[str, str]]:
        """Those on whose behalf somebody signed."""
        return [(each.requirement.slug, account) for each in self.requirements for account in each.behalves]


def standing(case: Case, at: datetime) -> Standing:
    """The verdict on a request at `at`. It is yes only where nothing at all speaks against it."""
    counted = list(counting(case))
    requirements = fulfilments(case.policy, counted, case.team)
    complete = all(each.state == "met" for each in requirements)
    decided = max(signature.at for signature in counted) if complete else None
    weighed = weighing(case, at)
    lasting = tuple(rule for rule in case.policy.evidence if f"evidence:{rule.slug}" not in weighed.lifted)
    ends = list(stale_from(replace(case.policy, evidence=lasting), case.evidence, case.artifact, case.decision_rule))
    ends += [case.compared.until] if case.compared else []
    until = min([decided + timedelta(days=case.policy.valid_days), *ends]) if decided else None
    obligations = (*limitations(case.policy, case.evidence), *weighed.obligations)
    state, reasons = _verdict(case, requirements, counted, until, [*weighed.gaps.values(), *weighed.reasons], at)
    if granted := emergency.granted(case, reasons, at):
        state, reasons, until = "emergency", [], granted.until
        obligations = (*obligations, granted.told)
    elif ran_out := emergency.ran_out(case, at):
        reasons = [*reasons, ran_out]
    first = min(until, weighed.ends) if until and weighed.ends else until
    conditional = any(signature.outcome == "approve_with_conditions" for signature in counted) or any(
        finding.kind == CONDITION and finding.state in STANDING for finding in case.findings
    )
    return Standing(
        not reasons, state, tuple(reasons), obligations, requirements, decided, first, weighed, conditional
    )  # fmt: skip


def weighing(case: Case, at: datetime) -> Weighed:
    """What gaps in the evidence, findings and accepted risks add up to."""
    missing = {}
    for rule in case.policy.evidence:
        for gap in gaps(replace(case, policy=replace(case.policy, evidence=(rule,))), at):
            missing[rule.slug] = gap
    weighed = weigh(case.policy.findings, missing, case.findings, case.acceptances, at)
    if case.upstream is None:
        return weighed
    ends = [each for each in (weighed.ends, case.upstream.checked_until) if each]
    return replace(
        weighed, reasons=(*against(case.upstream, at), *weighed.reasons),
        obligations=(UNVERIFIED, *weighed.obligations), ends=min(ends, default=None),
    )  # fmt: skip


def counting(case: Case) -> Iterable[Signature]:
    """The approvals that count: over today's digest, for a requirement of the policy, by somebody without a hand in it.

    Each person counts once in all, or once for each requirement where the policy lets earlier signers sign again.
    """
    seen: set[str] = set()
    given: set[tuple[str, str]] = set()
    for signature in sorted(case.signatures, key=lambda each: each.at):
        requirement = case.policy.requirement(signature.requirement)
        if signature.outcome not in APPROVING or requirement is None or signature.seal == "broken":
            continue
        if signature.digest != case.computed and not carried_over(case, requirement, signature):
            continue
        accounts = set(signature.accounts)
        if any(excluded(requirement, each, case.people) or (requirement.slug, each) in given for each in accounts):
            continue
        if accounts & seen and "earlier_signers" in requirement.distinct_from:
            continue
        seen |= accounts
        given |= {(requirement.slug, each) for each in accounts}
        yield signature


def carried_over(case: Case, requirement: Requirement, signature: Signature) -> bool:
    """Whether a signature over an earlier revision still counts, because what it is about is as it was.

    Somebody who asked for changes since has taken it back.
    """
    if not requirement.carry_over_if or case.computed != case.frozen:
        return False
    taken_back = any(
        each.signer == signature.signer and each.outcome not in APPROVING and each.at > signature.at
        for each in case.signatures
    )
    return not taken_back and {*FIXED, *requirement.carry_over_if} <= signature.untouched


def gaps(case: Case, at: datetime) -> Iterable[Reason]:
    return evidence_gaps(case.policy, case.evidence, case.artifact, case.decision_rule, at, case.left_out)


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
            behalves = tuple(each.behalf for each in counted if each.requirement == requirement.slug and each.behalf)
            found.append(Fulfilment(requirement, stage.slug, state, signers, *said, behalves))
        turn = turn and complete
    return tuple(found)


NUMBERS = ("none", "one", "two", "three", "four", "five")


def sentence_of(requirement: Requirement, given: int) -> str:
    def count(number: int) -> str:
        return NUMBERS[number] if number < len(NUMBERS) else str(number)

    needed = f"{count(requirement.count)} signature{'' if requirement.count == 1 else 's'} needed"
    return f"{needed}, {count(given)} given"


def _words(requirement: Requirement, given: int, state: str, team: str) -> tuple[str, str]:
    sentence = sentence_of(requirement, given)
    if state == "met":
        return sentence, ""
    who = f"{a(requirement.role).capitalize()} {of_whom(requirement, team)} may sign"
    return sentence, f"{who}." if state == "waiting" else f"{who}, after the stage before."


def of_whom(requirement: Requirement, team: str) -> str:
    return f"of team {team}" if requirement.scope == "team" else "of the whole house"


def pin_ended(case: Case, at: datetime) -> Reason | None:
    """Why a request that is under way can no longer be decided under the policy that it is pinned to."""
    if case.superseded:
        sentence = "A newer version of its policy binds at once. Submit a new revision, which is pinned to that one."
        return Reason("policy_superseded", sentence)
    if case.pinned_until is not None and at >= case.pinned_until:
        sentence = (
            "It has been under way for longer than its policy allows. Submit a new revision under today's policy."
        )
        return Reason("policy_pin_expired", sentence)
    return None


def needs_revision(case: Case, at: datetime) -> Reason | None:
    """Why nothing more can be decided on this revision of a request that is under way."""
    return pin_ended(case, at) or comparison.ended(case.compared, at, under_way=True)


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
    if told := comparison.ended(case.compared, at, case.state in OPEN):
        reasons.insert(0, told)
    if case.state in OPEN and (stale := pin_ended(case, at)):
        reasons.insert(0, stale)
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
    if case.policy.anchor_outside and not all(each.anchored for each in counted):
        return "sealing", [Reason("anchor_pending", f"Everybody has signed; {UNANCHORED}")]
    return "expiring" if until - at <= EXPIRING else "active", []
