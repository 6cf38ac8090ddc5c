"""The inventory under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from ledger.events import database_time
from portal.inventory.boardpages import BoardReports
from portal.inventory.calendar import calendar
from portal.inventory.filters import InventoryFilter
from portal.inventory.rows import Row, listed, rows_of
from registry.api.answers import PersonRef, TeamRef
from registry.models import Model
from registry.paging import id_of


class InventoryStandSerializer(serializers.Serializer[Any]):
    """The gate's answer for one environment and use: for what is allowed there, else for what was asked last."""

    environment = serializers.CharField(source="result.environment")
    use = serializers.CharField(source="result.use")
    state = serializers.CharField(source="result.state")
    allowed = serializers.BooleanField(source="result.allowed")
    version = serializers.IntegerField(source="version.pk")
    number = serializers.IntegerField(source="version.number")
    valid_until = serializers.DateTimeField(source="result.valid_until", allow_null=True)


class InventoryTestSerializer(serializers.Serializer[Any]):
    """The newest bias report that was computed here."""

    evidence = serializers.IntegerField(source="pk")
    title = serializers.CharField()
    version = serializers.IntegerField(source="version_id")
    verdict = serializers.SerializerMethodField()
    at = serializers.DateTimeField(source="created_at")

    def get_verdict(self, evidence: Any) -> str:
        return str(evidence.summary.get("verdict") or "")


class InventoryFeederSerializer(serializers.Serializer[Any]):
    """What feeds a model. `model` is null for what is elsewhere, and for a model that you may not see."""

    model = serializers.IntegerField(source="other.pk", allow_null=True, default=None)
    name = serializers.CharField()


class InventoryRowSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="model.pk")
    name = serializers.CharField(source="model.name")
    slug = serializers.CharField(source="model.slug")
    team = TeamRef(source="model.team")
    owner = PersonRef(source="model.owner")
    risk_tier = serializers.ChoiceField(
        Model.Tier.choices, source="model.tier", help_text="The highest until it is set"
    )
    risk_tier_set = serializers.SerializerMethodField()
    latest_version = serializers.IntegerField(source="latest", allow_null=True)
    stands = InventoryStandSerializer(many=True)
    last_test = serializers.SerializerMethodField()
    next_review = serializers.DateTimeField(source="review", allow_null=True)
    review_state = serializers.CharField(allow_blank=True, help_text="`overdue`, `due_soon` or empty")
    fed_by = InventoryFeederSerializer(many=True)
    url = serializers.CharField(source="model.get_absolute_url")

    def get_risk_tier_set(self, row: Row) -> bool:
        return bool(row.model.risk_tier)

    @extend_schema_field(InventoryTestSerializer(allow_null=True))
    def get_last_test(self, row: Row) -> Any:
        return InventoryTestSerializer(row.test).data if row.test else None


class Inventory(ListAPIView[Model]):
    """The models of your teams, each with where it stands by the gate's rule at this moment."""

    permissions = {"GET": "registry.view_model"}
    queryset = Model.objects.none()
    serializer_class = InventoryRowSerializer
    filterset_class = InventoryFilter

    def get_queryset(self) -> Any:
        return listed(Model.objects.visible_to(self.request.user))

    def paginate_queryset(self, queryset: Any) -> Any:
        return rows_of(super().paginate_queryset(queryset) or [], asker(self.request))

    @extend_schema(summary="Read the inventory")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class DueItemSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="`approval`, `finding`, `condition` or `acceptance`")
    day = serializers.DateField(allow_null=True, help_text="Null where it lapsed and no day says when")
    overdue = serializers.BooleanField()
    text = serializers.CharField()
    note = serializers.CharField()
    url = serializers.CharField()


class RevalidationsSerializer(serializers.Serializer[Any]):
    results = DueItemSerializer(many=True)
    cut = serializers.BooleanField(help_text="Whether there is more than is looked at: ask for one team")


class Revalidations(APIView):
    """What ends or is due: approvals, findings, conditions and accepted risks, the overdue first."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(
        summary="Read the revalidation calendar",
        parameters=[OpenApiParameter("team", int, description="A team's id")],
        responses={200: RevalidationsSerializer},
    )
    def get(self, request: Request) -> Response:
        wanted = request.query_params.get("team", "")
        found = calendar(asker(request), database_time(), id_of(wanted))
        return Response({"results": DueItemSerializer(found.items, many=True).data, "cut": found.cut})


routes = [
    path("inventory/", Inventory.as_view(), name="api-inventory"),
    path("board-report/", BoardReports.as_view(), name="api-board-report"),
    path("revalidations/", Revalidations.as_view(), name="api-revalidations"),
]
