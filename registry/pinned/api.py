"""Versions without bytes under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from registry import people
from registry.api.answers import PinsOut, VersionOut
from registry.api.fields import PersonKey
from registry.api.models import visible as visible_model
from registry.api.versions import visible
from registry.pinned import services


class PinnedVersionInput(serializers.Serializer[Any]):
    provider = serializers.CharField(max_length=120)
    upstream_version = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    image = serializers.CharField(max_length=71, required=False, allow_blank=True, default="", help_text="`sha256:…`")
    configuration = serializers.CharField(max_length=50_000, help_text="What changes its answers, as text")
    contract = serializers.CharField(
        max_length=71, required=False, allow_blank=True, default="", help_text="Digest of the contract, `sha256:…`"
    )
    ask_url = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="Asked every hour which version runs"
    )
    ask_field = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="", help_text="Place in its JSON: `model.version`"
    )
    interface = serializers.JSONField(
        required=False,
        allow_null=True,
        default=None,
        help_text="What it takes and gives, so that endpoints can serve it",
    )
    card = serializers.CharField(required=False, allow_blank=True, default="", max_length=100_000)
    notes = serializers.CharField(required=False, allow_blank=True, default="", max_length=4000)
    contributors = serializers.ListField(child=PersonKey(), max_length=100)


class PinnedVersions(APIView):
    """A vendor or API-only model: what can be pinned takes the place of its bytes, which are not verified."""

    permissions = {"POST": "registry.register_version"}

    @extend_schema(summary="Register a version without bytes", request=PinnedVersionInput, responses={201: VersionOut})
    def post(self, request: Request, pk: int) -> Response:
        model = visible_model(request, pk)
        given = PinnedVersionInput(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        named = people.named(model.team_id, values.pop("contributors"))
        version = services.register_pinned_version(by=asker(request), model=model, contributors=named, **values)
        return Response(VersionOut(version).data, status=201)


class Upstream(APIView):
    """Ask the registered address now which model version runs."""

    permissions = {"POST": "registry.edit_version"}

    @extend_schema(summary="Ask a version's upstream", request=None, responses={200: PinsOut})
    def post(self, request: Request, pk: int) -> Response:
        return Response(PinsOut(services.ask_upstream(by=asker(request), version=visible(request, pk))).data)


routes = [
    path("models/<int:pk>/pinned-versions/", PinnedVersions.as_view(), name="api-pinned-versions"),
    path("versions/<int:pk>/upstream/", Upstream.as_view(), name="api-version-upstream"),
]
