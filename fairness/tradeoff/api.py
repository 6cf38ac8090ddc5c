"""Trade-offs under `/api/v1/`: asking for a report, and the versions of a model side by side."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from fairness.api import VisibleDataset, read, visible_version
from fairness.tradeoff.alternatives import alternatives
from fairness.tradeoff.services import request_trade_off_report
from jobs.api import JobSerializer
from registry.models import Model


class TradeOffInput(serializers.Serializer[Any]):
    dataset = VisibleDataset()
    sensitive = serializers.CharField(max_length=200, help_text="A column that is marked as sensitive")
    us_employment = serializers.BooleanField(
        help_text="Whether the model decides about employment in the United States: then this is refused"
    )


class AlternativeOut(serializers.Serializer[Any]):
    """A version's newest bias report on this dataset. `unbeaten`: no other has less disparity and no less accuracy."""

    version = serializers.IntegerField(source="version.pk")
    report = serializers.IntegerField(source="evidence.pk")
    accuracy = serializers.FloatField()
    difference = serializers.FloatField(help_text="Between the highest and the lowest selection rate of groups")
    unbeaten = serializers.BooleanField(source="front")


class AlternativesOut(serializers.Serializer[Any]):
    dataset = serializers.IntegerField(source="dataset.pk")
    attribute = serializers.CharField()
    versions = AlternativeOut(many=True, source="rows")


class TradeOffReports(APIView):
    """Have it worked out what less disparity would cost in accuracy. Nothing of it is ever applied here."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(summary="Ask for a trade-off report", request=TradeOffInput, responses={202: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        job = request_trade_off_report(by=asker(request), version=version, **read(TradeOffInput, request))
        return Response(JobSerializer(job).data, status=202)


class Alternatives(APIView):
    """Versions of a model by disparity and accuracy, from their bias reports on the same data."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Compare versions by disparity", responses={200: AlternativesOut(many=True)})
    def get(self, request: Request, pk: int) -> Response:
        model = get_object_or_404(Model.objects.visible_to(request.user), pk=pk)
        return Response(AlternativesOut(alternatives(model, request.user), many=True).data)


routes = [
    path("versions/<int:pk>/trade-off-reports/", TradeOffReports.as_view(), name="api-trade-off-reports"),
    path("models/<int:pk>/alternatives/", Alternatives.as_view(), name="api-model-alternatives"),
]
