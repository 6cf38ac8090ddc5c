"""What belongs to a population, as rows that anybody can put into canonical form again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.urls import reverse

from accounts.models import Team
from approvals.models import Decision, ReviewRequest
from ledger.canonical import timestamp
from registry.models import Model, Version

Row = dict[str, str | None]


@dataclass(frozen=True)
class Kind:
    """`moment` is the column that the period is about, `team` the path to the team, `page` where a row is looked at."""

    slug: str
    word: str
    when: str
    permission: str
    moment: str
    team: str
    rows: Callable[[], Any]
    row: Callable[[Any], Row]
    page: str
    page_id: str = "id"


def text(value: Any) -> str | None:
    return None if value is None else str(value)


def of_model(model: Model) -> Row:
    return {
        "id": str(model.pk), "short_name": model.slug, "team": model.team.slug, "owner": str(model.owner.opaque_id),
        "risk_tier": model.tier, "registered_at": timestamp(model.created_at),
    }  # fmt: skip


def of_version(version: Version) -> Row:
    return {
        "id": str(version.pk), "model": version.model.slug, "number": str(version.number),
        "artifact": version.artifact.digest, "registered_by": str(version.registered_by.opaque_id),
        "registered_at": timestamp(version.registered_at),
    }  # fmt: skip


def of_request(request: ReviewRequest) -> Row:
    return {
        "id": str(request.pk), "model": request.version.model.slug, "version": str(request.version.number),
        "environment": request.environment, "use": request.use, "policy": request.policy_version.digest,
        "submitted_by": str(request.submitted_by.opaque_id), "submitted_at": timestamp(request.submitted_at),
    }  # fmt: skip


def of_decision(decision: Decision) -> Row:
    behalf = decision.on_behalf_of
    return {
        "id": str(decision.pk), "request": str(decision.request_id), "requirement": decision.requirement,
        "outcome": decision.outcome, "digest_signed": decision.digest, "signer": str(decision.signer.opaque_id),
        "on_behalf_of": text(behalf.opaque_id if behalf else None), "at": timestamp(decision.at),
    }  # fmt: skip


KINDS = {
    kind.slug: kind
    for kind in (
        Kind(
            "models", "Models", "registered", "registry.view_model", "created_at", "team",
            lambda: Model.objects.select_related("team", "owner"), of_model, "model",
        ),
        Kind(
            "versions", "Versions", "registered", "registry.view_model", "registered_at", "model__team",
            lambda: Version.objects.select_related("model", "artifact", "registered_by").defer("card", "signature"),
            of_version, "version",
        ),
        Kind(
            "requests", "Review requests", "submitted", "approvals.view_request", "submitted_at",
            "version__model__team",
            lambda: ReviewRequest.objects.select_related("version__model", "policy_version", "submitted_by"),
            of_request, "request",
        ),
        Kind(
            "decisions", "Decisions", "signed", "approvals.view_request", "at", "request__version__model__team",
            lambda: Decision.objects.select_related("signer", "on_behalf_of"), of_decision, "request", "request",
        ),
    )
}  # fmt: skip


def rows_of(kind: Kind, first: date, last: date, team: Team | None) -> Any:
    """From the beginning of the first day to the end of the last one, UTC, by id."""
    start = datetime.combine(first, time(), UTC)
    end = datetime.combine(last, time(), UTC) + timedelta(days=1)
    rows = kind.rows().filter(**{f"{kind.moment}__gte": start, f"{kind.moment}__lt": end})
    return (rows if team is None else rows.filter(**{kind.team: team})).order_by("pk")


def page_of(kind: Kind, row: Row) -> str:
    return reverse(kind.page, args=[row[kind.page_id]])
