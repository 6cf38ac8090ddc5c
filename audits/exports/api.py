"""Exports under `/api/v1/exports/`: asking gives a job, the finished file is downloaded from where the export says."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from audits.exports.choosing import filter_of
from audits.exports.selection import Selection
from audits.exports.views import as_file, team_for
from audits.models import STATES, Export, ExportQuerySet
from audits.services import request_export
from jobs.api import JobError


class ExportTree(serializers.Serializer[Any]):
    """The checkpoint that the export was made under; `root` as it stands in the checkpoint."""

    origin = serializers.CharField()
    size = serializers.IntegerField(source="tree_size")
    root = serializers.CharField()  # type: ignore[assignment]


class ExportSerializer(serializers.ModelSerializer[Export]):
    """`state` is the job's, or `removed` once the file's time was over. `digest` is SHA-256 of the file."""

    format = serializers.CharField(source="kind", read_only=True)
    state = serializers.ChoiceField(choices=STATES, read_only=True)
    progress = serializers.IntegerField(source="job.progress", read_only=True)
    error = serializers.SerializerMethodField()
    tree = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    content_url = serializers.SerializerMethodField()

    class Meta:
        model = Export
        fields = [
            "id", "format", "filter", "team", "state", "progress", "error", "job", "asked_at", "written_at", "digest",
            "size", "count", "unsealed", "first", "last", "tree", "url", "content_url",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(JobError(allow_null=True))
    def get_error(self, export: Export) -> dict[str, str] | None:
        job = export.job
        return {"code": job.error_code, "sentence": job.error_sentence} if job.error_code else None

    @extend_schema_field(ExportTree(allow_null=True))
    def get_tree(self, export: Export) -> dict[str, Any] | None:
        return dict(ExportTree(export).data) if export.tree_size is not None else None

    def get_url(self, export: Export) -> str:
        return reverse("api-export", args=[export.pk])

    @extend_schema_field(OpenApiTypes.STR)
    def get_content_url(self, export: Export) -> str | None:
        return reverse("api-export-content", args=[export.pk]) if export.file else None


class ExportInput(serializers.Serializer[Any]):
    """`filter` takes the parameters of the list of events, as text. A bundle is the whole log and takes none."""

    format = serializers.ChoiceField(Export.Kind.choices)
    filter = serializers.DictField(child=serializers.CharField(max_length=200, allow_blank=True), required=False)

    def validate_filter(self, given: dict[str, str]) -> dict[str, str]:
        asked = filter_of(Selection(filters=given), asker(self.context["request"]))
        if unknown := sorted(set(given) - set(asked.filters)):
            raise serializers.ValidationError(f"There is no filter “{unknown[0]}”.", "unknown_filter")
        if not asked.is_valid():
            raise serializers.ValidationError({name: list(faults) for name, faults in asked.errors.items()})
        return {name: value for name, value in given.items() if value}


class ExportList(ListAPIView[Export]):
    """Exports of the log, newest first."""

    permissions = {"GET": "audits.export_log", "POST": "audits.export_log"}
    serializer_class = ExportSerializer
    queryset = Export.objects.none()

    def get_queryset(self) -> ExportQuerySet:
        return Export.objects.visible_to(self.request.user).with_parts()

    @extend_schema(summary="List exports of the audit log")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Export the audit log", request=ExportInput, responses={202: ExportSerializer})
    def post(self, request: Request) -> Response:
        given = ExportInput(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        user, wanted = asker(request), given.validated_data.get("filter", {})
        named = wanted.get("team", "")
        team = team_for(user, Team.objects.visible_to(user).filter(pk=named).first() if named else None)
        kind, selection = given.validated_data["format"], Selection(filters=wanted)
        export = request_export(by=user, account=user, team=team, kind=kind, selection=selection)
        body = ExportSerializer(export).data
        return Response(body, status=202, headers={"Location": body["url"]})


def visible(request: Request, pk: int) -> Export:
    return get_object_or_404(Export.objects.visible_to(request.user).with_parts(), pk=pk)


class ExportDetail(APIView):
    """One export: how far it is, and once it is done what is in the file."""

    permissions = {"GET": "audits.export_log"}

    @extend_schema(summary="Look at an export", responses={200: ExportSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(ExportSerializer(visible(request, pk)).data)


class ExportContent(APIView):
    """The file of an export; each download is recorded."""

    permissions = {"GET": "audits.export_log"}

    @extend_schema(
        summary="Download an export",
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The file")},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return as_file(asker(request), visible(request, pk))


routes = [
    path("exports/", ExportList.as_view(), name="api-exports"),
    path("exports/<int:pk>/", ExportDetail.as_view(), name="api-export"),
    path("exports/<int:pk>/content/", ExportContent.as_view(), name="api-export-content"),
]
