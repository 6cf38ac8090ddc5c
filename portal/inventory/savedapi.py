"""Saved filters under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from ledger.refusals import Refusal
from portal.inventory.saved import checked, visible
from registry.api.answers import PersonRef, TeamRef
from registry.models import SavedFilter
from registry.saved import services
from registry.saved.models import KNOWN

OWN = "accounts.manage_own_access"


class SavedFilterSerializer(serializers.ModelSerializer[SavedFilter]):
    """`query` are parameters for `GET /api/v1/inventory/`; `url` is the page that they filter."""

    owner = PersonRef(source="user")
    team = TeamRef(allow_null=True)
    query = serializers.DictField(child=serializers.CharField())
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = SavedFilter
        fields = ["id", "name", "query", "owner", "team", "saved_at", "url"]


class SavedFilterInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    query = serializers.DictField(
        child=serializers.CharField(max_length=services.LONGEST, allow_blank=True),
        help_text=f"Of {', '.join(f'`{name}`' for name in KNOWN)}",
    )
    team = serializers.IntegerField(required=False, allow_null=True, default=None, help_text="Whom to share it with")


class SavedFilterChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80, required=False)
    team = serializers.IntegerField(required=False, allow_null=True, help_text="Null: only you")


def team_named(pk: int | None, request: Request) -> Team | None:
    """Raises Refusal `team_unknown` for one that is not there, or not theirs to see."""
    if pk is None:
        return None
    found = Team.objects.visible_to(asker(request)).filter(pk=pk).first()
    if found is None:
        raise Refusal("team_unknown", "You share filters with teams whose models you may see.", "team")
    return found


def seen(request: Request, pk: int) -> SavedFilter:
    found: SavedFilter = get_object_or_404(visible(asker(request)), pk=pk)
    return found


class SavedFilters(ListAPIView[SavedFilter]):
    """Your own, and those shared with your teams."""

    permissions = {"GET": OWN, "POST": OWN}
    queryset = SavedFilter.objects.none()
    serializer_class = SavedFilterSerializer
    filter_backends: list[Any] = []

    def get_queryset(self) -> Any:
        return visible(asker(self.request))

    @extend_schema(summary="List saved filters")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Save a filter", request=SavedFilterInput, responses={201: SavedFilterSerializer})
    def post(self, request: Request) -> Response:
        form = SavedFilterInput(data=request.data)
        form.is_valid(raise_exception=True)
        data, user = form.validated_data, asker(request)
        made = services.save_filter(
            by=user, account=user, name=data["name"], query=checked(data["query"], request),
            team=team_named(data["team"], request),
        )  # fmt: skip
        return Response(SavedFilterSerializer(seen(request, made.pk)).data, status=201)


class SavedFilterDetail(APIView):
    permissions = {"GET": OWN, "PATCH": OWN}

    @extend_schema(summary="Look at a saved filter", responses={200: SavedFilterSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(SavedFilterSerializer(seen(request, pk)).data)

    @extend_schema(
        summary="Rename or share a filter", request=SavedFilterChange, responses={200: SavedFilterSerializer}
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Only its owner can; what is left out stays as it is."""
        found, form = seen(request, pk), SavedFilterChange(data=request.data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
        team = team_named(data["team"], request) if "team" in data else found.team
        services.change_filter(by=request.user, saved=found, name=data.get("name", found.name), team=team)
        return Response(SavedFilterSerializer(seen(request, pk)).data)


class SavedFilterRemoval(APIView):
    permissions = {"POST": OWN}

    @extend_schema(summary="Remove a filter", request=None, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        services.remove_filter(by=request.user, saved=seen(request, pk))
        return Response(status=204)


routes = [
    path("saved-filters/", SavedFilters.as_view(), name="api-saved-filters"),
    path("saved-filters/<int:pk>/", SavedFilterDetail.as_view(), name="api-saved-filter"),
    path("saved-filters/<int:pk>/removal/", SavedFilterRemoval.as_view(), name="api-saved-filter-removal"),
]
