"""Evidence packs under `/api/v1/`: asking gives a job, the finished file is downloaded from where the pack says."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from approvals.api import visible
from approvals.pack import services
from approvals.pack.models import STATES, EvidencePack
from approvals.pack.views import as_file
from jobs.api import JobError
from ledger.refusals import Denied


class PackTree(serializers.Serializer[Any]):
    """The checkpoint that the proofs in the pack lead to; `root` as it stands there."""

    origin = serializers.CharField()
    size = serializers.IntegerField(source="tree_size")
    root = serializers.CharField()  # type: ignore[assignment]


class PackSerializer(serializers.ModelSerializer[EvidencePack]):
    """`state` is the job's, or `removed` once the file's time was over. `digest` is SHA-256 of the zip,
    `index_digest` that of `pack.json` in it, which the portal's key signs and the event `evidence_pack.made` holds.
    """

    state = serializers.ChoiceField(choices=STATES, read_only=True)
    gate_state = serializers.CharField(source="state_then", read_only=True)
    progress = serializers.IntegerField(source="job.progress", read_only=True)
    error = serializers.SerializerMethodField()
    tree = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    content_url = serializers.SerializerMethodField()

    class Meta:
        model = EvidencePack
        fields = [
            "id", "request", "state", "progress", "error", "job", "asked_at", "written_at", "digest", "size",
            "index_digest", "files", "revision", "gate_state", "tree", "url", "content_url",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(JobError(allow_null=True))
    def get_error(self, pack: EvidencePack) -> dict[str, str] | None:
        job = pack.job
        return {"code": job.error_code, "sentence": job.error_sentence} if job.error_code else None

    @extend_schema_field(PackTree(allow_null=True))
    def get_tree(self, pack: EvidencePack) -> dict[str, Any] | None:
        return dict(PackTree(pack).data) if pack.tree_size is not None else None

    def get_url(self, pack: EvidencePack) -> str:
        return reverse("api-pack", args=[pack.pk])

    @extend_schema_field(OpenApiTypes.STR)
    def get_content_url(self, pack: EvidencePack) -> str | None:
        return reverse("api-pack-content", args=[pack.pk]) if pack.file else None


class RequestPacks(APIView):
    """Evidence packs of one request, newest first."""

    permissions = {"GET": "approvals.export_pack", "POST": "approvals.export_pack"}

    @extend_schema(summary="List a request's evidence packs", responses={200: PackSerializer(many=True)})
    def get(self, request: Request, pk: int) -> Response:
        found = visible(request, pk)
        if not asker(request).has_perm("approvals.export_pack", found):
            raise Denied("approvals.export_pack")
        return Response(PackSerializer(EvidencePack.objects.filter(request=found).with_parts(), many=True).data)

    @extend_schema(summary="Make an evidence pack", request=None, responses={202: PackSerializer})
    def post(self, request: Request, pk: int) -> Response:
        pack = services.request_pack(by=asker(request), request=visible(request, pk))
        body = PackSerializer(EvidencePack.objects.with_parts().get(pk=pack.pk)).data
        return Response(body, status=202, headers={"Location": body["url"]})


def visible_pack(request: Request, pk: int) -> EvidencePack:
    return get_object_or_404(EvidencePack.objects.visible_to(request.user).with_parts(), pk=pk)


class PackDetail(APIView):
    """One pack: how far it is, and once it is done what is in the file."""

    permissions = {"GET": "approvals.export_pack"}

    @extend_schema(summary="Look at an evidence pack", responses={200: PackSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(PackSerializer(visible_pack(request, pk)).data)


class PackContent(APIView):
    """The zip; each download is recorded."""

    permissions = {"GET": "approvals.export_pack"}

    @extend_schema(
        summary="Download an evidence pack",
        responses={(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY, "The zip")},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return as_file(asker(request), visible_pack(request, pk))


routes = [
    path("requests/<int:pk>/pack/", RequestPacks.as_view(), name="api-request-pack"),
    path("packs/<int:pk>/", PackDetail.as_view(), name="api-pack"),
    path("packs/<int:pk>/content/", PackContent.as_view(), name="api-pack-content"),
]
