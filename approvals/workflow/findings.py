"""Findings, conditions and accepted risks: what they do to an approval at a moment. Plain values in and out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from approvals.workflow.policy import FindingRule
from approvals.workflow.signing import Reason

SEVERITIES = ("low", "medium", "high", "critical")
STANDING = ("open", "answered")
TARGETS = ("evidence", "finding")
CONDITION = "condition"
# Which steps may be taken from which state, and the state that they lead to; "" keeps it.
STEPS = {
    "answered": (STANDING, "answered"),
    "reassessed": (STANDING, ""),
    "closed": (STANDING, "closed"),
    "reopened": (("answered", "closed"), "open"),
}


@dataclass(frozen=True)
class Finding:
    """A finding or a condition as its newest step has it; `severity` is "" for a condition.

    `seal` is `broken` where the step is not what the log recorded.
    """

    id: str
    kind: str
    title: str
    severity: str
    state: str
    due: date
    seal: str = "sealed"

    @property
    def target(self) -> str:
        return f"finding:{self.id}"

    @property
    def named(self) -> str:
        if self.kind == CONDITION:
            return f"Condition {self.id}, “{self.title}”"
        return f"Finding {self.id}, “{self.title}” ({self.severity})"


@dataclass(frozen=True)
class Acceptance:
    """A risk that somebody signed for, until the end of a day (UTC). `severity` is what the finding had then."""

    id: str
    target: str
    severity: str
    until: date
    reason: str
    withdrawn: bool = False
    seal: str = "sealed"

    def covers(self, severity: str) -> bool:
        """Whoever accepted a medium finding has not accepted a critical one."""
        return rank(severity) <= rank(self.severity)


@dataclass(frozen=True)
class Weighed:
    """What speaks against an approval, what is owed even where nothing does, and what accepted risks lift.

    `gaps` are the evidence rules that nothing fulfils and nothing lifts, by slug; `ends` is when the first of what is
    owed or accepted runs out, so that the answer can change.
    """

    reasons: tuple[Reason, ...] = ()
    obligations: tuple[Reason, ...] = ()
    gaps: Mapping[str, Reason] = field(default_factory=dict)
    lifted: Mapping[str, Acceptance] = field(default_factory=dict)
    ends: datetime | None = None


def rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1


def day_of(at: datetime) -> date:
    return at.astimezone(UTC).date()


def end_of(day: date) -> datetime:
    """The moment at which a day is over."""
    return datetime.combine(day + timedelta(days=1), time.min, UTC)


def overdue(due: date, at: datetime) -> bool:
    return day_of(at) > due


def after(step: str, state: str) -> str | None:
    """The state that a step leads to, or None where it cannot be taken from this state."""
    before, leads_to = STEPS[step]
    if state not in before:
        return None
    return leads_to or state


def weigh(
    rule: FindingRule,
    gaps: Mapping[str, Reason],
    findings: Sequence[Finding],
    acceptances: Sequence[Acceptance],
    at: datetime,
) -> Weighed:
    """What findings, conditions and gaps in the evidence add up to at `at`, with the risks accepted by then."""
    reasons: list[Reason] = []
    obligations: list[Reason] = []
    lifted: dict[str, Acceptance] = {}
    ends: list[datetime] = []
    if "broken" in {*(each.seal for each in findings), *(each.seal for each in acceptances)}:
        advice = "Somebody changed the database past the portal: tell whoever answers for it; repair nothing."
        reasons.append(Reason("record_broken", f"A finding or an accepted risk is not what the log recorded. {advice}"))
    for slug in gaps:
        target = f"evidence:{slug}"
        if holding := in_force(acceptances, target, "", at):
            lifted[target] = holding
        else:
            reasons += ran_out(acceptances, target, at)
    for finding in (each for each in findings if each.state in STANDING):
        against = list(why_not(rule, finding, at))
        if not against:
            obligations.append(owed(finding, at))
            if stops_when_overdue(rule, finding) and not overdue(finding.due, at):
                ends.append(end_of(finding.due))
        elif holding := in_force(acceptances, finding.target, finding.severity, at):
            lifted[finding.target] = holding
        else:
            reasons += [*ran_out(acceptances, finding.target, at), *against]
    obligations += [accepted(each) for each in lifted.values()]
    ends += [end_of(each.until) for each in lifted.values()]
    left = {slug: gap for slug, gap in gaps.items() if f"evidence:{slug}" not in lifted}
    return Weighed(tuple(reasons), tuple(obligations), left, lifted, min(ends, default=None))


def why_not(rule: FindingRule, finding: Finding, at: datetime) -> Iterable[Reason]:
    """Why an approval cannot hold beside this finding, which is not closed, if nobody accepts its risk."""
    late = overdue(finding.due, at) and stops_when_overdue(rule, finding)
    if finding.kind == CONDITION:
        if late:
            yield Reason("condition_overdue", f"{finding.named} was due on {finding.due} and is not fulfilled.")
        return
    if finding.severity in rule.block:
        yield Reason("finding_open", f"{finding.named} is open. Answer it, and have its closure validated.")
    if late:
        yield Reason("finding_overdue", f"{finding.named} was due on {finding.due} and is still open.")


def stops_when_overdue(rule: FindingRule, finding: Finding) -> bool:
    """Conditions always do: somebody approved on them. Findings do where the policy says so."""
    return finding.kind == CONDITION or rule.overdue == "suspends"


def in_force(acceptances: Iterable[Acceptance], target: str, severity: str, at: datetime) -> Acceptance | None:
    """The acceptance that lifts a target now, the last to run out. It counts only once it is sealed."""
    found = [
        each
        for each in acceptances
        if each.target == target and not each.withdrawn and each.seal == "sealed" and each.covers(severity)
        and not overdue(each.until, at)
    ]  # fmt: skip
    return max(found, key=lambda each: (each.until, each.id), default=None)


def ran_out(acceptances: Iterable[Acceptance], target: str, at: datetime) -> list[Reason]:
    """That the risk of a target was accepted and no longer is, if its time ran out."""
    past = [
        each
        for each in acceptances
        if each.target == target and not each.withdrawn and each.seal == "sealed" and overdue(each.until, at)
    ]
    if not past:
        return []
    last = max(past, key=lambda each: (each.until, each.id))
    sentence = f"Risk acceptance {last.id} ran out on {last.until}. Settle what it was for, or have it renewed."
    return [Reason("risk_acceptance_expired", sentence)]


def owed(finding: Finding, at: datetime) -> Reason:
    """An open finding or condition that stops nothing yet."""
    late = ", and overdue" if overdue(finding.due, at) else ""
    return Reason(finding.target, f"{finding.named} is {finding.state}, due on {finding.due}{late}.")


def accepted(acceptance: Acceptance) -> Reason:
    sentence = f"The risk of {target_words(acceptance.target)} is accepted until {acceptance.until}: "
    return Reason(f"risk_acceptance:{acceptance.id}", sentence + acceptance.reason)


def target_words(target: str) -> str:
    kind, _, name = target.partition(":")
    return f"finding {name}" if kind == "finding" else f"the missing evidence “{name}”"


def target_of(text: str) -> tuple[str, str] | None:
    """Kind and name of what a risk can be accepted for, or None.

    There are evidence rules and findings, and nothing else: no signature, no separation of duties, no proof of
    identity and no entry in the log can be excepted.
    """
    kind, _, name = text.partition(":")
    return (kind, name) if kind in TARGETS and name else None


def too_long(until: date, at: datetime, days: int) -> bool:
    return until > day_of(at) + timedelta(days=days)


def age_in_words(raised_at: datetime, due: date, at: datetime, closed_at: datetime | None = None) -> str:
    """`open 12 days, due in 3`, `open 12 days, 2 overdue`, `closed after 12 days`."""
    if closed_at:
        return f"closed after {days(day_of(closed_at) - day_of(raised_at))}"
    left = (due - day_of(at)).days
    term = "due today" if left == 0 else f"due in {left}" if left > 0 else f"{-left} overdue"
    return f"open {days(day_of(at) - day_of(raised_at))}, {term}"


def days(length: timedelta) -> str:
    return "1 day" if length.days == 1 else f"{length.days} days"
