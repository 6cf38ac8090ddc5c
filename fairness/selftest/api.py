"""Privileged self-tests under `/api/v1/`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from fairness.api import PDF, BiasInput, ReportOut, read, visible_version
from fairness.reports import content_of, outline_of
from fairness.selftest import services
from fairness.selftest.models import Naming, SelfTest
from fairness.views import as_pdf
from registry.api.answers import BYTES, NOT_MODIFIED, PersonRef, with_etag
from registry.downloads import attachment

MAX_PEOPLE = 200


class NamedPeople(serializers.ListField):
    """Accounts by id or mail address; those named before, and whoever asks, stay named."""

    child = serializers.CharField(max_length=254)

    def __init__(self, **named: Any) -> None:
        super().__init__(max_length=MAX_PEOPLE, help_text="Ids or mail addresses of who may see it", **named)


class SelfTestInput(BiasInput):
    people = NamedPeople(required=False, default=list)
    reason = serializers.CharField(max_length=services.MOST_WORDS)


class SelfTestPeopleInput(serializers.Serializer[Any]):
    people = NamedPeople(allow_empty=False)
    reason = serializers.CharField(max_length=services.MOST_WORDS)


class SelfTestLiftingInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=services.MOST_WORDS)
    confirmed = serializers.BooleanField(
        default=False, help_text="That all whose role lets them see the version may see the report from now on"
    )


class NamingOut(serializers.ModelSerializer[Naming]):
    person, by = PersonRef(), PersonRef()

    class Meta:
        model = Naming
        fields = ["person", "by", "reason", "at"]


class SelfTestOut(serializers.ModelSerializer[SelfTest]):
    """A privileged self-test, as only the people named get it; `evidence` is the report's id once it was lifted."""

    state = serializers.CharField(source="job.state", help_text="How far its job is")
    asked_by = PersonRef()
    people = NamingOut(source="namings", many=True)
    digest = serializers.CharField(source="artifact.digest", allow_null=True, default=None)
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = SelfTest
        fields = [
            "id", "version", "dataset", "title", "reason", "job", "state", "people", "summary", "digest", "asked_by",
            "asked_at", "published_at", "lifted_at", "evidence", "url",
        ]  # fmt: skip


class SelfTestDetailOut(SelfTestOut):
    outline = serializers.SerializerMethodField(help_text="Digest of the report without its computed figures, or null")
    report = serializers.SerializerMethodField(help_text="null until its job has ended well")

    class Meta(SelfTestOut.Meta):
        fields = [*SelfTestOut.Meta.fields, "outline", "report"]

    def get_outline(self, test: SelfTest) -> str | None:
        return outline_of(test) if test.artifact else None

    @extend_schema_field({"type": "object", "nullable": True})
    def get_report(self, test: SelfTest) -> dict[str, Any] | None:
        return content_of(test) if test.artifact else None


def visible(request: Request, pk: UUID) -> SelfTest:
    test: SelfTest = get_object_or_404(SelfTest.objects.visible_to(request.user).with_parts(), pk=pk)
    return test


class VersionSelfTests(APIView):
    """Have groups' decisions compared for certain people only (12 CFR 1002.15). It is no evidence for a request."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(summary="Ask for a privileged self-test", request=SelfTestInput, responses={202: SelfTestOut})
    def post(self, request: Request, pk: int) -> Response:
        version = visible_version(request, pk)
        made = services.request_self_test(by=asker(request), version=version, **read(SelfTestInput, request))
        return Response(SelfTestOut(visible(request, made.pk)).data, status=202)


class SelfTestList(ListAPIView[SelfTest]):
    """Privileged self-tests that name you, newest first."""

    permissions = {"GET": "registry.view_model"}
    queryset = SelfTest.objects.none()
    serializer_class = SelfTestOut
    filterset_fields = ["version", "dataset"]

    def get_queryset(self) -> Any:
        return SelfTest.objects.visible_to(self.request.user).with_parts()

    @extend_schema(summary="List privileged self-tests")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class SelfTestDetail(APIView):
    """A self-test with all its numbers."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a privileged self-test", responses={200: SelfTestDetailOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        return with_etag(request, SelfTestDetailOut(visible(request, pk)).data)


class SelfTestContent(APIView):
    """The report's exact bytes; each download is recorded, without saying of what."""

    permissions = {"GET": "registry.download_artifact"}

    @extend_schema(summary="Download a privileged self-test", responses=BYTES)
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        test = visible(request, pk)
        artifact = services.record_self_test_download(by=asker(request), test=test)
        return attachment(artifact, test.filename, "application/json")


class SelfTestDocument(APIView):
    """The report as a document, the same bytes each time; each download is recorded."""

    permissions = {"GET": "registry.download_artifact"}

    @extend_schema(summary="Download a privileged self-test as PDF", responses=PDF)
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        test = visible(request, pk)
        services.record_self_test_download(by=asker(request), test=test)
        return as_pdf(test)


class SelfTestPeople(APIView):
    """Name further people who may see it. Nobody is taken off again."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(
        summary="Name people on a privileged self-test", request=SelfTestPeopleInput, responses={200: SelfTestOut}
    )
    def post(self, request: Request, pk: UUID) -> Response:
        test = visible(request, pk)
        services.name_people(by=asker(request), test=test, **read(SelfTestPeopleInput, request))
        return Response(SelfTestOut(visible(request, pk)).data)


class SelfTestLifting(APIView):
    """Lift the privilege: the report becomes evidence as any other, of the day on which it was computed."""

    permissions = {"POST": "fairness.request_report"}

    @extend_schema(
        summary="Lift the privilege of a self-test", request=SelfTestLiftingInput, responses={201: ReportOut}
    )
    def post(self, request: Request, pk: UUID) -> Response:
        test = visible(request, pk)
        evidence = services.lift_privilege(by=asker(request), test=test, **read(SelfTestLiftingInput, request))
        evidence.refresh_from_db()
        return Response(ReportOut(evidence).data, status=201)


routes = [
    path("versions/<int:pk>/self-tests/", VersionSelfTests.as_view(), name="api-version-self-tests"),
    path("self-tests/", SelfTestList.as_view(), name="api-self-tests"),
    path("self-tests/<uuid:pk>/", SelfTestDetail.as_view(), name="api-self-test"),
    path("self-tests/<uuid:pk>/content/", SelfTestContent.as_view(), name="api-self-test-content"),
    path("self-tests/<uuid:pk>/document/", SelfTestDocument.as_view(), name="api-self-test-document"),
    path("self-tests/<uuid:pk>/people/", SelfTestPeople.as_view(), name="api-self-test-people"),
    path("self-tests/<uuid:pk>/lifting/", SelfTestLifting.as_view(), name="api-self-test-lifting"),
]
