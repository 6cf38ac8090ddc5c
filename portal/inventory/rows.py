"""Lines of the inventory: a model, where it stands, how it was tested last, and when it has to be looked at again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery

from accounts.models import User
from approvals import workflow
from audits.exports.tables import csv_text, harmless
from ledger.events import database_time
from ledger.prepared import Prepared
from portal.inventory.standing import stands_by_model
from portal.pages.standing import Stand
from registry.feeders.reading import Link, of_models
from registry.models import Evidence, Model, Version
from registry.paging import blocks_of

# What an approval is that counted once and does not any more, without anybody having ended it.
LAPSED = ("expired", "outdated", "suspended")
COLUMNS = (
    "id", "name", "short_name", "team", "owner", "risk_tier", "risk_tier_set", "latest_version",
    *(f"state_{environment}" for environment in workflow.ENVIRONMENTS), "last_test", "last_test_verdict",
    "last_test_at", "next_review", "review_state", "fed_by", "registered_at", "url",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A model in the inventory. `review` is when the first approval that it has ends or ended, by the gate."""

    model: Model
    stands: list[Stand]
    test: Evidence | None
    review: datetime | None
    review_state: str
    fed_by: list[Link]

    @property
    def latest(self) -> int | None:
        number: int | None = getattr(self.model, "latest")  # noqa: B009
        return number

    @property
    def verdict(self) -> str:
        return str(self.test.summary.get("verdict") or "") if self.test else ""

    def of(self, environment: str) -> list[Stand]:
        return [stand for stand in self.stands if stand.result.environment == environment]


def listed(rows: Any) -> Any:
    """Models with what a line shows of them; `latest` is the number of the newest version."""
    newest = Version.objects.filter(model=OuterRef("pk")).order_by("-number").values("number")[:1]
    return rows.select_related("team", "owner").annotate(latest=Subquery(newest))


def rows_of(models: Iterable[Model], viewer: User) -> list[Row]:
    """A line for each of these models, in a fixed number of queries."""
    shown = list(models)
    if not shown:
        return []
    ids, at = [model.pk for model in shown], database_time()
    stands, tests, fed = stands_by_model(ids, viewer), last_tests(ids), of_models(ids, viewer)
    return [
        Row(
            model, stands.get(model.pk, []), tests.get(model.pk), *review_of(stands.get(model.pk, []), at),
            fed.get(model.pk, []),
        )
        for model in shown
    ]  # fmt: skip


def last_tests(models: Iterable[int]) -> dict[int, Evidence]:
    """The newest bias report that was computed here, for each model."""
    return {row.model_id: row for row in TESTS(list(models))}


def newest_tests(models: Iterable[int]) -> Any:
    rows = Evidence.objects.standing().filter(
        model=OuterRef("pk"), kind="bias_report", provenance=Evidence.Provenance.COMPUTED
    )
    newest = Subquery(rows.order_by("-id").values("pk")[:1])
    tested = Model.objects.filter(pk__in=models).order_by().annotate(newest=newest)
    return Evidence.objects.filter(pk__in=tested.values("newest"))


TESTS: Prepared[Evidence] = Prepared(lambda model: newest_tests([model]), int)


def review_of(stands: Iterable[Stand], at: datetime) -> tuple[datetime | None, str]:
    """When a model has to be reviewed again, and `overdue`, `due_soon` or "".

    An approval that lapsed makes it overdue, even where no day says since when.
    """
    told = list(stands)
    ends = [stand.result.valid_until for stand in told if stand.result.valid_until is not None]
    first = min(ends) if ends else None
    if any(stand.result.state in LAPSED for stand in told) or (first is not None and first <= at):
        return first, "overdue"
    return first, "due_soon" if first is not None and first - at <= workflow.EXPIRING else ""


def as_csv(rows: Any, viewer: User) -> Iterator[bytes]:
    """A line for each model of a query, in blocks."""
    yield csv_text([list(COLUMNS)])
    for block in blocks_of(rows):
        yield csv_text([[harmless(cell) for cell in cells(row)] for row in rows_of(block, viewer)])


def cells(row: Row) -> list[str]:
    model, test = row.model, row.test
    values = (
        model.pk, model.name, model.slug, model.team.name, model.owner.name, model.tier,
        "yes" if model.risk_tier else "no", row.latest,
        *(in_words(row.of(environment)) for environment in workflow.ENVIRONMENTS), test.title if test else None,
        row.verdict, test.created_at.isoformat() if test else None, row.review.isoformat() if row.review else None,
        row.review_state, "; ".join(link.name for link in row.fed_by), model.created_at.isoformat(),
        model.get_absolute_url(),
    )  # fmt: skip
    return ["" if value is None else str(value) for value in values]


def in_words(stands: Iterable[Stand]) -> str:
    return "; ".join(f"{each.result.state}: version {each.version.number} for {each.result.use}" for each in stands)
