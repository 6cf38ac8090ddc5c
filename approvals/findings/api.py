"""Findings and accepted risks under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker, given
from accounts.models import User
from approvals.api import session_of
from approvals.api import visible as visible_request
from approvals.findings import acceptances, listing, services
from approvals.findings import serializers as shapes
from approvals.findings.ageing import Ageing
from approvals.findings.models import Finding, FindingStep, RiskAcceptance
from approvals.models import ReviewRequest
from approvals.serializers import ReasonInput
from audits.receipts import sealed_answer, with_seal
from ledger.refusals import Denied, Refusal
from registry.models import Version

FILTERS = [
    OpenApiParameter(name, kind, description=words)
    for name, kind, words in (
        ("state", str, "`standing` (not closed), `overdue`, `open`, `answered` or `closed`"),
        ("severity", str, "`critical`, `high`, `medium` or `low`"),
        ("kind", str, "`finding` or `condition`"),
        ("team", int, "A team's id"),
        ("version", int, "A version's id"),
        ("mine", bool, "Only those that you answer for"),
    )
]


def visible(request: Request, pk: int) -> Finding:
    found: Finding = get_object_or_404(Finding.objects.visible_to(request.user), pk=pk)
    return found


def newest(finding: Finding) -> FindingStep:
    return FindingStep.objects.with_parts().filter(finding=finding).latest("number")


def account(opaque_id: Any) -> User | None:
    """Whoever is named by opaque id, None where nobody is. Raises Refusal `owner_cannot_answer` for an unknown one."""
    if opaque_id is None:
        return None
    found: User | None = User.objects.filter(opaque_id=opaque_id).first()
    if found is None:
        raise Refusal("owner_cannot_answer", "There is no such account in the model's team. Check its id.", "owner")
    return found


class FindingList(ListAPIView[FindingStep]):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.raise_finding"}
    serializer_class = shapes.FindingSerializer
    filter_backends: list[Any] = []

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return FindingStep.objects.none()
        query = shapes.FindingQuery(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return listing.chosen(asker(self.request), query.validated_data)

    @extend_schema(summary="List findings", parameters=FILTERS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Raise a finding", request=shapes.FindingInput, responses={201: with_seal(shapes.FindingSerializer)}
    )
    def post(self, request: Request) -> Response:
        data = given(shapes.FindingInput, request)
        version = Version.objects.visible_to(request.user).filter(pk=data.pop("version")).first()
        if version is None:
            raise Refusal("unknown_version", "There is no such version that you can see. Check its number.", "version")
        of = data.pop("request")
        if of is not None:
            data["request"] = ReviewRequest.objects.visible_to(request.user).filter(pk=of).first()
            if data["request"] is None:
                sentence = "There is no such request that you can see. Check its number."
                raise Refusal("unknown_request", sentence, "request")
        data["owner"] = account(data["owner"])
        made = services.raise_finding(by=request.user, version=version, **data)
        body = shapes.FindingSerializer(newest(made)).data
        return sealed_answer(body, status=201, headers={"Location": f"/api/v1/findings/{made.pk}/"})


class FindingDetail(APIView):
    """A finding with its history."""

    permissions = {"GET": "approvals.view_request"}

    @extend_schema(summary="Look at a finding", responses={200: shapes.FindingDetailSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(shapes.FindingDetailSerializer(newest(visible(request, pk))).data)


def stepped(finding: Finding) -> Response:
    return sealed_answer(shapes.FindingDetailSerializer(newest(finding)).data, status=201)


class Answers(APIView):
    permissions = {"POST": "approvals.answer_finding"}

    @extend_schema(
        summary="Answer a finding",
        request=shapes.FindingAnswerInput,
        responses={201: with_seal(shapes.FindingDetailSerializer)},
    )
    def post(self, request: Request, pk: int) -> Response:
        found = visible(request, pk)
        services.answer(by=request.user, finding=found, **given(shapes.FindingAnswerInput, request))
        return stepped(found)


class Reassessments(APIView):
    permissions = {"POST": "approvals.judge_finding"}

    @extend_schema(
        summary="Change a finding's severity, due day or owner",
        request=shapes.ReassessmentInput,
        responses={201: with_seal(shapes.FindingDetailSerializer)},
    )
    def post(self, request: Request, pk: int) -> Response:
        found, data = visible(request, pk), given(shapes.ReassessmentInput, request)
        data["owner"] = account(data["owner"])
        services.reassess(by=request.user, finding=found, **data)
        return stepped(found)


class Closures(APIView):
    permissions = {"POST": "approvals.judge_finding"}

    @extend_schema(
        summary="Close a finding", request=ReasonInput, responses={201: with_seal(shapes.FindingDetailSerializer)}
    )
    def post(self, request: Request, pk: int) -> Response:
        found = visible(request, pk)
        services.close(by=request.user, finding=found, **given(ReasonInput, request))
        return stepped(found)


class Reopenings(APIView):
    permissions = {"POST": "approvals.judge_finding"}

    @extend_schema(
        summary="Reopen a finding",
        request=shapes.ReopeningInput,
        responses={201: with_seal(shapes.FindingDetailSerializer)},
    )
    def post(self, request: Request, pk: int) -> Response:
        found = visible(request, pk)
        services.reopen(by=request.user, finding=found, **given(shapes.ReopeningInput, request))
        return stepped(found)


def of_risks(user: Any) -> Any:
    return RiskAcceptance.objects.visible_to(user).select_related("signer", "withdrawal", "version__model")


class RiskAcceptanceList(ListAPIView[RiskAcceptance]):
    permissions = {"GET": "approvals.view_request"}
    serializer_class = shapes.RiskAcceptanceSerializer
    filterset_fields = ["version", "environment", "use", "request", "finding"]

    def get_queryset(self) -> Any:
        return of_risks(self.request.user)

    @extend_schema(summary="List accepted risks")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class RiskAcceptanceDetail(APIView):
    permissions = {"GET": "approvals.view_request"}

    @extend_schema(summary="Look at an accepted risk", responses={200: shapes.RiskAcceptanceSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(shapes.RiskAcceptanceSerializer(get_object_or_404(of_risks(request.user), pk=pk)).data)


class RiskAcceptanceWithdrawal(APIView):
    permissions = {"POST": "approvals.accept_risk"}

    @extend_schema(
        summary="End an accepted risk",
        request=ReasonInput,
        responses={201: with_seal(shapes.RiskAcceptanceSerializer)},
    )
    def post(self, request: Request, pk: int) -> Response:
        found: RiskAcceptance = get_object_or_404(RiskAcceptance.objects.visible_to(request.user), pk=pk)
        acceptances.withdraw_acceptance(by=request.user, acceptance=found, **given(ReasonInput, request))
        return sealed_answer(shapes.RiskAcceptanceSerializer(of_risks(request.user).get(pk=pk)).data, status=201)


class RequestRisks(APIView):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.accept_risk"}

    @extend_schema(
        summary="List the risks accepted for a request's version, environment and use",
        responses={200: shapes.RiskAcceptanceSerializer(many=True)},
    )
    def get(self, request: Request, pk: int) -> Response:
        found = visible_request(request, pk)
        rows = of_risks(request.user).filter(
            version=found.version_id, environment=found.environment, use=found.use
        )  # fmt: skip
        return Response(shapes.RiskAcceptanceSerializer(rows, many=True).data)

    @extend_schema(
        summary="Accept a risk",
        request=shapes.AcceptanceInput,
        responses={201: with_seal(shapes.RiskAcceptanceSerializer)},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Needs a nonce from `/reauthentications/` with the purpose `risk_acceptance`, over the text's digest."""
        found, data = visible_request(request, pk), given(shapes.AcceptanceInput, request)
        made = acceptances.accept_risk(by=request.user, request=found, session_key=session_of(request), **data)
        return sealed_answer(shapes.RiskAcceptanceSerializer(of_risks(request.user).get(pk=made.pk)).data, status=201)


class RiskText(APIView):
    """What would be signed: ask for it first, then prove who you are over its digest, then accept."""

    permissions = {"GET": "approvals.accept_risk"}

    @extend_schema(
        summary="Read what would be signed to accept a risk",
        parameters=[
            OpenApiParameter("target", str, required=True, description="`finding:<id>` or `evidence:<rule>`"),
            OpenApiParameter("reason", str, required=True),
            OpenApiParameter("until", OpenApiTypes.DATE, required=True),
        ],
        responses={200: shapes.AcceptanceTextSerializer},
    )
    def get(self, request: Request, pk: int) -> Response:
        found = visible_request(request, pk)
        if not request.user.has_perm("approvals.accept_risk", found):
            raise Denied("approvals.accept_risk")
        terms = shapes.AcceptanceTerms(data=request.query_params)
        terms.is_valid(raise_exception=True)
        text = acceptances.draft(asker(request), found, **terms.validated_data)
        return Response({"document": text.document.decode(), "digest": text.digest})


routes = [
    path("findings/", FindingList.as_view(), name="api-findings"),
    path("findings/ageing/", Ageing.as_view(), name="api-findings-ageing"),
    path("findings/<int:pk>/", FindingDetail.as_view(), name="api-finding"),
    path("findings/<int:pk>/answers/", Answers.as_view(), name="api-finding-answers"),
    path("findings/<int:pk>/reassessments/", Reassessments.as_view(), name="api-finding-reassessments"),
    path("findings/<int:pk>/closures/", Closures.as_view(), name="api-finding-closures"),
    path("findings/<int:pk>/reopenings/", Reopenings.as_view(), name="api-finding-reopenings"),
    path("risk-acceptances/", RiskAcceptanceList.as_view(), name="api-risk-acceptances"),
    path("risk-acceptances/<int:pk>/", RiskAcceptanceDetail.as_view(), name="api-risk-acceptance"),
    path(
        "risk-acceptances/<int:pk>/withdrawal/",
        RiskAcceptanceWithdrawal.as_view(),
        name="api-risk-acceptance-withdrawal",
    ),
    path("requests/<int:pk>/risk-acceptances/", RequestRisks.as_view(), name="api-request-risk-acceptances"),
    path("requests/<int:pk>/risk-acceptances/text/", RiskText.as_view(), name="api-request-risk-acceptance-text"),
]
