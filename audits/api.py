"""The log under `/api/v1/events/`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits import reading
from audits.erasing import api as erasing
from audits.exports import api as exports
from audits.filters import EventFilter
from audits.proving import placed, seals
from audits.views import readable
from ledger.models import Event, EventQuerySet


class ToldSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField(help_text="Empty once erased")
    state = serializers.ChoiceField(choices=["verified", "erased", "altered"])
    digest = serializers.CharField()


class SealSerializer(serializers.Serializer[Any]):
    """`entry` counts from 0; `checkpoint` is the size of the newest one, which covers it. Both null while pending."""

    state = serializers.ChoiceField(choices=["sealed", "pending"])
    entry = serializers.IntegerField(allow_null=True)
    checkpoint = serializers.IntegerField(allow_null=True)


class CheckpointSerializer(serializers.Serializer[Any]):
    origin = serializers.CharField()
    size = serializers.IntegerField()
    root = serializers.CharField(help_text="base64")  # type: ignore[assignment]
    note = serializers.CharField(help_text="The signed note (c2sp.org/tlog-checkpoint)")


class ProofSerializer(serializers.Serializer[Any]):
    """`proof` is a c2sp.org/tlog-proof: written to a file it is what `countersign-verify proof` takes."""

    state = serializers.ChoiceField(
        choices=["sealed", "pending", "altered"],
        help_text="`altered`: what the database holds now is not what was sealed",
    )
    entry = serializers.IntegerField(allow_null=True)
    leaf_hash = serializers.CharField()
    hashes = serializers.ListField(child=serializers.CharField(), help_text="base64, from the leaf up")
    checkpoint = CheckpointSerializer(allow_null=True)
    proof = serializers.CharField(help_text="Empty while pending")


class EventsSerializer(serializers.ListSerializer[Any]):
    """Looks all seals of a page up at once."""

    def to_representation(self, data: Any) -> list[Any]:
        rows = list(data)
        self.child.seals = seals(rows)  # type: ignore[union-attr]
        return super().to_representation(rows)


class EventSerializer(serializers.ModelSerializer[Event]):
    """`bytes` is the event's exact text: encoded as UTF-8 it hashes to `sha256`."""

    seals: Mapping[uuid.UUID, dict[str, Any]] = MappingProxyType({})
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
        list_serializer_class = EventsSerializer

    def get_bytes(self, event: Event) -> str:
        return bytes(event.bytes).decode()

    @extend_schema_field(SealSerializer)
    def get_seal(self, event: Event) -> dict[str, Any]:
        if event.pk not in self.seals:
            self.seals = seals([event])
        return self.seals[event.pk]

    @extend_schema_field(ToldSerializer(many=True))
    def get_disclosures(self, event: Event) -> list[dict[str, str]]:
        return [vars(told) for told in reading.disclosures(event)]


class LogFilter(DjangoFilterBackend):  # type: ignore[misc]
    """Leaves words to `Found`, which takes a page of what they choose instead of all of it."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        asked = self.get_filterset(request, queryset, view)
        if not asked.is_valid():
            raise serializers.ValidationError(asked.errors)
        return asked.found


class EventList(ListAPIView[Event]):
    """What happened, newest first. Each of the filters narrows it."""

    permissions = {"GET": "audits.view_log"}
    serializer_class = EventSerializer
    filterset_class = EventFilter
    queryset = Event.objects.none()
    filter_backends = [LogFilter]

    def get_queryset(self) -> EventQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Event.objects.none()
        return readable(self.request.user).prefetch_related("disclosures")  # type: ignore[arg-type]

    @extend_schema(summary="Read the audit log")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class EventProof(APIView):
    """Where an entry stands in the tree, and what shows it. While it waits for its seal there is no proof yet."""

    permissions = {"GET": "audits.view_log"}

    @extend_schema(summary="Prove one entry of the audit log", responses={200: ProofSerializer})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
        return Response(ProofSerializer(placed(event).as_dict()).data)


class EventDetail(APIView):
    permissions = {"GET": "audits.view_log"}

    @extend_schema(summary="Read one entry of the audit log", responses={200: EventSerializer})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
        return Response(EventSerializer(event).data)


routes = [
    path("events/", EventList.as_view(), name="api-events"),
    path("events/<uuid:pk>/", EventDetail.as_view(), name="api-event"),
    path("events/<uuid:pk>/proof/", EventProof.as_view(), name="api-event-proof"),
    *exports.routes,
    *erasing.routes,
]
