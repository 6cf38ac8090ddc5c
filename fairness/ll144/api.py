"""The calculations of a bias audit under `/api/v1/`: asking for them gives a job, whose report is evidence."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from fairness.api import VisibleDataset, read, visible_version
from fairness.ll144.asking import DATA, KINDS, SOURCES
from fairness.ll144.rules import RACE, SEX, TABLES
from fairness.ll144.schedule import DAYS
from fairness.ll144.services import request_ll144_audit
from jobs.api import JobSerializer


class LeftOutInput(serializers.Serializer[Any]):
    """A category under 2 % of the data, left out of the impact ratios with the auditor's written reason."""

    table = serializers.ChoiceField(list(TABLES))
    category = serializers.CharField(max_length=80, help_text="As in the report, such as female/pacific_islander")
    reason = serializers.CharField(max_length=500)


class LL144Input(serializers.Serializer[Any]):
    """Columns, what their values are in the EEO-1 report, the data and the dates. No value named is unknown."""

    dataset = VisibleDataset()
    kind = serializers.ChoiceField(list(KINDS.items()))
    source = serializers.ChoiceField(list(SOURCES.items()), default="recorded")  # type: ignore[assignment]
    sex = serializers.CharField(max_length=200, help_text="A column that is marked as sensitive")
    sex_values = serializers.DictField(child=serializers.ChoiceField(list(SEX)), help_text="From value to category")
    race = serializers.CharField(max_length=200, help_text="A column that is marked as sensitive")
    race_values = serializers.DictField(child=serializers.ChoiceField(list(RACE)), help_text="From value to category")
    outcome = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    selected = serializers.ListField(
        child=serializers.CharField(max_length=200), default=list, help_text="Values of the outcome that mean selected"
    )
    data_kind = serializers.ChoiceField(list(DATA.items()))
    explanation = serializers.CharField(max_length=4000, help_text="Source and explanation of the data, § 5-303")
    why_test = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="")
    how_made = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="")
    auditor = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    left_out = LeftOutInput(many=True, default=list)
    audit_date = serializers.DateField(required=False, allow_null=True, default=None)
    distribution_date = serializers.DateField(required=False, allow_null=True, default=None)
    notice_date = serializers.DateField(required=False, allow_null=True, default=None)
    latest_use = serializers.DateField(required=False, allow_null=True, default=None)


class LL144Audits(APIView):
    """Have the figures of a bias audit under New York City's Local Law 144 calculated. It has no pass mark."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(summary="Ask for Local Law 144 calculations", request=LL144Input, responses={202: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        given = read(LL144Input, request)
        dates = {name: given.pop(name) for name in DAYS}
        job = request_ll144_audit(by=asker(request), version=version, dates=dates, **given)
        return Response(JobSerializer(job).data, status=202)


routes = [path("versions/<int:pk>/ll144-audits/", LL144Audits.as_view(), name="api-ll144-audits")]
