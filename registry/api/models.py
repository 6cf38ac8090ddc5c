"""Models."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Team
from registry.api.answers import NOT_MODIFIED, ModelOut, with_etag
from registry.filters import ModelFilter
from registry.models import Model
from registry.services import edit_model, register_model, set_risk_tier


class ModelInput(serializers.Serializer[Any]):
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all())
    name = serializers.CharField(max_length=120)
    purpose = serializers.CharField(max_length=4000)
    slug = serializers.SlugField(max_length=50, required=False, help_text="Made from the name where it is left out")


class ModelChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120, required=False)
    purpose = serializers.CharField(max_length=4000, required=False)


class TierInput(serializers.Serializer[Any]):
    tier = serializers.ChoiceField(Model.Tier.choices)
    reason = serializers.CharField(max_length=500)


def visible(request: Request, pk: int) -> Model:
    rows = Model.objects.visible_to(request.user).select_related("team", "owner", "risk_tier_set_by")
    model: Model = get_object_or_404(rows, pk=pk)
    return model


class Models(ListAPIView[Model]):
    """The inventory of your teams."""

    permissions = {"GET": "registry.view_model", "POST": "registry.register_model"}
    queryset = Model.objects.none()
    serializer_class = ModelOut
    filterset_class = ModelFilter

    def get_queryset(self) -> Any:
        return Model.objects.visible_to(self.request.user).select_related("team", "owner", "risk_tier_set_by")

    @extend_schema(summary="List models")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Register a model", request=ModelInput, responses={201: ModelOut})
    def post(self, request: Request) -> Response:
        given = ModelInput(data=request.data)
        given.is_valid(raise_exception=True)
        model = register_model(by=request.user, **given.validated_data)
        return Response(ModelOut(model).data, status=201)


class ModelDetail(APIView):
    """One model."""

    permissions = {"GET": "registry.view_model", "PATCH": "registry.edit_model"}

    @extend_schema(summary="Look at a model", responses={200: ModelOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return with_etag(request, ModelOut(visible(request, pk)).data)

    @extend_schema(summary="Change a model's name or purpose", request=ModelChange, responses={200: ModelOut})
    def patch(self, request: Request, pk: int) -> Response:
        model = visible(request, pk)
        given = ModelChange(data=request.data)
        given.is_valid(raise_exception=True)
        changes = {"name": model.name, "purpose": model.purpose, **given.validated_data}
        return Response(ModelOut(edit_model(by=request.user, model=model, **changes)).data)


class RiskTier(APIView):
    """How much hangs on a model, as the second line judges it."""

    permissions = {"POST": "registry.set_risk_tier"}

    @extend_schema(summary="Set a model's risk tier", request=TierInput, responses={200: ModelOut})
    def post(self, request: Request, pk: int) -> Response:
        model = visible(request, pk)
        given = TierInput(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(ModelOut(set_risk_tier(by=request.user, model=model, **given.validated_data)).data)
