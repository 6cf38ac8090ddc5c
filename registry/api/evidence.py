"""Evidence about versions."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.answers import BYTES, NOT_MODIFIED, EvidenceOut, with_etag
from registry.api.fields import VisibleUpload
from registry.api.versions import visible as visible_version
from registry.downloads import attachment
from registry.filters import EvidenceFilter
from registry.models import Evidence
from registry.services import attach_evidence, record_download, withdraw_evidence
from registry.services.evidence import KINDS


class EvidenceInput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(list(KINDS.items()))
    title = serializers.CharField(max_length=200)
    upload = VisibleUpload(help_text="Id of the upload with the document")


class WithdrawalInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


def full() -> Any:
    return Evidence.objects.select_related("version__model__team", "artifact", "produced_by", "dataset__deletion")


def visible(request: Request, pk: int) -> Evidence:
    evidence: Evidence = get_object_or_404(full().visible_to(request.user), pk=pk)
    return evidence


class EvidenceList(ListAPIView[Evidence]):
    """Evidence about all versions of your teams."""

    permissions = {"GET": "registry.view_model"}
    queryset = Evidence.objects.none()
    serializer_class = EvidenceOut
    filterset_class = EvidenceFilter

    def get_queryset(self) -> Any:
        return full().visible_to(self.request.user)

    @extend_schema(summary="List evidence")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class VersionEvidence(ListAPIView[Evidence]):
    """Evidence about one version, withdrawn included."""

    permissions = {"GET": "registry.view_model", "POST": "registry.attach_evidence"}
    queryset = Evidence.objects.none()
    serializer_class = EvidenceOut

    def get_queryset(self) -> Any:
        return full().filter(version=visible_version(self.request, self.kwargs["pk"]))

    @extend_schema(summary="List a version's evidence")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Attach evidence", request=EvidenceInput, responses={201: EvidenceOut})
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        given = EvidenceInput(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        evidence = attach_evidence(by=request.user, version=version, **given.validated_data)
        return Response(EvidenceOut(evidence).data, status=201)


class EvidenceDetail(APIView):
    """One piece of evidence with its provenance."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at evidence", responses={200: EvidenceOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return with_etag(request, EvidenceOut(visible(request, pk)).data)


class EvidenceContent(APIView):
    """The document itself; each download is recorded."""

    permissions = {"GET": "registry.download_artifact"}

    @extend_schema(summary="Download evidence", responses=BYTES)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        evidence = visible(request, pk)
        return attachment(record_download(by=request.user, of=evidence), evidence.filename, evidence.media_type)


class Withdrawal(APIView):
    """Take back what you submitted; it stays listed as withdrawn."""

    permissions = {"POST": "registry.attach_evidence"}

    @extend_schema(summary="Withdraw evidence", request=WithdrawalInput, responses={200: EvidenceOut})
    def post(self, request: Request, pk: int) -> Response:
        evidence = visible(request, pk)
        given = WithdrawalInput(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(EvidenceOut(withdraw_evidence(by=request.user, evidence=evidence, **given.validated_data)).data)
