"""How long findings have been open: by severity and age, as a page and in the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team, User
from approvals.findings import listing
from approvals.findings.models import Finding, Severity
from approvals.workflow import findings as rules
from ledger.events import database_time
from registry.paging import id_of

# Days since it was raised: from, to; the last band has no end.
BANDS: tuple[tuple[int, int | None], ...] = ((0, 30), (31, 60), (61, 90), (91, 180), (181, None))
WORDS = [f"{first} to {last} days" if last else f"over {first - 1} days" for first, last in BANDS]
# What has no severity is a condition of an approval.
ORDER = [*Severity.values, ""]


@dataclass(frozen=True)
class Line:
    """What is not closed of one severity; `bands` are counts in the order of BANDS."""

    severity: str
    bands: Sequence[int]
    overdue: int
    oldest: datetime | None

    @property
    def total(self) -> int:
        return sum(self.bands)


def lines_of(user: User, at: datetime, team: int | None = None) -> list[Line]:
    """A line for each severity of which something is not closed, the worst first. One query."""
    counts = {
        f"band_{place}": Count("pk", filter=in_band(first, last, at)) for place, (first, last) in enumerate(BANDS)
    }
    rows: Any = listing.chosen(user, {"state": "standing", "team": team}).order_by().values("severity")
    found = {
        row["severity"]: Line(
            row["severity"], [row[name] for name in counts], row["overdue"], row["oldest"]
        )
        for row in rows.annotate(
            **counts, overdue=Count("pk", filter=Q(due__lt=rules.day_of(at))), oldest=Min("finding__raised_at")
        )
    }  # fmt: skip
    return [found[severity] for severity in ORDER if severity in found]


def in_band(first: int, last: int | None, at: datetime) -> Q:
    since = Q(finding__raised_at__lte=at - timedelta(days=first)) if first else Q()
    return since if last is None else since & Q(finding__raised_at__gt=at - timedelta(days=last + 1))


def total_of(lines: Sequence[Line]) -> Line:
    oldest = [line.oldest for line in lines if line.oldest]
    bands = [sum(line.bands[place] for line in lines) for place in range(len(BANDS))]
    return Line("total", bands, sum(line.overdue for line in lines), min(oldest) if oldest else None)


@require_GET
def ageing(request: HttpRequest) -> HttpResponse:
    user, wanted = asker(request), request.GET.get("team", "")
    lines = lines_of(user, database_time(), id_of(wanted))
    teams = Team.objects.filter(models__versions__findings__in=Finding.objects.visible_to(user)).distinct()
    context = {"lines": lines, "total": total_of(lines), "bands": WORDS, "teams": teams, "wanted": wanted}
    return render(request, "approvals/findings/ageing.html", context)


class AgeingLineSerializer(serializers.Serializer[Any]):
    """`severity` is empty for conditions."""

    severity = serializers.CharField(allow_blank=True)
    bands = serializers.SerializerMethodField()
    total = serializers.IntegerField()
    overdue = serializers.IntegerField()
    oldest = serializers.DateTimeField(allow_null=True)

    def get_bands(self, line: Line) -> dict[str, int]:
        return dict(zip(WORDS, line.bands, strict=True))


class AgeingSerializer(serializers.Serializer[Any]):
    results = AgeingLineSerializer(many=True)


class Ageing(APIView):
    """Findings and conditions that are not closed, by severity and by days since they were raised."""

    permissions = {"GET": "approvals.view_request"}

    @extend_schema(
        summary="See how long findings have been open",
        parameters=[OpenApiParameter("team", int, description="A team's id")],
        responses={200: AgeingSerializer},
    )
    def get(self, request: Request) -> Response:
        wanted = request.query_params.get("team", "")
        lines = lines_of(asker(request), database_time(), id_of(wanted))
        return Response({"results": AgeingLineSerializer(lines, many=True).data})
