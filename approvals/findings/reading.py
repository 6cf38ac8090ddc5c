"""Findings and accepted risks on record, in a fixed number of queries: values for the rules, lines to freeze."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet

from accounts.people import fill_in
from approvals.findings.models import Finding, FindingStep, RiskAcceptance
from approvals.workflow import findings as rules
from ledger.prepared import Prepared

Subject = tuple[int, str, str]


@dataclass(frozen=True)
class Kept:
    """The newest step of each finding by version, frozen steps by id, and accepted risks by what they are for.

    `until` is the moment that is looked at: a withdrawal after it has not happened.
    """

    newest: Mapping[int, list[FindingStep]] = field(default_factory=dict)
    frozen: Mapping[int, FindingStep] = field(default_factory=dict)
    accepted: Mapping[Subject, list[RiskAcceptance]] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def rows(self) -> list[Model]:
        """Whatever has to be what the log recorded."""
        steps = [each for rows in self.newest.values() for each in rows]
        return [*steps, *(each for rows in self.accepted.values() for each in rows)]


def read(versions: Collection[int], frozen: Collection[int] = (), until: datetime | None = None) -> Kept:
    """Four queries at most, however many versions."""
    newest: dict[int, list[FindingStep]] = defaultdict(list)
    if not versions and not frozen:
        return Kept(until=until)
    steps = NEWEST(list(versions)) if until is None else list(newest_of(versions, until))
    for step in steps:
        newest[step.finding.version_id].append(step)
    wanted = FROZEN(list(frozen)) if frozen else []
    accepted: dict[Subject, list[RiskAcceptance]] = defaultdict(list)
    risks = ACCEPTED(list(versions)) if until is None else list(accepted_for(versions).filter(at__lte=until))
    for row in risks:
        accepted[row.version_id, row.environment, row.use].append(row)
    steps += wanted
    fill_in((steps, ("owner", "by")), ([each.finding for each in steps], ("raised_by",)), (risks, ("signer",)))
    return Kept(newest, {each.pk: each for each in wanted}, accepted, until)


def newest_of(versions: Collection[int], until: datetime | None = None) -> QuerySet[FindingStep]:
    steps = FindingStep.objects.filter(finding__version__in=versions)
    found: QuerySet[FindingStep] = steps.latest_each(until).select_related("finding")
    return found


def accepted_for(versions: Collection[int]) -> QuerySet[RiskAcceptance]:
    found = RiskAcceptance.objects.filter(version__in=versions)
    rows: QuerySet[RiskAcceptance] = found.select_related("withdrawal", "finding").order_by("id")
    return rows


NEWEST = Prepared(lambda version: newest_of([version]), int)
FROZEN = Prepared(lambda pk: FindingStep.objects.filter(pk__in=[pk]).select_related("finding"), int)
ACCEPTED = Prepared(lambda version: accepted_for([version]), int)


def bearing(steps: Iterable[FindingStep], request: int | None) -> list[FindingStep]:
    """Of a version's findings those that bear on a request: all of them, and the conditions of its own signatures.

    A condition holds until it is closed, even if the signature that set it was over an earlier revision.
    """
    return [
        each for each in steps if each.finding.kind == Finding.Kind.FINDING or each.finding.request_id == request
    ]  # fmt: skip


def as_finding(step: FindingStep, seal: str = "sealed") -> rules.Finding:
    finding = step.finding
    return rules.Finding(
        str(finding.pk), finding.kind, finding.title, step.severity, step.state, step.due, seal
    )  # fmt: skip


def as_acceptance(row: RiskAcceptance, seal: str = "sealed", until: datetime | None = None) -> rules.Acceptance:
    ended = getattr(row, "withdrawal", None)
    withdrawn = ended is not None and (until is None or ended.at <= until)
    return rules.Acceptance(str(row.pk), row.target, row.severity, row.until, row.reason, withdrawn, seal)


def standing(steps: Iterable[FindingStep], request: int | None) -> list[FindingStep]:
    """What a revision freezes of a version's findings: those that bear on the request and are not closed."""
    return [each for each in bearing(steps, request) if each.state in rules.STANDING]


def holding(rows: Iterable[RiskAcceptance], at: datetime) -> list[RiskAcceptance]:
    """The accepted risks that a revision freezes: those that have neither run out nor been withdrawn."""
    return [each for each in rows if not hasattr(each, "withdrawal") and not rules.overdue(each.until, at)]


def manifest_parts(steps: Sequence[FindingStep], acceptances: Sequence[RiskAcceptance]) -> dict[str, Any]:
    """What format 2 of the manifest says beyond format 1: facts that no later step changes."""
    found: dict[str, list[FindingStep]] = {kind: [] for kind in Finding.Kind.values}
    for step in sorted(steps, key=lambda each: each.finding_id):
        found[step.finding.kind].append(step)
    return {
        "findings": [{**frozen(each), "severity": each.severity} for each in found["finding"]],
        "conditions": [frozen(each) for each in found["condition"]],
        "risk_acceptances": [
            {"id": str(each.pk), "target": each.target, "until": each.until.isoformat(), "digest": each.digest}
            for each in sorted(acceptances, key=lambda each: each.pk)
        ],
    }


def frozen(step: FindingStep) -> dict[str, Any]:
    return {
        "id": str(step.finding_id), "step": str(step.pk), "state": step.state, "due": step.due.isoformat(),
        "owner": str(step.owner.opaque_id), "words": step.finding.digest,
    }  # fmt: skip
