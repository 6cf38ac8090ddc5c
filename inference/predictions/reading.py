"""The prediction log as pages and the API show it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet, Sum

from inference.models import Endpoint, Feedback, Prediction
from registry.models import Version

OUTCOMES = [("answered", "Answered"), ("refused", "Refused")]
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
SIZE = 50
# A page shows so much of inputs and of outputs; the API gives all.
SHOWN = 20_000


class PredictionFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The same on the page and in the API."""

    outcome = django_filters.ChoiceFilter(choices=OUTCOMES, method="ended", label="Outcome", empty_label="Any")
    code = django_filters.CharFilter(label="Code of the refusal")
    key = django_filters.CharFilter(field_name="key__key_id", label="Id of the key, as in cs_live_<id>")
    artifact = django_filters.CharFilter(label="Digest of the version's bytes")
    request_id = django_filters.CharFilter(label="Id of the request")
    since = django_filters.DateFilter(method="from_day", label="From this day on", widget=DAY)
    until = django_filters.DateFilter(method="to_day", label="Until this day", widget=DAY)

    class Meta:
        model = Prediction
        fields = ["outcome", "code", "key", "artifact", "request_id", "since", "until"]

    def ended(self, rows: Any, name: str, value: str) -> QuerySet[Prediction]:
        found: QuerySet[Prediction] = rows.filter(code="") if value == "answered" else rows.exclude(code="")
        return found

    def from_day(self, rows: Any, name: str, value: date) -> QuerySet[Prediction]:
        found: QuerySet[Prediction] = rows.between(midnight(value), None)
        return found

    def to_day(self, rows: Any, name: str, value: date) -> QuerySet[Prediction]:
        found: QuerySet[Prediction] = rows.between(None, midnight(value) + timedelta(days=1))
        return found


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True)
class Page:
    """Rows, and the ids from which the pages before and after them go on, or None. Nothing is counted."""

    rows: list[Prediction]
    newer: uuid.UUID | None = None
    older: uuid.UUID | None = None
    shown: str = ""


def page_of(rows: Any, given: Mapping[str, str], size: int = SIZE) -> Page:
    """The rows older than the id `before`, or newer than `after`, or the newest ones."""
    before, after = id_of(given.get("before", "")), id_of(given.get("after", ""))
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        shown, newer, older = found[:size][::-1], len(found) > size, bool(found)
    else:
        start = rows.filter(pk__lt=before) if before is not None else rows
        found = list(start.order_by("-pk")[: size + 1])
        shown, newer, older = found[:size], bool(before is not None and found), len(found) > size
    if not shown:
        return Page([])
    return Page(shown, shown[0].pk if newer else None, shown[-1].pk if older else None)


def id_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def versions_of(endpoint: Endpoint, rows: Sequence[Prediction]) -> dict[str, Version]:
    """Versions of the endpoint's model by the digests of the rows; of several with the same bytes the newest."""
    digests = {row.artifact for row in rows if row.artifact}
    found = endpoint.model.versions.filter(artifact__digest__in=digests).select_related("artifact", "model")
    return {version.artifact.digest: version for version in found.order_by("number")}


def feedback_of(row: Prediction) -> Feedback | None:
    found: Feedback | None = Feedback.objects.filter(pk=row.pk).select_related("key").first()
    return found


def lost(endpoint: Endpoint) -> int:
    """How many of its rows gateways said are missing."""
    return endpoint.prediction_losses.aggregate(rows=Sum("rows"))["rows"] or 0


def content_of(row: Prediction) -> dict[str, Any]:
    """What was kept, by name."""
    return {
        "inputs": json.loads(row.inputs) if row.inputs is not None else None,
        "outputs": json.loads(row.outputs) if row.outputs is not None else None,
    }


def shown(text: str | None) -> str:
    return "" if text is None else text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
