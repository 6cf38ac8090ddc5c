"""What the registry's objects look like in JSON, and how one of them is answered."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Team, User
from ledger.canonical import sha256
from registry.models import Artifact, Connection, Dataset, Evidence, Model, Upload, Version
from registry.pinned.models import Pins
from registry.processing.models import Processing

BYTES = {(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, description="The bytes")}
NOT_MODIFIED = OpenApiResponse(description="As before")


def with_etag(request: Request, data: Any) -> HttpResponseBase:
    """The object, or 304 where the asker has it already."""
    etag = f'"{sha256(json.dumps(data, sort_keys=True, default=str).encode())[7:39]}"'
    response = Response(data, headers={"ETag": etag})
    return get_conditional_response(request._request, etag=etag, response=response) or response


class PersonRef(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "kind", "name"]


class TeamRef(serializers.ModelSerializer[Team]):
    class Meta:
        model = Team
        fields = ["id", "slug", "name"]


class ArtifactRef(serializers.ModelSerializer[Artifact]):
    class Meta:
        model = Artifact
        fields = ["digest", "size"]


class UploadOut(serializers.ModelSerializer[Upload]):
    digest = serializers.CharField(source="artifact.digest")
    size = serializers.IntegerField(source="artifact.size", help_text="Bytes")
    team = TeamRef()
    uploaded_by = PersonRef()

    class Meta:
        model = Upload
        fields = ["id", "digest", "size", "filename", "team", "uploaded_by", "uploaded_at"]


class ModelRef(serializers.ModelSerializer[Model]):
    class Meta:
        model = Model
        fields = ["id", "name", "slug"]


class ModelOut(serializers.ModelSerializer[Model]):
    team = TeamRef()
    owner = PersonRef()
    risk_tier = serializers.ChoiceField(Model.Tier.choices, source="tier", help_text="The highest until it is set")
    risk_tier_set_by = PersonRef(allow_null=True)
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Model
        fields = [
            "id", "name", "slug", "purpose", "team", "owner", "risk_tier", "risk_tier_set_by", "created_at", "url",
        ]  # fmt: skip


class PinsOut(serializers.ModelSerializer[Pins]):
    """What is pinned of a version whose bytes are not here; `says` is what its upstream reported last."""

    says = serializers.CharField()

    class Meta:
        model = Pins
        fields = [
            "provider", "image", "upstream_version", "contract", "configuration", "ask_url", "ask_field", "interface",
            "says", "asked_at", "answered_at", "problem",
        ]  # fmt: skip


class VersionOut(serializers.ModelSerializer[Version]):
    model = ModelRef()
    artifact = ArtifactRef()
    card_digest = serializers.CharField()
    contributors = PersonRef(many=True)
    registered_by = PersonRef()
    bytes_verified = serializers.BooleanField(
        source="bytes_here", help_text="False where `artifact` is the document of what is pinned instead"
    )
    pins = PinsOut(source="pinned", allow_null=True)
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Version
        fields = [
            "id", "model", "number", "artifact", "filename", "signature", "features", "decision_rule", "card",
            "card_digest", "notes", "contributors", "registered_by", "registered_at", "bytes_verified", "pins", "url",
        ]  # fmt: skip


class VersionListed(VersionOut):
    """A version in a list: without its card and what the sandbox found."""

    class Meta(VersionOut.Meta):
        fields = [name for name in VersionOut.Meta.fields if name not in ("card", "signature")]


class ProcessingOut(serializers.ModelSerializer[Processing]):
    """One edition of a dataset's record of processing. `last_day` is when its rows go, `readers` are opaque ids."""

    recorded_by = PersonRef()
    last_day = serializers.DateField(allow_null=True)

    class Meta:
        model = Processing
        fields = [
            "number", "basis", "condition", "keep_until", "keep_days", "last_day", "phi", "open_to", "readers", "note",
            "recorded_by", "recorded_at",
        ]  # fmt: skip


class ConnectionOut(serializers.ModelSerializer[Connection]):
    """Where rows are that stay there, and what was seen last. Nobody is shown the user and the password."""

    team = TeamRef()
    added_by = PersonRef()
    place = serializers.CharField(help_text="Host, port and database")
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Connection
        fields = [
            "id", "team", "place", "encryption", "table", "query", "snapshot", "added_by", "added_at", "secret_at",
            "checked_at", "rows", "rows_hash", "problem", "url",
        ]  # fmt: skip


class DatasetOut(serializers.ModelSerializer[Dataset]):
    team = TeamRef()
    artifact = ArtifactRef()
    connection = ConnectionOut(allow_null=True)
    registered_by = PersonRef()
    processing = ProcessingOut(source="current_processing", allow_null=True)
    rows_deleted_at = serializers.DateTimeField(
        source="deleted.deleted_at", default=None, allow_null=True, help_text="Since when its rows are gone"
    )
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Dataset
        fields = [
            "id", "name", "team", "artifact", "filename", "format", "connection", "purpose", "rows", "columns",
            "positive_class", "source", "lawful_basis", "processing", "rows_deleted_at", "registered_by",
            "registered_at", "url",
        ]  # fmt: skip


class DatasetRef(serializers.ModelSerializer[Dataset]):
    rows_deleted_at = serializers.DateTimeField(source="deleted.deleted_at", default=None, allow_null=True)

    class Meta:
        model = Dataset
        fields = ["id", "name", "rows_deleted_at"]


class EvidenceOut(serializers.ModelSerializer[Evidence]):
    version = serializers.PrimaryKeyRelatedField(read_only=True)  # type: ignore[var-annotated]
    artifact = ArtifactRef()
    produced_by = PersonRef()
    dataset = DatasetRef(allow_null=True)
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Evidence
        fields = [
            "id", "version", "kind", "title", "artifact", "filename", "media_type", "provenance", "produced_by",
            "dataset", "summary", "created_at", "withdrawn_at", "withdrawn_reason", "url",
        ]  # fmt: skip
