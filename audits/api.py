"""The log under `/api/v1/events/`."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import FileResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits import reading
from audits.filters import EventFilter
from audits.services import KINDS
from audits.views import exported, readable
from ledger.models import Event, EventQuerySet
from ledger.refusals import Refusal


class ToldSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField(help_text="Empty once erased")
    state = serializers.ChoiceField(choices=["verified", "erased", "altered"])
    digest = serializers.CharField()


class EventSerializer(serializers.ModelSerializer[Event]):
    """`bytes` is the event's exact text: encoded as UTF-8 it hashes to `sha256`."""

    bytes = serializers.SerializerMethodField()
    sha256 = serializers.CharField(source="digest", read_only=True)
    seal = serializers.SerializerMethodField()
    content = serializers.JSONField(read_only=True)
    disclosures = serializers.SerializerMethodField()

    class Meta:
        model = Event
        fields = [
            "id", "time", "event", "outcome", "actor_kind", "actor_id", "object_type", "object_id", "team_id", "seal",
            "sha256", "bytes", "content", "disclosures",
        ]  # fmt: skip
        read_only_fields = fields

    def get_bytes(self, event: Event) -> str:
        return bytes(event.bytes).decode()

    @extend_schema_field(serializers.ChoiceField(choices=["pending"]))
    def get_seal(self, event: Event) -> str:
        return "pending"

    @extend_schema_field(ToldSerializer(many=True))
    def get_disclosures(self, event: Event) -> list[dict[str, str]]:
        return [vars(told) for told in reading.disclosures(event)]


class EventList(ListAPIView[Event]):
    """What happened, newest first. Each of the filters narrows it."""

    permissions = {"GET": "audits.view_log"}
    serializer_class = EventSerializer
    filterset_class = EventFilter
    queryset = Event.objects.none()

    def get_queryset(self) -> EventQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Event.objects.none()
        return readable(self.request.user).prefetch_related("disclosures")  # type: ignore[arg-type]

    @extend_schema(summary="Read the audit log")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class EventDetail(APIView):
    permissions = {"GET": "audits.view_log"}

    @extend_schema(summary="Read one entry of the audit log", responses={200: EventSerializer})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
        return Response(EventSerializer(event).data)


class FileRenderer(BaseRenderer):
    """Lets a client ask for the file's own media type; the file itself is streamed, not rendered."""

    format = "file"
    media_type = "application/jsonl"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return JSONRenderer().render(data)


class CsvRenderer(FileRenderer):
    media_type = "text/csv"


FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=str(declared.extra.get("help_text") or declared.label))
    for name, declared in EventFilter.base_filters.items()
]


class EventExport(APIView):
    """The part of the log that the filters choose, oldest first. That it was taken out is itself an event."""

    permissions = {"GET": "audits.export_log"}
    renderer_classes = [JSONRenderer, FileRenderer, CsvRenderer]

    @extend_schema(
        summary="Export the audit log",
        parameters=[OpenApiParameter("type", enum=list(KINDS), default="jsonl"), *FILTERS],
        responses={
            (200, "application/jsonl"): OpenApiResponse(OpenApiTypes.BINARY, "A line for each event"),
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.BINARY, "A row for each event"),
        },
    )
    def get(self, request: Request) -> FileResponse:
        asked = EventFilter(request.query_params, queryset=Event.objects.visible_to(request.user), request=request)
        if not asked.is_valid():
            raise serializers.ValidationError(asked.errors)
        kind = request.query_params.get("type", "jsonl")
        if kind not in KINDS:
            raise Refusal("unknown_format", "The log can be exported as jsonl or csv.", "type")
        return exported(request.user, asked, asked.qs, kind)  # type: ignore[arg-type]


routes = [
    path("events/", EventList.as_view(), name="api-events"),
    path("events/export/", EventExport.as_view(), name="api-event-export"),
    path("events/<uuid:pk>/", EventDetail.as_view(), name="api-event"),
]
