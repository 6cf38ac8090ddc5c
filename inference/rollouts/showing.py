"""A rollout for its page: the two versions side by side, and how often a shadow agreed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from approvals import gate
from approvals.gate import GateResult
from fairness.intervals import wilson
from inference.models import Endpoint
from inference.rollouts.models import Binding, Comparison, Rollout
from inference.traffic.models import Tally
from inference.traffic.reading import HOUR, WINDOWS, Sum, begins, sum_of
from ledger.events import database_time
from registry.models import Version

LATEST = 10


@dataclass(frozen=True)
class Side:
    """One of the two versions: its part ("champion", "challenger"), what the gate says, what it answered."""

    part: str
    version: Version
    said: GateResult
    sum: Sum


@dataclass(frozen=True)
class Agreement:
    """Of a shadow. `low` and `high` are Wilson's 95 % interval of the share of rows that were decided otherwise."""

    counts: Comparison
    low: float | None
    high: float | None

    @property
    def share(self) -> float | None:
        return self.counts.differ / self.counts.rows if self.counts.rows else None


@dataclass(frozen=True)
class Course:
    """What an endpoint's page says of what it served: a trial under way, the last bindings, the traffic of an hour."""

    rollout: Rollout | None
    bindings: Sequence[Binding]
    traffic: Sum


def course(endpoint: Endpoint) -> Course:
    """Three queries."""
    window = WINDOWS["hour"]
    rows = Tally.objects.filter(endpoint=endpoint, span=window.span, at__gte=database_time() - window.length)
    bindings = endpoint.bindings.select_related("version__model", "by")[:LATEST]
    rollout = endpoint.rollouts.standing().with_parts().first()
    return Course(rollout, list(bindings), sum_of("", rows))


def sides(rollout: Rollout) -> list[Side]:
    """Since the hour in which it began. Requests that were refused belong to neither, unless a version was chosen."""
    endpoint = rollout.endpoint
    versions = {"champion": rollout.champion, "challenger": rollout.version}
    keys = {part: (each.pk, endpoint.environment, endpoint.use) for part, each in versions.items()}
    said = gate.evaluate_many(keys.values())
    rows = since(endpoint, rollout.started_at, rollout.ended_at)
    return [
        Side(part, each, said[keys[part]], sum_of(part, (row for row in rows if row.artifact == each.artifact.digest)))
        for part, each in versions.items()
    ]


def since(endpoint: Endpoint, start: datetime, end: datetime | None) -> Sequence[Tally]:
    rows = Tally.objects.filter(endpoint=endpoint, span=Tally.Span.HOUR, at__gte=begins(start, HOUR))
    return list(rows if end is None else rows.filter(at__lte=end))


def agreement(rollout: Rollout) -> Agreement:
    counts = rollout.comparison
    if not counts.rows:
        return Agreement(counts, None, None)
    found = wilson(counts.differ / counts.rows, counts.rows)
    return Agreement(counts, float(found.low), float(found.high))
