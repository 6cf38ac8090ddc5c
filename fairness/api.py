"""Reports under `/api/v1/`: asking for one gives a job, and the finished report is evidence about the version."""

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
from fairness.checking import MAX_PREDICTIONS, TOO_MANY
from fairness.declared import SCALES, TASKS
from fairness.explanation.reasons import BASELINES
from fairness.framing import WEIGHT_KINDS
from fairness.presenting import TESTABLE
from fairness.reports import content_of, outline_of, reports, visible_report
from fairness.rows import api as rows
from fairness.rules import COMPARISONS, DEFAULT_RULE
from fairness.services import (
    SOURCE_CHOICES,
    request_bias_report,
    request_comparison_report,
    request_explanation_report,
    submit_predictions,
)
from fairness.views import as_pdf
from jobs.api import JobSerializer
from registry.api.answers import BYTES, NOT_MODIFIED, EvidenceOut, with_etag
from registry.downloads import attachment
from registry.models import Dataset, Evidence, Version
from registry.services import record_download

PDF = {(200, "application/pdf"): OpenApiResponse(OpenApiTypes.BINARY, description="The document")}


@extend_schema_field(OpenApiTypes.INT)
class VisibleDataset(serializers.PrimaryKeyRelatedField[Dataset]):
    """The id of a dataset that the asker can see."""

    def get_queryset(self) -> Any:
        return Dataset.objects.visible_to(self.context["request"].user).select_related("artifact")


class DisparityRuleInput(serializers.Serializer[Any]):
    """A test; what is left out is as in the four-fifths guideline."""

    metric = serializers.ChoiceField(sorted(TESTABLE), default=DEFAULT_RULE.metric)
    comparison = serializers.ChoiceField(sorted(COMPARISONS), default=DEFAULT_RULE.comparison)
    bound = serializers.FloatField(default=DEFAULT_RULE.bound)
    confidence = serializers.FloatField(default=DEFAULT_RULE.confidence)
    minimum_group_size = serializers.IntegerField(default=DEFAULT_RULE.minimum_group_size)
    test_unknown = serializers.BooleanField(default=DEFAULT_RULE.test_unknown)


class FrameInput(serializers.Serializer[Any]):
    """What a bias report tests, in which groups: all that a policy can fix before the run."""

    dataset = VisibleDataset()
    sensitive = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, allow_null=True, default=None,
        help_text="Columns to compare by; all that are marked sensitive when left out",
    )  # fmt: skip
    rule = DisparityRuleInput(required=False, allow_null=True, default=None)
    further_rules = serializers.ListField(
        child=DisparityRuleInput(), required=False, max_length=7, default=list,
        help_text="Judged with the rule as one family of tests, fixed before the run; the worst verdict counts",
    )  # fmt: skip
    reference = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True), required=False, default=dict,
        help_text="By attribute the group to compare with; the largest when left out",
    )  # fmt: skip
    weight_kind = serializers.ChoiceField(
        list(WEIGHT_KINDS.items()), default="survey", help_text="What the dataset's weights are, where it has any"
    )


class BiasInput(FrameInput):
    source = serializers.ChoiceField(SOURCE_CHOICES, help_text="Whose decisions")  # type: ignore[assignment]


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MAX_PREDICTIONS,
        "items": {"oneOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}]},
    }
)
class PredictionsField(serializers.Field[Any, Any, Any, Any]):
    """A list of plain values, looked at one by one by the service."""

    default_error_messages = {
        "no_list": "Send a list with one value a row.",
        "too_long": TOO_MANY,
    }

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, list):
            self.fail("no_list")
        if len(data) > MAX_PREDICTIONS:
            self.fail("too_long")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class SubmittedInput(FrameInput):
    """Predictions made elsewhere: sent along, or columns of the dataset."""

    predictions = PredictionsField(
        required=False, allow_null=True, default=None,
        help_text="One value a row, in the dataset's order; its prediction or score column when left out",
    )  # fmt: skip
    task = serializers.ChoiceField(list(TASKS.items()), default="binary", help_text="What they are")
    at_least = serializers.FloatField(
        required=False, allow_null=True, default=None,
        help_text="They are scores or numbers, and positive from here on",
    )  # fmt: skip
    scale = serializers.ChoiceField(
        list(SCALES.items()), required=False, allow_null=True, default=None,
        help_text="Probabilities are checked to lie between 0 and 1",
    )  # fmt: skip
    outcome = serializers.CharField(
        max_length=200, required=False, allow_null=True, default=None,
        help_text="The column to compare with; the label when left out",
    )  # fmt: skip
    positive = serializers.CharField(
        max_length=80, required=False, allow_null=True, default=None,
        help_text="The outcome's positive class; the dataset's when left out",
    )  # fmt: skip


class ExplanationInput(serializers.Serializer[Any]):
    dataset = VisibleDataset()
    baseline = serializers.ChoiceField(
        list(BASELINES.items()), default="just_passed",
        help_text="What refused rows are compared with when their reasons are named",
    )  # fmt: skip


@extend_schema_field(OpenApiTypes.INT)
class VisibleVersion(serializers.PrimaryKeyRelatedField[Version]):
    """The id of a version that the asker can see."""

    def get_queryset(self) -> Any:
        return Version.objects.visible_to(self.context["request"].user).select_related("model__team", "artifact")


class ComparisonInput(serializers.Serializer[Any]):
    dataset = VisibleDataset()
    other = VisibleVersion(help_text="The version before, of the same model")


class ReportOut(EvidenceOut):
    """A report in a list: its summary says what was found."""

    url = serializers.SerializerMethodField()  # type: ignore[assignment]

    def get_url(self, evidence: Evidence) -> str:
        return reverse("report", args=[evidence.pk])


class ReportDetailOut(ReportOut):
    outline = serializers.CharField(help_text="Digest of the report without its computed figures")
    report = serializers.JSONField()

    class Meta(EvidenceOut.Meta):
        fields = [*EvidenceOut.Meta.fields, "outline", "report"]


def visible_version(request: Request, pk: int) -> Version:
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact")
    version: Version = get_object_or_404(rows, pk=pk)
    return version


def read(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    given = serializer(data=request.data, context={"request": request})
    given.is_valid(raise_exception=True)
    data: dict[str, Any] = given.validated_data
    return data


class BiasReports(APIView):
    """Have groups' decisions compared: the model's own, or those that the dataset records."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(summary="Ask for a bias report", request=BiasInput, responses={202: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        job = request_bias_report(by=asker(request), version=version, **read(BiasInput, request))
        return Response(JobSerializer(job).data, status=202)


class SubmittedBiasReports(APIView):
    """Have groups compared by predictions that were made elsewhere, for example in a notebook; the report says so."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(
        summary="Ask for a bias report on submitted predictions", request=SubmittedInput, responses={202: JobSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        job = submit_predictions(by=asker(request), version=version, **read(SubmittedInput, request))
        return Response(JobSerializer(job).data, status=202)


class ExplanationReports(APIView):
    """Have it worked out which features move the model's score, overall and by group."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(summary="Ask for an explanation report", request=ExplanationInput, responses={202: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        job = request_explanation_report(by=asker(request), version=version, **read(ExplanationInput, request))
        return Response(JobSerializer(job).data, status=202)


class ComparisonReports(APIView):
    """Have this version and another of its model decide about the same rows, and count which rows changed sides."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(summary="Ask for a comparison of versions", request=ComparisonInput, responses={202: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        job = request_comparison_report(by=asker(request), version=version, **read(ComparisonInput, request))
        return Response(JobSerializer(job).data, status=202)


class ReportList(ListAPIView[Evidence]):
    """Reports on versions of your teams, newest first."""

    permissions = {"GET": "registry.view_model"}
    serializer_class = ReportOut
    filterset_fields = ["version", "dataset", "kind"]

    def get_queryset(self) -> Any:
        return reports().visible_to(self.request.user)

    @extend_schema(summary="List reports")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ReportDetail(APIView):
    """A report with all its numbers."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a report", responses={200: ReportDetailOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        evidence = visible_report(request.user, pk)
        whole = {"outline": outline_of(evidence), "report": content_of(evidence)}
        return with_etag(request, ReportOut(evidence).data | whole)


class ReportContent(APIView):
    """The report's exact bytes, whose digest the evidence names; each download is recorded."""

    permissions = {"GET": "registry.download_artifact"}

    @extend_schema(summary="Download a report", responses=BYTES)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        evidence = visible_report(request.user, pk)
        return attachment(record_download(by=asker(request), of=evidence), evidence.filename, evidence.media_type)


class ReportDocument(APIView):
    """The report as a document for people, the same bytes each time; each download is recorded."""

    permissions = {"GET": "registry.download_artifact"}

    @extend_schema(summary="Download a report as PDF", responses=PDF)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        evidence = visible_report(request.user, pk)
        record_download(by=asker(request), of=evidence)
        return as_pdf(evidence)


routes = [
    path("versions/<int:pk>/bias-reports/", BiasReports.as_view(), name="api-bias-reports"),
    path(
        "versions/<int:pk>/submitted-bias-reports/", SubmittedBiasReports.as_view(), name="api-submitted-bias-reports"
    ),
    path("versions/<int:pk>/explanation-reports/", ExplanationReports.as_view(), name="api-explanation-reports"),
    path("versions/<int:pk>/comparison-reports/", ComparisonReports.as_view(), name="api-comparison-reports"),
    path("reports/", ReportList.as_view(), name="api-reports"),
    path("reports/<int:pk>/", ReportDetail.as_view(), name="api-report"),
    path("reports/<int:pk>/content/", ReportContent.as_view(), name="api-report-content"),
    *rows.routes,
    path("reports/<int:pk>/document/", ReportDocument.as_view(), name="api-report-document"),
]
