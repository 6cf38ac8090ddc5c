"""Versions of models."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from ledger.refusals import Refusal
from registry import comparing, people
from registry.api.answers import BYTES, NOT_MODIFIED, VersionListed, VersionOut, with_etag
from registry.api.fields import PersonKey, VisibleUpload
from registry.api.models import visible as visible_model
from registry.downloads import attachment
from registry.filters import VersionFilter
from registry.models import Version
from registry.services import add_contributors, edit_card, record_download, register_version


class RuleInput(serializers.Serializer[Any]):
    """A threshold rule (`class`, `at_least`) or a label rule (`equals`)."""

    kind = serializers.ChoiceField([("threshold", "threshold"), ("label", "label")])
    output = serializers.CharField(max_length=200)
    at_least = serializers.FloatField(required=False)
    equals = serializers.CharField(max_length=200, required=False)

    def get_fields(self) -> Any:
        key = serializers.CharField(max_length=200, required=False, help_text="Number or name of the class")
        return {**super().get_fields(), "class": key}


class VersionInput(serializers.Serializer[Any]):
    upload = VisibleUpload(help_text="Id of the upload with the ONNX file")
    features = serializers.ListField(child=serializers.CharField(max_length=200), max_length=2000)
    decision_rule = RuleInput()
    card = serializers.CharField(required=False, allow_blank=True, default="", help_text="Markdown", max_length=100_000)
    notes = serializers.CharField(required=False, allow_blank=True, default="", max_length=4000)
    contributors = serializers.ListField(
        child=PersonKey(), max_length=100, help_text="Everybody who worked on it, by id or mail address"
    )


class CardInput(serializers.Serializer[Any]):
    card = serializers.CharField(allow_blank=True, max_length=100_000, trim_whitespace=False)


class CardOut(serializers.Serializer[Any]):
    card = serializers.CharField()
    card_digest = serializers.CharField()


class ContributorsInput(serializers.Serializer[Any]):
    contributors = serializers.ListField(child=PersonKey(), min_length=1, max_length=100)


def visible(request: Request, pk: int) -> Version:
    version: Version = get_object_or_404(full().visible_to(request.user), pk=pk)
    return version


def full() -> Any:
    related = ("model__team", "artifact", "registered_by", "pins")
    return Version.objects.select_related(*related).prefetch_related("contributors")


class Versions(ListAPIView[Version]):
    """Versions of all models of your teams; by `digest` to find what bytes are known as."""

    permissions = {"GET": "registry.view_model"}
    queryset = Version.objects.none()
    serializer_class = VersionListed
    filterset_class = VersionFilter

    def get_queryset(self) -> Any:
        return full().visible_to(self.request.user)

    @extend_schema(summary="List versions")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ModelVersions(ListAPIView[Version]):
    """Versions of one model."""

    permissions = {"GET": "registry.view_model", "POST": "registry.register_version"}
    queryset = Version.objects.none()
    serializer_class = VersionListed

    def get_queryset(self) -> Any:
        return full().filter(model=visible_model(self.request, self.kwargs["pk"]))

    @extend_schema(summary="List a model's versions")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Register a version", request=VersionInput, responses={201: VersionOut})
    def post(self, request: Request, pk: int) -> Response:
        model = visible_model(request, pk)
        given = VersionInput(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        named = people.named(model.team_id, values.pop("contributors"))
        version = register_version(by=asker(request), model=model, contributors=named, **values)
        return Response(VersionOut(version).data, status=201)


class VersionDetail(APIView):
    """One version with everything that is known of it."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a version", responses={200: VersionOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return with_etag(request, VersionOut(visible(request, pk)).data)


class Card(APIView):
    """A version's model card in Markdown. Changing it makes approvals of the version outdated."""

    permissions = {"GET": "registry.view_model", "PUT": "registry.edit_version"}

    @extend_schema(summary="Read a model card", responses={200: CardOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        version = visible(request, pk)
        answer = with_etag(request, CardOut(version).data)
        answer["ETag"] = f'"{version.card_digest}"'
        return answer

    @extend_schema(
        summary="Change a model card",
        request=CardInput,
        responses={200: CardOut},
        parameters=[
            OpenApiParameter(
                "If-Match", str, OpenApiParameter.HEADER, description="The ETag read before; refused if changed since"
            )
        ],
    )
    def put(self, request: Request, pk: int) -> Response:
        version = visible(request, pk)
        wanted = request.headers.get("If-Match", "*")
        given = CardInput(data=request.data)
        given.is_valid(raise_exception=True)
        if wanted not in ("*", f'"{version.card_digest}"'):
            raise Refusal(
                "changed_meanwhile", "Somebody changed the card since you read it. Read it again, then write."
            )
        version = edit_card(by=request.user, version=version, **given.validated_data)
        return Response(CardOut(version).data, headers={"ETag": f'"{version.card_digest}"'})


class Contributors(APIView):
    """Name more people who worked on a version; nobody is ever taken off."""

    permissions = {"POST": "registry.edit_version"}

    @extend_schema(summary="Add contributors", request=ContributorsInput, responses={200: VersionOut})
    def post(self, request: Request, pk: int) -> Response:
        version = visible(request, pk)
        given = ContributorsInput(data=request.data)
        given.is_valid(raise_exception=True)
        named = people.named(version.team_id, given.validated_data["contributors"])
        add_contributors(by=request.user, version=version, contributors=named)
        return Response(VersionOut(visible(request, pk)).data)


class VersionContent(APIView):
    """The bytes of a version; each download is recorded."""

    permissions = {"GET": "registry.download_artifact"}

    @extend_schema(summary="Download a version's artifact", responses=BYTES)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        version = visible(request, pk)
        return attachment(record_download(by=request.user, of=version), version.filename)


class ComparedLine(serializers.Serializer[Any]):
    name = serializers.CharField()
    before = serializers.JSONField()
    after = serializers.JSONField()
    changed = serializers.BooleanField()


class CardLine(serializers.Serializer[Any]):
    kind = serializers.ChoiceField([("same", "same"), ("added", "added"), ("removed", "removed")])
    text = serializers.CharField()


class ComparisonOut(serializers.Serializer[Any]):
    lines = ComparedLine(many=True)
    card = CardLine(many=True)


class Comparison(APIView):
    """What differs between two versions: of the same model, or of any two that you can see."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Compare two versions", responses={200: ComparisonOut})
    def get(self, request: Request, pk: int, other: int) -> Response:
        before, after = visible(request, other), visible(request, pk)
        return Response(ComparisonOut(comparing.compared(before, after)).data)
