"""How often decisions were overridden: by month and environment, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncMonth

from audits.exports.tables import csv_text, harmless
from inference.overrides.models import DecisionTotal, Override
from registry.models import Model
from registry.paging import blocks_of

# So many months back, the present one included.
MONTHS = 24
COLUMNS = (
    "id", "decided_at", "environment", "version", "output", "decision", "reason", "words", "reference", "recorded_by",
    "recorded_at",
)  # fmt: skip


@dataclass(frozen=True)
class Month:
    """`counts` are overrides by reason, in the order of the reasons. `decisions` is None where nobody has said."""

    first: date
    environment: str
    counts: Sequence[int]
    decisions: int | None

    @property
    def overrides(self) -> int:
        return sum(self.counts)

    @property
    def rate(self) -> float | None:
        """None also where more were recorded meanwhile than there are said to be decisions."""
        if self.decisions is None or self.overrides > self.decisions:
            return None
        return self.overrides / self.decisions

    @property
    def reasons(self) -> dict[str, int]:
        return dict(zip(Override.Reason.values, self.counts, strict=True))


def by_month(model: Model, at: datetime, environment: str = "") -> list[Month]:
    """The newest first; a month without overrides is there where somebody said how many decisions it had."""
    only = {"environment": environment} if environment else {}
    since = back(at.date(), MONTHS - 1)
    begins = datetime(since.year, since.month, 1, tzinfo=UTC)
    rows = Override.objects.filter(model=model, decided_at__gte=begins, **only).order_by()
    counted = rows.annotate(month=TruncMonth("decided_at", tzinfo=UTC)).values_list("month", "environment", "reason")
    found: dict[tuple[date, str], dict[str, int]] = defaultdict(dict)
    for month, place, reason, count in counted.annotate(count=Count("pk")):
        found[month.date(), place][reason] = count
    said = DecisionTotal.objects.filter(model=model, month__gte=since, **only)
    newest = said.order_by("month", "environment", "-id").distinct("month", "environment")
    totals = {(each.month, each.environment): each.decisions for each in newest}
    return [
        Month(*key, [found.get(key, {}).get(reason, 0) for reason in Override.Reason.values], totals.get(key))
        for key in sorted({*found, *totals}, reverse=True)
    ]


def back(day: date, months: int) -> date:
    """The first of the month so many months before."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def as_csv(rows: Any) -> Iterator[bytes]:
    """A line for each, oldest first, in blocks."""
    yield csv_text([list(COLUMNS)])
    for block in blocks_of(rows.select_related("version", "recorded_by")):
        yield csv_text([[harmless(cell) for cell in cells(row)] for row in block])


def cells(row: Override) -> list[str]:
    return [
        str(row.pk), row.decided_at.isoformat(), row.environment, str(row.version.number) if row.version else "",
        row.output, row.decision, row.reason, row.words, row.reference, row.recorded_by.name,
        row.recorded_at.isoformat(),
    ]  # fmt: skip
