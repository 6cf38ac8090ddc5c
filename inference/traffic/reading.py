"""What the counts say of one endpoint within a window, and of all of them for Prometheus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from inference.models import Endpoint, InferenceKey
from inference.traffic.models import Tally
from inference.traffic.rules import quantile, summed
from registry.models import Version


@dataclass(frozen=True)
class Window:
    """`step` is how far the bars of its drawing are apart; counts are read of `span`."""

    slug: str
    title: str
    length: timedelta
    step: timedelta
    span: Tally.Span


THIN_SPACE = "\u2009"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WINDOWS = {
    each.slug: each
    for each in (
        Window("hour", "Last hour", HOUR, timedelta(minutes=1), Tally.Span.MINUTE),
        Window("day", "Last day", DAY, HOUR, Tally.Span.HOUR),
        Window("month", "Last 30 days", 30 * DAY, DAY, Tally.Span.HOUR),
    )
}


@dataclass(frozen=True)
class Sum:
    """Of some requests. Latencies are in microseconds, of those that were answered; None where none was."""

    name: Any
    answered: int
    refused: int
    rows: int
    positives: int
    classes: Sequence[int]

    @property
    def requests(self) -> int:
        return self.answered + self.refused

    @property
    def share(self) -> float | None:
        """Of requests that were refused."""
        return self.refused / self.requests if self.requests else None

    @property
    def rate(self) -> float | None:
        """Of predicted rows that were decided with yes."""
        return self.positives / self.rows if self.rows else None

    @property
    def latencies(self) -> list[str]:
        """Median, 95th and 99th percentile in words."""
        return [in_words(each) for each in (self.median, self.p95, self.p99)]

    @property
    def median(self) -> float | None:
        return quantile(self.classes, 0.5)

    @property
    def p95(self) -> float | None:
        return quantile(self.classes, 0.95)

    @property
    def p99(self) -> float | None:
        return quantile(self.classes, 0.99)


class Refusals(NamedTuple):
    code: str
    requests: int


@dataclass(frozen=True)
class Traffic:
    """Of one endpoint. `steps` is whole, oldest first, named by when each begins; `keys` and `versions` by what they
    are (None where a request had none). Those with the most requests come first.
    """

    window: Window
    until: datetime
    total: Sum
    steps: Sequence[Sum]
    refusals: Sequence[Refusals]
    keys: Sequence[Sum]
    versions: Sequence[Sum]


def in_words(micros: float | None) -> str:
    """A latency to two digits: 0.83 ms, 12 ms, 1.4 s; a dash where there is none."""
    if micros is None:
        return "–"
    amount, unit = (micros / 1000, "ms") if micros < 999_500 else (micros / 1_000_000, "s")
    digits = 0 if amount >= 9.95 else 1 if amount >= 0.995 else 2
    return f"{amount:.{digits}f}{THIN_SPACE}{unit}"


def sum_of(name: Any, rows: Iterable[Tally]) -> Sum:
    every = list(rows)
    good = [row for row in every if not row.code]
    refused = sum(row.requests for row in every if row.code)
    answered, lines, positives = (sum(getattr(row, name) for row in good) for name in ("requests", "rows", "positives"))
    return Sum(name, answered, refused, lines, positives, summed(row.classes for row in good))


def grouped(rows: Iterable[Tally], by: Any) -> dict[Any, list[Tally]]:
    found: dict[Any, list[Tally]] = defaultdict(list)
    for row in rows:
        found[by(row)].append(row)
    return found


def traffic(endpoint: Endpoint, window: Window, now: datetime) -> Traffic:
    """Three queries. The last step is the one that runs now."""
    last = begins(now, window.step)
    starts = [last - number * window.step for number in range(window.length // window.step - 1, -1, -1)]
    rows = list(Tally.objects.filter(endpoint=endpoint, span=window.span, at__gte=starts[0], at__lte=now))
    steps, keys = grouped(rows, lambda row: begins(row.at, window.step)), grouped(rows, lambda row: row.key_id)
    versions, codes = grouped(rows, lambda row: row.artifact), grouped(rows, lambda row: row.code)
    refusals = [Refusals(code, sum(row.requests for row in some)) for code, some in codes.items() if code]
    named = InferenceKey.objects.in_bulk([pk for pk in keys if pk is not None])
    digests = Version.objects.filter(model=endpoint.model_id, artifact__digest__in=list(versions))
    titled = {each.artifact.digest: each for each in digests.select_related("artifact", "model").order_by("-pk")}
    return Traffic(
        window, now, sum_of("", rows), [sum_of(at, steps.get(at, ())) for at in starts],
        sorted(refusals, key=lambda each: (-each.requests, each.code)),
        by_size(sum_of(named.get(pk), some) for pk, some in keys.items()),
        by_size(sum_of(titled.get(artifact), some) for artifact, some in versions.items()),
    )  # fmt: skip


def by_size(sums: Iterable[Sum]) -> list[Sum]:
    return sorted(sums, key=lambda each: (-each.requests, str(each.name)))


def begins(at: datetime, step: timedelta) -> datetime:
    """Of the step in which a moment is: a minute, an hour or a day of UTC."""
    if step >= DAY:
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    if step >= HOUR:
        return at.replace(minute=0, second=0, microsecond=0)
    return at.replace(second=0, microsecond=0)
