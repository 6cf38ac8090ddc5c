"""The report to the board: on one page how many models there are, where they stand, and what is owed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min

from accounts.models import Team, User
from approvals.findings import ageing
from approvals.models import Decision, ReviewRequest, RiskAcceptance
from approvals.workflow import findings as rules
from inference.models import Endpoint
from inference.reconciling import Reconciliation, reconcile
from portal.inventory.calendar import Calendar, calendar
from portal.inventory.rows import LAPSED
from portal.inventory.standing import stands_by_model
from portal.pages.standing import Stand
from registry.attesting.services import models_of
from registry.models import Model

BLOCK = 200
# Models about which the gate is asked for one report.
MOST = 2_000
YEAR = timedelta(days=365)
# How a model stands in production, the best first: the first that fits one of its uses counts.
STANDINGS = {
    "serves": "May serve in production",
    "lapsed": "Approval lapsed",
    "review": "Under review",
    "refused": "Rejected, revoked or withdrawn",
    "none": "Nothing asked for production",
}


@dataclass(frozen=True)
class Board:
    """Everything on the page. `tiers` has a row for each risk tier: its word, counts by STANDINGS, and their sum."""

    at: datetime
    team: Team | None
    tiers: Sequence[tuple[str, Sequence[int], int]]
    unset: int
    calendar: Calendar
    findings: Sequence[ageing.Line]
    total: ageing.Line
    risks: int
    first_risk_ends: Any
    emergencies: int
    under_emergency: int
    attested: int
    missing: int
    deployed: Reconciliation
    cut: bool

    @property
    def overdue(self) -> list[tuple[str, int]]:
        """What is overdue, by kind."""
        found = Counter(item.kind for item in self.calendar.items if item.overdue)
        words = {"approval": "approvals", "finding": "findings", "condition": "conditions"}
        return [(word, found[kind]) for kind, word in words.items()]

    @property
    def soon(self) -> int:
        """What is due within 90 days."""
        until = rules.day_of(self.at) + timedelta(days=90)
        return sum(not item.overdue and item.day is not None and item.day <= until for item in self.calendar.items)


def board(viewer: User, at: datetime, team: Team | None = None) -> Board:
    """A few queries for each two hundred models that somebody asked about or that are served; no more for others."""
    only = team.pk if team else None
    models = Model.objects.visible_to(viewer)
    models = models if team is None else models.filter(team=team)
    asked = asked_ids(viewer, models)
    stands = dict(standings(asked[:MOST], viewer))
    lines = ageing.lines_of(viewer, at, only)
    risks = RiskAcceptance.objects.visible_to(viewer).filter(until__gte=rules.day_of(at), withdrawal__isnull=True)
    signed = Decision.objects.visible_to(viewer).filter(outcome=Decision.Outcome.EMERGENCY, at__gt=at - YEAR)
    if team is not None:
        risks = risks.filter(version__model__team=team)
        signed = signed.filter(request__version__model__team=team)
    yearly = models_of(viewer, at.year).filter(pk__in=models.order_by().values("pk"))
    due = calendar(viewer, at, only)
    compared = reconcile(viewer, only)
    return Board(
        at=at,
        team=team,
        tiers=by_tier(models.order_by().values_list("pk", "risk_tier"), stands),
        unset=models.filter(risk_tier="").count(),
        calendar=due,
        findings=lines,
        total=ageing.total_of(lines),
        risks=risks.count(),
        first_risk_ends=risks.aggregate(first=Min("until"))["first"],
        emergencies=signed.order_by().values("request").distinct().count(),
        under_emergency=sum(any(stand.result.state == "emergency" for stand in told) for told in stands.values()),
        attested=yearly.filter(attested=True).count(),
        missing=yearly.filter(attested=False).count(),
        deployed=compared,
        cut=len(asked) > MOST or due.cut or compared.cut,
    )


def asked_ids(viewer: User, models: Any) -> list[int]:
    """Models with anything to ask the gate about; of the others it is known that nothing was asked."""
    ids = models.order_by().values("pk")
    asked = ReviewRequest.objects.visible_to(viewer).filter(version__model__in=ids)
    served = Endpoint.objects.visible_to(viewer).filter(version__isnull=False, model__in=ids)
    found = asked.order_by().values_list("version__model_id").union(served.order_by().values_list("model_id"))
    return sorted(pk for (pk,) in found[: MOST + 1])


def standings(ids: Sequence[int], viewer: User) -> Iterator[tuple[int, list[Stand]]]:
    for first in range(0, len(ids), BLOCK):
        yield from stands_by_model(ids[first : first + BLOCK], viewer).items()


def by_tier(models: Iterable[tuple[int, str]], stands: dict[int, list[Stand]]) -> list[tuple[str, list[int], int]]:
    counts: Counter[tuple[str, str]] = Counter()
    for pk, tier in models:
        counts[tier or Model.Tier.HIGH, standing_of(stands.get(pk, []))] += 1
    rows = []
    for tier in reversed(Model.Tier.values):
        line = [counts[tier, standing] for standing in STANDINGS]
        rows.append((str(Model.Tier(tier).label), line, sum(line)))
    return rows


def standing_of(stands: Iterable[Stand]) -> str:
    """Of STANDINGS, the first that fits any use in production."""
    found = {kind_of(stand) for stand in stands if stand.result.environment == "production"}
    return next((standing for standing in STANDINGS if standing in found), "none")


def kind_of(stand: Stand) -> str:
    if stand.result.allowed:
        return "serves"
    if stand.result.state in LAPSED:
        return "lapsed"
    if stand.result.state in ("rejected", "revoked", "withdrawn"):
        return "refused"
    return "none" if stand.result.state == "no_approval" else "review"
