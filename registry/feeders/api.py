"""Feeders under `/api/v1/`."""

from __future__ import annotations

from typing import Any

import django_filters
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from registry.api.answers import ModelRef, PersonRef
from registry.api.models import visible
from registry.feeders import reading, services
from registry.feeders.models import Feeder, FeederRemoval
from registry.models import Model


class FeederRemovalSerializer(serializers.ModelSerializer[FeederRemoval]):
    removed_by = PersonRef()

    class Meta:
        model = FeederRemoval
        fields = ["reason", "removed_by", "removed_at"]


class FeederSerializer(serializers.Serializer[Any]):
    """`source` is the model that feeds it: null for what is elsewhere, and for a model that you may not see."""

    id = serializers.IntegerField(source="feeder.pk")
    model = ModelRef(source="feeder.model")
    source = ModelRef(source="other", allow_null=True)  # type: ignore[assignment]
    external = serializers.CharField(source="feeder.external", allow_blank=True, help_text="Name of what is elsewhere")
    takes = serializers.CharField(source="feeder.takes")
    reason = serializers.CharField(source="feeder.reason")
    recorded_by = PersonRef(source="feeder.recorded_by")
    recorded_at = serializers.DateTimeField(source="feeder.recorded_at")
    removal = serializers.SerializerMethodField()

    @extend_schema_field(FeederRemovalSerializer(allow_null=True))
    def get_removal(self, link: reading.Link) -> Any:
        return FeederRemovalSerializer(link.feeder.ended).data if link.feeder.ended else None


@extend_schema_field(int)
class VisibleModel(serializers.PrimaryKeyRelatedField[Model]):
    """The id of a model that the asker can see."""

    def get_queryset(self) -> Any:
        return Model.objects.visible_to(self.context["request"].user)


class FeederInput(serializers.Serializer[Any]):
    source = VisibleModel(  # type: ignore[assignment]
        required=False, allow_null=True, default=None, help_text="The model whose output is used"
    )
    external = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="", help_text="Or the name of what is elsewhere"
    )
    takes = serializers.CharField(max_length=500)
    reason = serializers.CharField(max_length=500)


class FeederRemovalInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class FeederFilter(django_filters.FilterSet):  # type: ignore[misc]
    standing = django_filters.BooleanFilter(field_name="removal", lookup_expr="isnull", label="Not removed")

    class Meta:
        model = Feeder
        fields = ["model", "standing"]


class Feeders(ListAPIView[Feeder]):
    """What feeds the models of your teams, with what was removed."""

    permissions = {"GET": "registry.view_model"}
    queryset = Feeder.objects.none()
    serializer_class = FeederSerializer
    filterset_class = FeederFilter

    def get_queryset(self) -> Any:
        return Feeder.objects.visible_to(self.request.user).with_parts()

    def paginate_queryset(self, queryset: Any) -> Any:
        return reading.links(super().paginate_queryset(queryset) or [], asker(self.request))

    @extend_schema(summary="List feeders")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


def told(feeder: Feeder, request: Request) -> Any:
    """The feeder as whoever asks sees it, read anew."""
    row = Feeder.objects.with_parts().get(pk=feeder.pk)
    return FeederSerializer(reading.links([row], asker(request))[0]).data


class ModelFeeders(APIView):
    permissions = {"POST": "registry.edit_model"}

    @extend_schema(summary="Record a feeder", request=FeederInput, responses={201: FeederSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The model uses the output of another one, or of something elsewhere: give one of the two."""
        model = visible(request, pk)
        given = FeederInput(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        row = services.record_feeder(by=request.user, model=model, **given.validated_data)
        return Response(told(row, request), status=201)


class FeederDetail(APIView):
    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a feeder", responses={200: FeederSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(told(get_object_or_404(Feeder.objects.visible_to(request.user), pk=pk), request))


class Removal(APIView):
    permissions = {"POST": "registry.edit_model"}

    @extend_schema(summary="Remove a feeder", request=FeederRemovalInput, responses={201: FeederSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The model does not use that output any more. The feeder stays listed, with the reason."""
        row = get_object_or_404(Feeder.objects.visible_to(request.user).with_parts(), pk=pk)
        given = FeederRemovalInput(data=request.data)
        given.is_valid(raise_exception=True)
        services.remove_feeder(by=request.user, feeder=row, **given.validated_data)
        return Response(told(row, request), status=201)


routes = [
    path("feeders/", Feeders.as_view(), name="api-feeders"),
    path("feeders/<int:pk>/", FeederDetail.as_view(), name="api-feeder"),
    path("feeders/<int:pk>/removal/", Removal.as_view(), name="api-feeder-removal"),
    path("models/<int:pk>/feeders/", ModelFeeders.as_view(), name="api-model-feeders"),
]
