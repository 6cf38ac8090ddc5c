"""The validation report of a request under `/api/v1/`: read it filled in, keep a draft, attach it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker, given
from approvals.api import visible
from approvals.models import ReviewRequest
from approvals.reporting import services
from approvals.reporting.document import Report
from approvals.reporting.services import LONGEST
from approvals.reporting.views import as_file, as_it_stands
from audits.receipts import sealed_answer, with_seal
from ledger.refusals import Denied
from registry.api.answers import NOT_MODIFIED, EvidenceOut, with_etag


class ReportPartSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    note = serializers.CharField()
    head = serializers.ListField(child=serializers.CharField(), help_text="Empty where the rows are pairs")
    rows = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    text = serializers.CharField(help_text="Words of others, such as the model card's")


class ReportSectionSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    title = serializers.CharField()
    prompt = serializers.CharField(help_text="What the author is asked for; empty where nothing is written")
    needed = serializers.BooleanField()
    filled_by = serializers.ListField(child=serializers.CharField())
    parts = ReportPartSerializer(many=True)
    text = serializers.CharField()


class ValidationReportSerializer(serializers.Serializer[Any]):
    template = serializers.CharField()
    title = serializers.CharField()
    request = serializers.IntegerField()
    version = serializers.IntegerField()
    draft = serializers.IntegerField(help_text="Number of the newest draft, 0 for none; send it back to save")
    writers = serializers.ListField(child=serializers.CharField())
    sections = ReportSectionSerializer(many=True)
    digest = serializers.CharField(help_text="Of all the rest, RFC 8785; send it back to attach")


class ReportDraftInput(serializers.Serializer[Any]):
    number = serializers.IntegerField(min_value=0, help_text="The draft that this builds on, 0 for none")
    texts = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=LONGEST), allow_empty=False,
        help_text="By section; sections that are left out stay as they are",
    )  # fmt: skip


class ReportAttachmentInput(serializers.Serializer[Any]):
    digest = serializers.CharField(max_length=71, help_text="Of the report that you have read")


def needed(request: Request, pk: int) -> ReviewRequest:
    """Raises Denied for a report that is not theirs to write."""
    found = visible(request, pk)
    if not asker(request).has_perm("approvals.raise_finding", found):
        raise Denied("approvals.raise_finding")
    return found


def body_of(report: Report) -> dict[str, Any]:
    return {**report.as_dict(), "digest": report.digest}


class ValidationReport(APIView):
    """The validation report of a request: what the portal knows, and what was written so far."""

    permissions = {"GET": "approvals.raise_finding", "PUT": "approvals.raise_finding"}

    @extend_schema(summary="Read a validation report", responses={200: ValidationReportSerializer, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return with_etag(request, body_of(as_it_stands(needed(request, pk))[0]))

    @extend_schema(
        summary="Keep a draft of a validation report", request=ReportDraftInput,
        responses={200: ValidationReportSerializer},
    )  # fmt: skip
    def put(self, request: Request, pk: int) -> Response:
        """Refused with `changed_meanwhile` where somebody has saved another since the draft `number`."""
        found = visible(request, pk)
        services.save_draft(by=request.user, request=found, **given(ReportDraftInput, request))
        return Response(body_of(as_it_stands(found)[0]))


class ValidationReportContent(APIView):
    """The same as a Markdown file."""

    permissions = {"GET": "approvals.raise_finding"}

    @extend_schema(
        summary="Download a validation report's draft",
        responses={(200, "text/markdown"): OpenApiResponse(OpenApiTypes.STR, description="Markdown")},
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        return as_file(as_it_stands(needed(request, pk))[0])


class ValidationReportAttachment(APIView):
    permissions = {"POST": "approvals.raise_finding"}

    @extend_schema(
        summary="Attach a validation report", request=ReportAttachmentInput, responses={201: with_seal(EvidenceOut)}
    )
    def post(self, request: Request, pk: int) -> Response:
        """As evidence submitted by you. Whoever wrote in it cannot sign a revision that holds it."""
        found = visible(request, pk)
        made = services.attach_report(by=request.user, request=found, **given(ReportAttachmentInput, request))
        return sealed_answer(EvidenceOut(made).data, status=201)


routes = [
    path("requests/<int:pk>/validation-report/", ValidationReport.as_view(), name="api-request-report"),
    path(
        "requests/<int:pk>/validation-report/content/", ValidationReportContent.as_view(),
        name="api-request-report-content",
    ),
    path(
        "requests/<int:pk>/validation-report/attachment/", ValidationReportAttachment.as_view(),
        name="api-request-report-attachment",
    ),
]  # fmt: skip
