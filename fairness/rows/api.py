"""Single explained rows under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from fairness.reports import visible_report
from fairness.rows.services import open_row


class RowFeatureOut(serializers.Serializer[Any]):
    feature = serializers.CharField()
    value = serializers.JSONField(help_text="Number or text, as in the dataset")
    attribution = serializers.FloatField()


class RowReasonOut(serializers.Serializer[Any]):
    feature = serializers.CharField()
    words = serializers.CharField()
    value = serializers.JSONField()
    usual = serializers.JSONField(help_text="Mean or most frequent value of the baseline's rows")
    against = serializers.FloatField(help_text="How far the attribution lies below the baseline's mean")


class RowChangeOut(serializers.Serializer[Any]):
    feature = serializers.CharField()
    to = serializers.JSONField()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.JSONField()}


class ExplainedRowOut(serializers.Serializer[Any]):
    """One row: base value and attributions add up to `raw`, the score on the report's scale."""

    row = serializers.IntegerField()
    row_in_dataset = serializers.IntegerField(help_text="From 1, a header line left out")
    base_value = serializers.FloatField()
    cut = serializers.FloatField(allow_null=True, help_text="Where a yes begins on the report's scale")
    score = serializers.FloatField(help_text="What the decision rule reads")
    raw = serializers.FloatField()
    yes = serializers.BooleanField()
    features = RowFeatureOut(many=True)
    reasons = RowReasonOut(many=True, help_text="What counts against the row, the strongest first")
    counterfactual = RowChangeOut(
        many=True, allow_null=True, help_text="Made up: the fewest and smallest changes found that turn the answer"
    )


class ReportRow(APIView):
    """One row of an explanation report; opening it is recorded."""

    permissions = {"GET": "registry.read_rows"}

    @extend_schema(summary="Open an explained row", responses={200: ExplainedRowOut})
    def get(self, request: Request, pk: int, number: int) -> Response:
        evidence = visible_report(request.user, pk)
        return Response(ExplainedRowOut(open_row(by=asker(request), evidence=evidence, number=number)).data)


routes = [path("reports/<int:pk>/rows/<int:number>/", ReportRow.as_view(), name="api-report-row")]
