"""The report to the board as a page that prints on one sheet, as PDF, and in the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from approvals.findings.ageing import AgeingLineSerializer
from audits import typesetting
from ledger.canonical import timestamp
from ledger.events import database_time
from ledger.refusals import Denied
from portal.inventory.board import STANDINGS, Board, board
from registry.models import Model
from registry.paging import id_of

TEMPLATE = Path(__file__).parent / "board.typ"
CUT = "Not everything was counted: there is more than one report looks at. Choose a team."


def asked(request: HttpRequest | Request, wanted: str) -> Board:
    viewer = asker(request)
    team = Team.objects.visible_to(viewer).filter(pk=id_of(wanted) or 0).first()
    return board(viewer, database_time(), team)


def needs_some(request: HttpRequest) -> None:
    if not asker(request).may_somewhere("registry.view_model"):
        raise Denied("registry.view_model")


@require_GET
def report(request: HttpRequest) -> HttpResponse:
    """With `?format=pdf` the same as a file."""
    needs_some(request)
    found = asked(request, request.GET.get("team", ""))
    if request.GET.get("format") == "pdf":
        response = HttpResponse(typeset(found), content_type="application/pdf")
        response["Content-Disposition"] = f'attachment; filename="model-risk-{found.at:%Y%m%d}.pdf"'
        return response
    seen = Model.objects.visible_to(asker(request)).order_by()
    context = {
        "board": found, "standings": list(STANDINGS.values()), "figures": figures(found), "cut": CUT,
        "teams": Team.objects.filter(pk__in=seen.values("team")),
    }  # fmt: skip
    return render(request, "portal/inventory/board.html", context)


def figures(found: Board) -> list[tuple[str, str]]:
    """What is owed, in words and numbers: the same lines on the page and in the PDF."""
    ends = f", the first ends {found.first_risk_ends:%-d %b %Y}" if found.first_risk_ends else ""
    overdue = ", ".join(f"{count} {word if count != 1 else word.removesuffix('s')}" for word, count in found.overdue)
    return [
        ("Overdue", overdue),
        ("Due within 90 days", str(found.soon)),
        ("Findings and conditions not closed", f"{found.total.total}, {found.total.overdue} of them overdue"),
        ("Accepted risks in force", f"{found.risks}{ends}"),
        (
            "Emergency approvals in 12 months",
            f"{found.emergencies}, models that serve under one now: {found.under_emergency}",
        ),
        (f"Attested by owners for {found.at.year}", f"{found.attested}, missing {found.missing}"),
        *((words, str(count)) for words, count in found.deployed.counts()),
        ("Risk tier not set, so counted as high", str(found.unset)),
    ]


def typeset(found: Board) -> bytes:
    data = {
        "title": f"Model risk, {found.team.name if found.team else 'the whole house'}",
        "at": f"{found.at:%-d %B %Y, %H:%M} UTC",
        "standings": list(STANDINGS.values()),
        "tiers": [[word, *map(str, counts), str(total)] for word, counts, total in found.tiers],
        "figures": [list(pair) for pair in figures(found)],
        "findings": [
            [line.severity.capitalize() or "Conditions", *map(str, line.bands), str(line.total), str(line.overdue)]
            for line in found.findings
        ],
        "cut": CUT if found.cut else "",
    }
    return typesetting.typeset(TEMPLATE, data)


class BoardReportSerializer(serializers.Serializer[Any]):
    at = serializers.CharField()
    team = serializers.CharField(allow_null=True)
    tiers = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="By risk tier, how many models stand how in production",
    )
    findings = AgeingLineSerializer(many=True)
    overdue = serializers.DictField(child=serializers.IntegerField())
    due_within_90_days = serializers.IntegerField()
    accepted_risks = serializers.IntegerField()
    emergencies = serializers.IntegerField(help_text="Requests with an emergency signature in 12 months")
    attested = serializers.IntegerField()
    attestations_missing = serializers.IntegerField()
    mismatches = serializers.DictField(child=serializers.IntegerField())
    cut = serializers.BooleanField()


class BoardReportsSerializer(serializers.Serializer[Any]):
    """One report, or none where you see no model."""

    results = BoardReportSerializer(many=True)


class BoardReports(APIView):
    """How many models there are, where they stand, and what is owed: of what you may see, at this moment."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(
        summary="Read the report to the board",
        parameters=[OpenApiParameter("team", int, description="A team's id")],
        responses={200: BoardReportsSerializer},
    )
    def get(self, request: Request) -> Response:
        found = asked(request, request.query_params.get("team", ""))
        told = {
            "at": timestamp(found.at),
            "team": found.team.slug if found.team else None,
            "tiers": {word.lower(): dict(zip(STANDINGS, counts, strict=True)) for word, counts, _ in found.tiers},
            "findings": found.findings,
            "overdue": dict(found.overdue),
            "due_within_90_days": found.soon,
            "accepted_risks": found.risks,
            "emergencies": found.emergencies,
            "attested": found.attested,
            "attestations_missing": found.missing,
            "mismatches": dict(found.deployed.counts()),
            "cut": found.cut,
        }
        seen = any(total for _, _, total in found.tiers)
        return Response(BoardReportsSerializer({"results": [told] if seen else []}).data)
