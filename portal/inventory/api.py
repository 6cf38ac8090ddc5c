"""The inventory under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.asking import asker
from portal.inventory.filters import InventoryFilter
from portal.inventory.rows import Row, listed, rows_of
from registry.api.answers import PersonRef, TeamRef
from registry.models import Model


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


routes = [path("inventory/", Inventory.as_view(), name="api-inventory")]
