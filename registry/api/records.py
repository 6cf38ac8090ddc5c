"""What an object was at a moment, with the entry of the log that sealed it: `…/record/?as_of=2026-11-24`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits import asof
from ledger.events import database_time
from registry.api.models import visible as visible_model
from registry.api.versions import visible as visible_version
from registry.asof import TEXTS, texts_of

AS_OF = OpenApiParameter(
    "as_of", OpenApiTypes.STR, description="A date (its end in UTC) or a time, `2026-11-24T09:30:00Z`; now without it"
)
STATES = ["verified", "altered"]


class RecordSerializer(serializers.Serializer[Any]):
    """`bytes` is the record's exact text: encoded as UTF-8 it hashes to `sha256`, which the event holds."""

    object = serializers.CharField(help_text="Type and id, as in `records` of the event")
    as_of = serializers.DateTimeField()
    since = serializers.DateTimeField(help_text="When the first record was made")
    changed_at = serializers.DateTimeField(help_text="When it became what it was at that moment")
    previous = serializers.DateTimeField(allow_null=True, help_text="The change before that")
    next = serializers.DateTimeField(allow_null=True, help_text="The first change after the moment")
    state = serializers.ChoiceField(choices=STATES, help_text="Whether the log agrees")
    sha256 = serializers.CharField()
    bytes = serializers.CharField()
    record = serializers.JSONField()
    texts = serializers.DictField(child=serializers.CharField(), help_text="Texts that it holds digests of, by name")
    event = serializers.UUIDField()
    entry = serializers.IntegerField(allow_null=True, help_text="Its number in the log, once it is sealed")


class GateRecordSerializer(RecordSerializer):
    gate = serializers.JSONField(help_text="What the rules said of this request then, in the form of `GET gate`")


def moment_asked(request: Request) -> datetime:
    return asof.asked(request.query_params) or database_time()


def answer(looked: asof.Looked) -> dict[str, Any]:
    kept = looked.kept
    texts = texts_of([kept.record])
    return {
        "object": kept.name, "as_of": looked.at, "since": looked.since, "changed_at": looked.changed_at,
        "previous": looked.previous.at if looked.previous else None, "next": looked.next.at if looked.next else None,
        "state": kept.state, "sha256": kept.digest, "bytes": kept.text, "record": kept.record,
        "texts": {name: texts[value] for name, value in kept.record.items() if name in TEXTS},
        "event": kept.event.pk, "entry": kept.entry,
    }  # fmt: skip


class ModelRecord(APIView):
    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a model as it stood", parameters=[AS_OF], responses={200: RecordSerializer})
    def get(self, request: Request, pk: int) -> Response:
        found = visible_model(request, pk)
        return Response(RecordSerializer(answer(asof.look("registry.model", found.pk, moment_asked(request)))).data)


class VersionRecord(APIView):
    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a version as it stood", parameters=[AS_OF], responses={200: RecordSerializer})
    def get(self, request: Request, pk: int) -> Response:
        found = visible_version(request, pk)
        return Response(RecordSerializer(answer(asof.look("registry.version", found.pk, moment_asked(request)))).data)
