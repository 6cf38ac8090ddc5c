"""Populations under `/api/v1/populations/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from approvals.populations.files import as_dict
from approvals.populations.forms import fresh_seed
from approvals.populations.services import Terms, list_population
from audits.exports.views import needs_right
from ledger.refusals import Refusal


class PopulationQuery(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="`models`, `versions`, `requests` or `decisions`")
    first = serializers.DateField(help_text="First day, UTC, included")
    last = serializers.DateField(help_text="Last day, UTC, included")
    team = serializers.SlugField(required=False, help_text="A team's short name; left out, the whole house")
    sample = serializers.IntegerField(required=False, default=0, min_value=0, help_text="Rows to draw")
    seed = serializers.CharField(required=False, default="", help_text="Left out, one is drawn")


class PopulationSampleSerializer(serializers.Serializer[Any]):
    seed = serializers.CharField()
    size = serializers.IntegerField()
    method = serializers.CharField()
    ids = serializers.ListField(child=serializers.CharField())


class PopulationSerializer(serializers.Serializer[Any]):
    """`sha256` is of the rows of `results`, RFC 8785 of each and a line feed behind it, in this order."""

    terms = serializers.DictField(child=serializers.CharField(allow_null=True))
    count = serializers.IntegerField()
    sha256 = serializers.CharField()
    sample = PopulationSampleSerializer(allow_null=True)
    results = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_null=True)))


class Populations(APIView):
    """All of something in a period, for auditors. Each call is an entry of the log."""

    permissions = {"GET": "audits.export_log"}

    @extend_schema(
        summary="List a population and draw a sample of it",
        parameters=[PopulationQuery],
        responses={200: PopulationSerializer},
    )
    def get(self, request: Request) -> Response:
        needs_right(asker(request))
        query = PopulationQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        data = query.validated_data
        team = named(data.pop("team", ""))
        data["seed"] = data["seed"] or (fresh_seed() if data["sample"] else "")
        found = list_population(by=asker(request), team=team, terms=Terms(team=team, **data))
        return Response(as_dict(found))


def named(slug: str) -> Team | None:
    if not slug:
        return None
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise Refusal("unknown_team", "There is no such team. Check its short name.", "team")
    return found


routes = [path("populations/", Populations.as_view(), name="api-populations")]
