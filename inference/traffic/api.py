"""Traffic under `/api/v1/`, and what Prometheus scrapes."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from inference.models import Endpoint
from inference.traffic.models import GatewayProcess, Tally
from inference.traffic.prometheus import exposition
from inference.traffic.reading import WINDOWS, traffic
from ledger.events import database_time

WINDOW = OpenApiParameter("window", str, enum=list(WINDOWS), description="The last hour where it is left out")


class LatencySerializer(serializers.Serializer[Any]):
    """Microseconds, of requests that were answered; null where none was."""

    median = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class TrafficSumSerializer(serializers.Serializer[Any]):
    answered = serializers.IntegerField()
    refused = serializers.IntegerField()
    rows = serializers.IntegerField(help_text="Rows predicted")
    positives = serializers.IntegerField(help_text="Of them those that were decided with yes")
    latency = LatencySerializer(source="*")


class TrafficStepSerializer(TrafficSumSerializer):
    at = serializers.DateTimeField(source="name", help_text="When the step begins")


class TrafficKeySerializer(TrafficSumSerializer):
    key = serializers.IntegerField(source="name.pk", default=None, allow_null=True)


class TrafficVersionSerializer(TrafficSumSerializer):
    version = serializers.IntegerField(source="name.pk", default=None, allow_null=True)


class TrafficRefusalSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    requests = serializers.IntegerField()


class TrafficSerializer(serializers.Serializer[Any]):
    window = serializers.CharField(source="window.slug")
    until = serializers.DateTimeField()
    total = TrafficSumSerializer()
    steps = TrafficStepSerializer(many=True)
    refusals = TrafficRefusalSerializer(many=True)
    keys = TrafficKeySerializer(many=True)
    versions = TrafficVersionSerializer(many=True)


class EndpointTraffic(APIView):
    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(summary="Look at an endpoint's traffic", parameters=[WINDOW], responses={200: TrafficSerializer})
    def get(self, request: Request, pk: int) -> Response:
        """Counts and latencies over the last hour, day or 30 days. The gateway adds to them every two seconds."""
        found = get_object_or_404(Endpoint.objects.visible_to(request.user), pk=pk)
        wanted = request.query_params.get("window", "hour")
        if wanted not in WINDOWS:
            raise serializers.ValidationError(
                {"window": [f"Choose one of: {', '.join(WINDOWS)}."]}, code="invalid_choice"
            )
        return Response(TrafficSerializer(traffic(found, WINDOWS[wanted], database_time())).data)


class Metrics(APIView):
    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(
        summary="Scrape the gateway's metrics",
        responses={(200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, description="Prometheus' text format 0.0.4")},
    )
    def get(self, request: Request) -> HttpResponse:
        """Of the endpoints of your teams, summed over all processes. Processes, and requests that reached no endpoint,
        are told only to those who see every team's.
        """
        user = asker(request)
        rows = Tally.objects.visible_to(user).filter(span=Tally.Span.ALL).select_related("endpoint", "key")
        everywhere = user.scope("inference.view_endpoint").everywhere
        processes = GatewayProcess.objects.all() if everywhere else ()
        return HttpResponse(exposition(rows, processes, database_time()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


routes = [
    path("endpoints/<int:pk>/traffic/", EndpointTraffic.as_view(), name="api-endpoint-traffic"),
    path("metrics/", Metrics.as_view(), name="api-metrics"),
]
