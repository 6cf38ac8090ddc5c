"""Training data under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.answers import PersonRef
from registry.api.versions import visible
from registry.models import Dataset
from registry.training import services
from registry.training.models import TrainingRecord


@extend_schema_field(int)
class VisibleDataset(serializers.PrimaryKeyRelatedField[Dataset]):
    """The id of a dataset that the asker can see."""

    def get_queryset(self) -> Any:
        return Dataset.objects.visible_to(self.context["request"].user).select_related("artifact")


class TrainingInput(serializers.Serializer[Any]):
    datasets = VisibleDataset(many=True, help_text="All that it was trained on; none takes back what was said before")
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class TrainingOut(serializers.ModelSerializer[TrainingRecord]):
    recorded_by = PersonRef()

    class Meta:
        model = TrainingRecord
        fields = ["number", "datasets", "note", "recorded_by", "recorded_at"]


class VersionTraining(ListAPIView[TrainingRecord]):
    """What was said of a version's training data, the newest first: that one is in force."""

    permissions = {"GET": "registry.view_model", "POST": "registry.edit_version"}
    queryset = TrainingRecord.objects.none()
    serializer_class = TrainingOut

    def get_queryset(self) -> Any:
        rows = TrainingRecord.objects.visible_to(self.request.user)
        return rows.filter(version=visible(self.request, self.kwargs["pk"])).select_related("recorded_by")

    @extend_schema(summary="List what a version was trained on")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Record what a version was trained on", request=TrainingInput, responses={201: TrainingOut})
    def post(self, request: Request, pk: int) -> Response:
        version = visible(request, pk)
        given = TrainingInput(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        row = services.record_training(by=request.user, version=version, **given.validated_data)
        return Response(TrainingOut(row).data, status=201)


routes = [path("versions/<int:pk>/training/", VersionTraining.as_view(), name="api-version-training")]
