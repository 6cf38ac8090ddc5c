"""The revalidation calendar: what ends or is due, month by month, by the gate's dates and those of findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from django.urls import reverse

from accounts.models import User
from approvals import workflow
from approvals.findings import listing
from approvals.models import ReviewRequest, RiskAcceptance
from approvals.workflow import findings as rules
from portal.inventory.rows import LAPSED
from portal.inventory.standing import stands_by_model
from portal.pages.standing import Stand

# So many models with an approval, and so many findings and accepted risks, are looked at; the page says when it cut.
MOST = 500


@dataclass(frozen=True)
class Item:
    """Something that is due. `kind` is approval, finding, condition or acceptance; `day` None is at once."""

    kind: str
    day: date | None
    text: str
    note: str
    url: str
    overdue: bool


@dataclass(frozen=True)
class Month:
    """`first` is its first day, None for what is overdue."""

    first: date | None
    items: list[Item]


@dataclass(frozen=True)
class Calendar:
    months: list[Month]
    cut: bool

    @property
    def items(self) -> list[Item]:
        return [item for month in self.months for item in month.items]


def calendar(viewer: User, at: datetime, team: int | None = None) -> Calendar:
    """A fixed number of queries. What is overdue comes first, then month by month."""
    today = rules.day_of(at)
    parts = [approvals(viewer, team), findings(viewer, today, team), acceptances(viewer, today, team)]
    items = sorted((item for part in parts for item in part[:MOST]), key=order)
    months = [Month(first, list(found)) for first, found in groupby(items, key=month_of)]
    return Calendar(months, any(len(part) > MOST for part in parts))


def order(item: Item) -> tuple[bool, date, str]:
    return not item.overdue, item.day or date.min, item.text


def month_of(item: Item) -> date | None:
    return None if item.overdue or item.day is None else item.day.replace(day=1)


def approvals(viewer: User, team: int | None) -> list[Item]:
    """Of each model, environment and use the approval that speaks, with the moment at which it ends by the gate."""
    rows = ReviewRequest.objects.visible_to(viewer).filter(state__in=workflow.APPROVED, revocation__isnull=True)
    rows = rows if team is None else rows.filter(version__model__team=team)
    models = list(rows.order_by("version__model_id").values_list("version__model_id", flat=True).distinct()[: MOST + 1])
    stands = stands_by_model(models, viewer)
    found = [approval(stand) for told in stands.values() for stand in told if relevant(stand)]
    # Told apart from a list that just fits by one item more, which is never shown.
    return found[:MOST] + found[:1] if len(models) > MOST else found


def relevant(stand: Stand) -> bool:
    return stand.result.state in LAPSED or (stand.result.allowed and stand.result.valid_until is not None)


def approval(stand: Stand) -> Item:
    result, version = stand.result, stand.version
    # What ends at midnight ends with the day before.
    last = result.valid_until - timedelta.resolution if result.valid_until else None
    day = last.astimezone(UTC).date() if last else None
    lapsed = result.state in LAPSED
    note = result.reasons[0].sentence if lapsed else "Its approval ends. Ask for approval again in time."
    url = reverse("request", args=[result.request_id]) if result.request_id else version.get_absolute_url()
    return Item("approval", day, f"{version}, {result.use} in {result.environment}", note, url, lapsed)


def findings(viewer: User, today: date, team: int | None) -> list[Item]:
    steps = listing.chosen(viewer, {"state": "standing", "team": team}).order_by("due", "pk")[: MOST + 1]
    return [
        Item(
            step.finding.kind, step.due, f"{step.finding.version}: {step.finding.title}",
            f"{step.owner.name} answers for it.", step.finding.get_absolute_url(), step.due < today,
        )
        for step in steps
    ]  # fmt: skip


def acceptances(viewer: User, today: date, team: int | None) -> list[Item]:
    """Those in force: what ended before is said by the approval that it suspended."""
    rows = RiskAcceptance.objects.visible_to(viewer).filter(until__gte=today, withdrawal__isnull=True)
    rows = rows if team is None else rows.filter(version__model__team=team)
    found: Iterable[RiskAcceptance] = rows.select_related("version__model").order_by("until", "pk")[: MOST + 1]
    return [
        Item(
            "acceptance", row.until, f"{row.version}, {row.use} in {row.environment}",
            "An accepted risk ends. Settle it, or have it accepted again.", row.get_absolute_url(), False,
        )
        for row in found
    ]  # fmt: skip
