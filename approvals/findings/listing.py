"""Many findings at once: the list's page, what waits for whom, and the tables on other pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from accounts.models import User
from accounts.within import Within
from approvals.findings.models import Finding, FindingStep, RiskAcceptance, StepQuerySet
from approvals.findings.people import hands_on
from approvals.workflow import findings as rules
from ledger.events import database_time
from ledger.prepared import Prepared

AT_ONCE = 200
STATES = [
    ("", "any"), ("standing", "Not closed"), ("overdue", "Overdue"), ("open", "Open"), ("answered", "Answered"),
    ("closed", "Closed"),
]  # fmt: skip
KINDS = [("", "any"), *Finding.Kind.choices]


@dataclass(frozen=True)
class Row:
    """A finding in a list, as its newest step has it."""

    finding: Finding
    step: FindingStep
    age: str
    late: bool
    answer: FindingStep | None = None
    since: bool = False
    why: str = ""

    @property
    def state(self) -> str:
        return "overdue" if self.late else self.step.state


def newest(user: User) -> QuerySet[FindingStep]:
    """The newest step of each finding that somebody may see."""
    return newest_each(FindingStep.objects.filter(finding__in=Finding.objects.visible_to(user)))


def newest_each(steps: QuerySet[FindingStep]) -> QuerySet[FindingStep]:
    last = FindingStep.objects.filter(finding=OuterRef("finding")).order_by("-number").values("pk")[:1]
    return steps.filter(pk=Subquery(last)).select_related(*FindingStep.PARTS)


def chosen(user: User, wanted: Mapping[str, Any]) -> QuerySet[FindingStep]:
    """The steps of the findings that fit a filter; `state` may be one of STATES."""
    rows = newest(user)
    state = wanted.get("state")
    if state in ("standing", "overdue"):
        rows = rows.filter(state__in=rules.STANDING)
        rows = rows.filter(due__lt=rules.day_of(database_time())) if state == "overdue" else rows
    elif state:
        rows = rows.filter(state=state)
    if wanted.get("mine"):
        rows = rows.filter(owner=user)
    for name, path in (("severity", "severity"), ("kind", "finding__kind"), ("version", "finding__version")):
        rows = rows.filter(**{path: wanted[name]}) if wanted.get(name) else rows
    if team := wanted.get("team"):
        rows = rows.filter(finding__version__model__team=team)
    return rows


def rows_of(steps: Iterable[FindingStep], at: datetime, known: Iterable[int] = ()) -> list[Row]:
    """Rows with the last answer of each; `known` are ids of the findings that a revision froze. One query."""
    told = list(steps)
    if not told:
        return []
    answers = {
        step.finding_id: step
        for step in FindingStep.objects.filter(
            finding__in=[each.finding_id for each in told], kind=FindingStep.Kind.ANSWERED, at__lte=at
        ).select_related("by").order_by("number")
    }  # fmt: skip
    frozen = set(known)
    return [
        Row(
            each.finding, each, age(each, at), late(each, at), answers.get(each.finding_id),
            each.finding_id not in frozen and each.finding.kind == Finding.Kind.FINDING,
        )
        for each in told
    ]  # fmt: skip


def age(step: FindingStep, at: datetime) -> str:
    closed = step.at if step.state == FindingStep.State.CLOSED else None
    return rules.age_in_words(step.finding.raised_at, step.due, at, closed)


def late(step: FindingStep, at: datetime) -> bool:
    return step.state in rules.STANDING and rules.overdue(step.due, at)


def newest_of(version: int, at: datetime | None = None) -> StepQuerySet:
    rows: StepQuerySet = FindingStep.objects.with_parts().filter(finding__version=version)
    return rows.latest_each(at)


NEWEST = Prepared(newest_of, int)


def of_version(version: int, at: datetime | None = None) -> list[FindingStep]:
    """How the findings of a version stand (or stood), what is not closed first, then the newest."""
    rows = NEWEST(version) if at is None else newest_of(version, at)
    found = sorted(rows, key=lambda each: -each.finding_id)
    return sorted(found, key=lambda each: (each.state == "closed", -rules.rank(each.severity)))


def waiting(user: User) -> list[Row]:
    """What waits for somebody: their own findings to answer, and answers that they may judge. Earliest due first."""
    at, seen = database_time(), user.scope("approvals.view_request")
    steps = TO_ANSWER(seen, user.pk) + TO_JUDGE(seen & user.scope("approvals.judge_finding"))
    found = rows_of(sorted(steps, key=soonest)[:AT_ONCE], at)
    hands = hands_on(row.finding for row in found)
    told = []
    for row in found:
        if row.step.state == FindingStep.State.ANSWERED:
            if user.pk in hands[row.finding.pk]:
                continue
            why = f"{row.answer.by.name if row.answer else 'Somebody'} answered. Validate the closure, or reopen it."
        else:
            why = "Yours to answer."
        told.append(Row(row.finding, row.step, row.age, row.late, row.answer, why=why))
    return told


def soonest(step: FindingStep) -> tuple[date, int]:
    return step.due, step.pk


def to_answer(steps: QuerySet[FindingStep], owner: int) -> QuerySet[FindingStep]:
    mine = newest_each(steps).filter(state=FindingStep.State.OPEN, owner=owner)
    return mine.order_by("due", "pk")[:AT_ONCE]


def to_judge(steps: QuerySet[FindingStep]) -> QuerySet[FindingStep]:
    return newest_each(steps).filter(state=FindingStep.State.ANSWERED).order_by("due", "pk")[:AT_ONCE]


TO_ANSWER: Within[FindingStep] = Within(FindingStep.objects, FindingStep.TEAM, to_answer, int)
TO_JUDGE: Within[FindingStep] = Within(FindingStep.objects, FindingStep.TEAM, to_judge)


def acceptances_of(version: int, until: datetime | None = None) -> QuerySet[RiskAcceptance]:
    """The risks accepted for a version, newest first."""
    rows: QuerySet[RiskAcceptance] = RiskAcceptance.objects.filter(version=version).select_related(
        "signer", "finding", "withdrawal__withdrawn_by", "version__model"
    )
    return rows if until is None else rows.filter(at__lte=until)


def accepted_for(
    version: int, environment: str, use: str, until: datetime | None = None
) -> QuerySet[RiskAcceptance]:  # fmt: skip
    return acceptances_of(version, until).filter(environment=environment, use=use)


ACCEPTED = Prepared(accepted_for, int, str, str)
