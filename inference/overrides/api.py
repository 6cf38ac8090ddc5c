"""Overrides under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals import workflow
from inference.overrides import rates, services
from inference.overrides.forms import OverrideFilter
from inference.overrides.models import SHORT, WORDS, Override
from ledger.events import database_time
from registry.api.answers import ModelRef, PersonRef
from registry.api.models import visible


class OverrideSerializer(serializers.ModelSerializer[Override]):
    model = ModelRef()
    recorded_by = PersonRef()

    class Meta:
        model = Override
        fields = [
            "id", "model", "version", "environment", "decided_at", "output", "decision", "reason", "words", "reference",
            "batch", "recorded_by", "recorded_at",
        ]  # fmt: skip


class OverrideRow(serializers.Serializer[Any]):
    version = serializers.IntegerField(required=False, allow_null=True, default=None, help_text="A version's id")
    environment = serializers.ChoiceField(workflow.ENVIRONMENTS)
    decided_at = serializers.DateTimeField()
    output = serializers.CharField(max_length=SHORT, help_text="What the model said; nothing about whom")
    decision = serializers.CharField(max_length=SHORT, help_text="What was decided instead")
    reason = serializers.ChoiceField(Override.Reason.choices)
    words = serializers.CharField(max_length=WORDS)
    reference = serializers.CharField(
        max_length=80, help_text="Your own word for it: sent again with the same, it is recorded once"
    )


class OverridesInput(serializers.Serializer[Any]):
    rows = serializers.ListField(child=OverrideRow(), min_length=1, max_length=services.MOST)


class OverridesRecordedSerializer(serializers.Serializer[Any]):
    recorded = serializers.IntegerField()
    known = serializers.IntegerField(help_text="Were there already, with the same reference and content")
    batch = serializers.UUIDField(help_text="Stands on each row, and in the log with the digest of all")


class OverrideMonthSerializer(serializers.Serializer[Any]):
    month = serializers.DateField(source="first", help_text="Its first day")
    environment = serializers.CharField()
    overrides = serializers.IntegerField()
    reasons = serializers.DictField(child=serializers.IntegerField())
    decisions = serializers.IntegerField(allow_null=True)
    rate = serializers.FloatField(allow_null=True, help_text="Of all decisions, where it was said how many there were")


class OverrideMonthsSerializer(serializers.Serializer[Any]):
    results = OverrideMonthSerializer(many=True)


class DecisionTotalInput(serializers.Serializer[Any]):
    environment = serializers.ChoiceField(workflow.ENVIRONMENTS)
    month = serializers.DateField(help_text="Any day of it")
    decisions = serializers.IntegerField(min_value=1, max_value=10**12)


class DecisionTotalSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    environment = serializers.CharField()
    month = serializers.DateField(help_text="Its first day")
    decisions = serializers.IntegerField()
    recorded_by = PersonRef()


class AllOverridesFilter(OverrideFilter):
    class Meta(OverrideFilter.Meta):
        fields = [*OverrideFilter.Meta.fields, "model", "version", "reference", "batch"]


class Overrides(ListAPIView[Override]):
    """Overrides of the models of your teams, newest first."""

    permissions = {"GET": "registry.view_model"}
    queryset = Override.objects.none()
    serializer_class = OverrideSerializer
    filterset_class = AllOverridesFilter

    def get_queryset(self) -> Any:
        return Override.objects.visible_to(self.request.user).select_related("model", "recorded_by")

    @extend_schema(summary="List overrides")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ModelOverrides(APIView):
    """What people decided otherwise than a model said, up to 500 at once."""

    permissions = {"POST": "registry.attach_evidence"}

    @extend_schema(summary="Record overrides", request=OverridesInput, responses={201: OverridesRecordedSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """All or none. A row that is there already, by its reference, is left as it is."""
        model = visible(request, pk)
        given = OverridesInput(data=request.data)
        given.is_valid(raise_exception=True)
        done = services.record_overrides(by=request.user, model=model, rows=given.validated_data["rows"])
        return Response(OverridesRecordedSerializer(done).data, status=201)


class OverrideRates(APIView):
    """Of a model for 24 months: overrides by month, environment and reason, as a rate where decisions were counted."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(
        summary="Read how often a model is overridden",
        parameters=[OpenApiParameter("environment", str, description="Only there")],
        responses={200: OverrideMonthsSerializer},
    )
    def get(self, request: Request, pk: int) -> Response:
        months = rates.by_month(visible(request, pk), database_time(), request.query_params.get("environment", ""))
        return Response(OverrideMonthsSerializer({"results": months}).data)


class DecisionTotals(APIView):
    permissions = {"POST": "registry.attach_evidence"}

    @extend_schema(
        summary="Say how many decisions there were in a month",
        request=DecisionTotalInput, responses={201: DecisionTotalSerializer},
    )  # fmt: skip
    def post(self, request: Request, pk: int) -> Response:
        """Overridden ones included. What is said last of a month and environment counts."""
        model = visible(request, pk)
        given = DecisionTotalInput(data=request.data)
        given.is_valid(raise_exception=True)
        row = services.record_total(by=request.user, model=model, **given.validated_data)
        return Response(DecisionTotalSerializer(row).data, status=201)


routes = [
    path("overrides/", Overrides.as_view(), name="api-overrides"),
    path("models/<int:pk>/overrides/", ModelOverrides.as_view(), name="api-model-overrides"),
    path("models/<int:pk>/overrides/rates/", OverrideRates.as_view(), name="api-override-rates"),
    path("models/<int:pk>/decision-totals/", DecisionTotals.as_view(), name="api-decision-totals"),
]
