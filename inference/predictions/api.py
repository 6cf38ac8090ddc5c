"""The prediction log under `/api/v1/`."""

from __future__ import annotations

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from inference.models import Endpoint, Prediction
from inference.predictions import reading, services
from inference.predictions.models import PredictionQuerySet
from inference.predictions.rules import LEVELS, MODES
from inference.seeing import visible


class LogTermsSerializer(serializers.Serializer[Any]):
    level = serializers.ChoiceField(list(LEVELS.items()), source="log_level")
    mode = serializers.ChoiceField(list(MODES.items()), source="log_mode")
    sample = serializers.IntegerField(source="log_sample", help_text="Percent, at the level sampled")
    days = serializers.IntegerField(source="log_days", help_text="How long rows are kept")
    lost = serializers.SerializerMethodField(help_text="Rows that could not be written, as far as gateways have said")

    def get_lost(self, endpoint: Endpoint) -> int:
        return reading.lost(endpoint)


class LogTermsInput(serializers.Serializer[Any]):
    level = serializers.ChoiceField(list(LEVELS.items()))
    mode = serializers.ChoiceField(list(MODES.items()))
    sample = serializers.IntegerField(required=False, default=1, help_text="1 to 99 percent")
    days = serializers.IntegerField(help_text="1 to 36,500")
    reason = serializers.CharField(max_length=500)


class PredictionSerializer(serializers.ModelSerializer[Prediction]):
    """One request: never its inputs or outputs, which are opened one by one."""

    key = serializers.CharField(source="key.key_id", help_text="As in cs_live_<id>")
    latency = serializers.IntegerField(help_text="Microseconds")
    has_content = serializers.BooleanField(source="kept", help_text="Whether inputs and outputs were kept")

    class Meta:
        model = Prediction
        fields = [
            "id", "at", "endpoint", "key", "request_id", "client_id", "artifact", "revision", "status", "code", "role",
            "rows",
            "latency", "level", "input_digest", "output_digest", "has_content",
        ]  # fmt: skip


class PredictionDetailSerializer(PredictionSerializer):
    feedback = serializers.SerializerMethodField(help_text="What turned out to be true of each row; null: not known")

    class Meta(PredictionSerializer.Meta):
        fields = [*PredictionSerializer.Meta.fields, "feedback"]

    @extend_schema_field(serializers.ListField(child=serializers.JSONField(), allow_null=True))
    def get_feedback(self, row: Prediction) -> Any:
        found = reading.feedback_of(row)
        return found.values if found else None


class PredictionContentSerializer(serializers.Serializer[Any]):
    inputs = serializers.DictField(child=serializers.JSONField(), allow_null=True, help_text="Values by input")
    outputs = serializers.DictField(
        child=serializers.JSONField(), allow_null=True, help_text="Values by output, the decision among them"
    )


def row_of(request: Request, endpoint: Endpoint, prediction: uuid.UUID, rows: PredictionQuerySet) -> Prediction:
    found = rows.visible_to(request.user).filter(endpoint=endpoint).select_related("key")
    return get_object_or_404(found, pk=prediction)


class EndpointLog(APIView):
    """What is logged of an endpoint's predictions, and for how long."""

    permissions = {"GET": "inference.view_endpoint", "PUT": "inference.govern_log"}

    @extend_schema(summary="Read what is logged of an endpoint", responses={200: LogTermsSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(LogTermsSerializer(visible(request, pk)).data)

    @extend_schema(
        summary="Set what is logged of an endpoint", request=LogTermsInput, responses={200: LogTermsSerializer}
    )
    def put(self, request: Request, pk: int) -> Response:
        """Every gateway does so within a second. What is logged already stays as it is."""
        endpoint = visible(request, pk)
        given = LogTermsInput(data=request.data)
        given.is_valid(raise_exception=True)
        changed = services.set_log(by=asker(request), endpoint=endpoint, **given.validated_data)
        return Response(LogTermsSerializer(changed).data)


class EndpointPredictions(ListAPIView[Prediction]):
    """The prediction log of an endpoint, newest first."""

    permissions = {"GET": "inference.view_endpoint"}
    queryset = Prediction.objects.none()
    serializer_class = PredictionSerializer
    filterset_class = reading.PredictionFilter

    def get_queryset(self) -> Any:
        endpoint = visible(self.request, self.kwargs["pk"])
        rows = Prediction.objects.visible_to(self.request.user).filter(endpoint=endpoint)
        return rows.without_content().select_related("key")

    @extend_schema(summary="List an endpoint's predictions")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class PredictionDetail(APIView):
    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(summary="Look at a prediction", responses={200: PredictionDetailSerializer})
    def get(self, request: Request, pk: int, prediction: uuid.UUID) -> Response:
        row = row_of(request, visible(request, pk), prediction, Prediction.objects.without_content())
        return Response(PredictionDetailSerializer(row).data)


class PredictionContent(APIView):
    """Inputs and outputs of a prediction, where they were kept; opening them is recorded."""

    permissions = {"GET": "inference.read_inputs"}

    @extend_schema(summary="Open a prediction's inputs and outputs", responses={200: PredictionContentSerializer})
    def get(self, request: Request, pk: int, prediction: uuid.UUID) -> Response:
        endpoint = visible(request, pk)
        row = row_of(request, endpoint, prediction, Prediction.objects.all())
        services.open_prediction(by=asker(request), endpoint=endpoint, prediction=row)
        return Response(PredictionContentSerializer(reading.content_of(row)).data)


routes = [
    path("endpoints/<int:pk>/log/", EndpointLog.as_view(), name="api-endpoint-log"),
    path("endpoints/<int:pk>/predictions/", EndpointPredictions.as_view(), name="api-endpoint-predictions"),
    path(
        "endpoints/<int:pk>/predictions/<uuid:prediction>/", PredictionDetail.as_view(), name="api-endpoint-prediction"
    ),
    path(
        "endpoints/<int:pk>/predictions/<uuid:prediction>/content/", PredictionContent.as_view(),
        name="api-endpoint-prediction-content",
    ),
]  # fmt: skip
