"""Every report that was ever run for a version, failed ones included: whoever attaches the best of many is seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from approvals.dossier import Dossier, computed
from approvals.frozen import as_item
from fairness.services import JOBS
from jobs.models import Job
from ledger.prepared import Prepared
from registry.models import Version

SHOWN = 30
COMPUTED = Prepared(lambda version: computed([version]), int)


@dataclass(frozen=True)
class Run:
    """One run that is not in the manifest. `state` is a report's verdict, or how its job ended."""

    title: str
    state: str
    who: str
    at: datetime
    url: str = ""
    note: str = ""


@dataclass(frozen=True)
class Runs:
    """How many of all runs are in the manifest; `others`, the newest first, are those that are not."""

    attached: int
    total: int
    others: list[Run]

    @property
    def more(self) -> int:
        return self.total - self.attached - len(self.others)


def runs_of(version: Version, frozen: Collection[int], until: datetime | None = None) -> Runs:
    """Reports and jobs without one (until a moment), against the evidence that is frozen. Two queries."""
    reports = [each for each in COMPUTED([version.pk]) if until is None or each.created_at <= until]
    without = Job.objects.filter(team_id=version.team_id, kind__in=JOBS, inputs__version=str(version.pk)).exclude(
        state=Job.State.SUCCEEDED
    )
    jobs = list(without.filter(Q() if until is None else Q(finished_at__lte=until)))
    others = [
        Run(each.title, as_item(each).verdict, each.produced_by.name, each.created_at, each.get_absolute_url())
        for each in reports
        if each.pk not in frozen
    ]
    attached = len(reports) - len(others)
    others += [
        Run(each.subject, each.shown_state, each.asked_by_name, each.created_at, note=each.error_sentence)
        for each in jobs
    ]
    others.sort(key=lambda each: each.at, reverse=True)
    return Runs(attached, len(reports) + len(jobs), others[:SHOWN])


def every_run(found: Dossier, until: datetime | None = None) -> Runs:
    return runs_of(found.request.version, found.revision.evidence_ids, until)
