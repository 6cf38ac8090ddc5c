"""Requests and signatures under `/api/v1/`; the gate is in `answers`."""

from __future__ import annotations

import re
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker, given
from accounts.models import ApiToken, User
from approvals import challenges, gate, services
from approvals import serializers as shapes
from approvals.findings.conditions import Condition
from approvals.models import RequestQuerySet, ReviewRequest, Revision
from approvals.proving import NONCE_LIVES, changed_while_reading
from approvals.standing_in import giver_of
from audits.receipts import sealed_answer, with_seal
from ledger.canonical import sha256
from ledger.refusals import Denied, Refusal
from registry.models import Evidence, Version

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


def session_of(request: Request) -> str:
    """What a proof of identity is bound to: the token or the browser's session."""
    if isinstance(request.auth, ApiToken):
        return f"token:{request.auth.pk}"
    return f"session:{request.session.session_key}"


def full(requests: RequestQuerySet) -> RequestQuerySet:
    return requests.select_related("version__model", "policy_version", "submitted_by").prefetch_related(
        "revisions__submitted_by"
    )


def visible(request: Request, pk: int) -> ReviewRequest:
    return get_object_or_404(full(ReviewRequest.objects.visible_to(request.user)), pk=pk)


def evidence_named(ids: list[int] | None, user: User) -> list[Evidence] | None:
    """Raises Refusal `evidence_not_usable` for an id that this account cannot see."""
    if ids is None:
        return None
    found = list(Evidence.objects.visible_to(user).filter(pk__in=ids))
    if len(found) < len(set(ids)):
        raise Refusal("evidence_not_usable", "Some of the evidence chosen is not there. Check the numbers.", "evidence")
    return found


def conditions_of(rows: list[dict[str, Any]]) -> list[Condition]:
    """Raises Refusal `owner_cannot_answer` for an account that is not there."""
    people = {each.opaque_id: each for each in User.objects.filter(opaque_id__in=[row["owner"] for row in rows])}
    for place, row in enumerate(rows):
        if row["owner"] not in people:
            sentence = "There is no such account in the model's team. Check its id."
            raise Refusal("owner_cannot_answer", sentence, f"conditions.{place}.owner")
    return [Condition(row["text"], people[row["owner"]], row["due"]) for row in rows]


class RequestList(ListAPIView[ReviewRequest]):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.submit_request"}
    serializer_class = shapes.RequestSerializer
    filterset_fields = ["state", "environment", "use", "version", "version__model"]

    def get_queryset(self) -> RequestQuerySet:
        return full(ReviewRequest.objects.visible_to(self.request.user))

    @extend_schema(summary="List review requests")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Ask for approval", request=shapes.SubmissionInput, responses={201: with_seal(shapes.RequestSerializer)}
    )
    def post(self, request: Request) -> Response:
        data = given(shapes.SubmissionInput, request)
        version = Version.objects.visible_to(request.user).filter(pk=data.pop("version")).first()
        if version is None:
            raise Refusal("unknown_version", "There is no such version that you can see. Check its number.", "version")
        data["evidence"] = evidence_named(data["evidence"], asker(request))
        made = services.submit(by=request.user, version=version, **data)
        body = shapes.RequestSerializer(visible(request, made.pk)).data
        return sealed_answer(body, status=201, headers={"Location": f"/api/v1/requests/{made.pk}/"})


class RequestDetail(APIView):
    """One request with the gate's answer for its version, environment and use."""

    permissions = {"GET": "approvals.view_request"}

    @extend_schema(
        summary="Look at a request",
        responses={200: shapes.RequestDetailSerializer, 304: OpenApiResponse(description="As before")},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        found = visible(request, pk)
        with gate.snapshot():
            answer = gate.evaluate(found.version, found.environment, found.use)
            body = shapes.RequestDetailSerializer(found, context={"gate": answer}).data
        told = (answer.state, answer.reasons, found.state, answer.revision_digest, len(body["decisions"]))
        etag = f'"{sha256(repr(told).encode())[7:39]}"'
        response = Response(body, headers={"ETag": etag})
        return get_conditional_response(request._request, etag=etag, response=response) or response


class Revisions(APIView):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.submit_request"}

    @extend_schema(summary="List a request's revisions", responses={200: shapes.RevisionSerializer(many=True)})
    def get(self, request: Request, pk: int) -> Response:
        rows = visible(request, pk).revisions.select_related("submitted_by")
        return Response(shapes.RevisionSerializer(rows, many=True).data)

    @extend_schema(
        summary="Submit a new revision",
        request=shapes.RevisionInput,
        responses={201: with_seal(shapes.RevisionSerializer)},
    )
    def post(self, request: Request, pk: int) -> Response:
        found, data = visible(request, pk), given(shapes.RevisionInput, request)
        data["evidence"] = evidence_named(data["evidence"], asker(request))
        made = services.revise(by=request.user, request=found, **data)
        return sealed_answer(shapes.RevisionSerializer(made).data, status=201)


class Decisions(APIView):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.sign_decision"}

    @extend_schema(summary="List a request's decisions", responses={200: shapes.DecisionSerializer(many=True)})
    def get(self, request: Request, pk: int) -> Response:
        rows = visible(request, pk).decisions.select_related("signer", "revision", "on_behalf_of")
        return Response(shapes.DecisionSerializer(rows, many=True).data)

    @extend_schema(
        summary="Sign a decision", request=shapes.DecisionInput, responses={201: with_seal(shapes.DecisionSerializer)}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Needs a nonce from `/reauthentications/`, asked for by the same person with the same token or session."""
        found, data = visible(request, pk), given(shapes.DecisionInput, request)
        chosen = data.pop("on_behalf_of")
        data["on_behalf_of"] = giver_of(asker(request), found, str(chosen) if chosen else "")
        data["conditions"] = conditions_of(data["conditions"])
        made = services.sign(by=request.user, request=found, session_key=session_of(request), **data)
        return sealed_answer(shapes.DecisionSerializer(made).data, status=201)


class Comments(APIView):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.comment"}

    @extend_schema(summary="Read a request's conversation", responses={200: shapes.CommentSerializer(many=True)})
    def get(self, request: Request, pk: int) -> Response:
        rows = visible(request, pk).comments.select_related("author").prefetch_related("mentioned")
        return Response(shapes.CommentSerializer(rows, many=True).data)

    @extend_schema(summary="Comment", request=shapes.CommentInput, responses={201: shapes.CommentSerializer})
    def post(self, request: Request, pk: int) -> Response:
        found, data = visible(request, pk), given(shapes.CommentInput, request)
        data["mentions"] = [str(each) for each in data["mentions"]]
        made = services.comment(by=request.user, request=found, **data)
        return Response(shapes.CommentSerializer(made).data, status=201)


class Withdrawal(APIView):
    permissions = {"POST": "approvals.withdraw_request"}

    @extend_schema(
        summary="Withdraw a request", request=shapes.ReasonInput, responses={201: with_seal(shapes.RequestSerializer)}
    )
    def post(self, request: Request, pk: int) -> Response:
        services.withdraw(by=request.user, request=visible(request, pk), **given(shapes.ReasonInput, request))
        return sealed_answer(shapes.RequestSerializer(visible(request, pk)).data, status=201)


class RevocationView(APIView):
    permissions = {"POST": "approvals.revoke_approval"}

    @extend_schema(
        summary="Revoke an approval",
        request=shapes.ReasonInput,
        responses={201: with_seal(shapes.RevocationSerializer)},
    )
    def post(self, request: Request, pk: int) -> Response:
        made = services.revoke(by=request.user, request=visible(request, pk), **given(shapes.ReasonInput, request))
        return sealed_answer(shapes.RevocationSerializer(made).data, status=201)


class Manifest(APIView):
    """The exact canonical bytes that are signed; their SHA-256 is the digest."""

    permissions = {"GET": "approvals.view_request"}

    @extend_schema(
        summary="Download a manifest",
        parameters=[OpenApiParameter("revision", int, description="Its number; the latest without it")],
        responses={200: OpenApiTypes.OBJECT, 304: OpenApiResponse(description="As before")},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return manifest_file(request._request, visible(request, pk), request.query_params.get("revision"))


def manifest_file(request: Any, of: ReviewRequest, number: str | None) -> HttpResponseBase:
    """A revision's manifest as a download, the latest by default. Raises Http404 for a number it does not have."""
    if number is not None and not number.isdecimal():
        raise Http404
    revision = get_object_or_404(Revision, request=of, number=int(number) if number else of.latest.number)
    response = HttpResponse(bytes(revision.manifest_bytes), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="request-{of.pk}-revision-{revision.number}.json"'
    response["ETag"] = f'"{revision.digest}"'
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


class ChallengeView(APIView):
    """What a passkey is asked to sign: a challenge made from the digest of the latest revision, or of the text of a
    risk acceptance. Nothing is kept.
    """

    permissions = {"GET": "approvals.reauthenticate"}

    @extend_schema(
        summary="Get a challenge for a passkey",
        parameters=[
            OpenApiParameter("digest", str, description="What you have read; refused where it is outdated"),
            OpenApiParameter("purpose", str, enum=["decision", "risk_acceptance"], description="What the digest is of"),
        ],
        responses={200: shapes.ChallengeSerializer},
    )
    def get(self, request: Request, pk: int) -> Response:
        found = visible(request, pk)
        if not request.user.has_perm("approvals.reauthenticate", found):
            raise Denied("approvals.reauthenticate")
        latest = found.latest.digest
        digest = request.query_params.get("digest", latest)
        if digest != latest and request.query_params.get("purpose") != "risk_acceptance":
            raise changed_while_reading()
        if not DIGEST.match(digest):
            raise Refusal("digest_invalid", "A digest is `sha256:` and 64 hexadecimal digits.", "digest")
        made = challenges.for_signing(request._request, asker(request), digest, session_of(request))
        return Response(made, headers={"Cache-Control": "no-store"})


class Reauthentications(APIView):
    permissions = {"POST": "approvals.reauthenticate"}

    @extend_schema(
        summary="Prove anew who you are", request=shapes.ReauthenticationInput, responses={201: shapes.NonceSerializer}
    )
    def post(self, request: Request) -> Response:
        """A nonce for one signature over this digest, within two minutes. What is wrong counts towards the lock."""
        data = given(shapes.ReauthenticationInput, request)
        second = challenges.answer(request._request, data.pop("code"), data.pop("ticket"), data.pop("passkey"))
        found = ReviewRequest.objects.visible_to(request.user).filter(pk=data.pop("request")).first()
        if found is None:
            raise Refusal("unknown_request", "There is no such request that you can see. Check its number.", "request")
        bound = {"session_key": session_of(request), "second": second, **data}
        nonce = services.reauthenticate(by=asker(request), request=found, **bound)
        response = Response({"nonce": nonce, "expires_in": int(NONCE_LIVES.total_seconds())}, status=201)
        response.shows_secret = True  # type: ignore[attr-defined]
        return response


routes = [
    path("requests/", RequestList.as_view(), name="api-requests"),
    path("requests/<int:pk>/", RequestDetail.as_view(), name="api-request"),
    path("requests/<int:pk>/revision/", Revisions.as_view(), name="api-request-revision"),
    path("requests/<int:pk>/decisions/", Decisions.as_view(), name="api-request-decisions"),
    path("requests/<int:pk>/comments/", Comments.as_view(), name="api-request-comments"),
    path("requests/<int:pk>/withdrawal/", Withdrawal.as_view(), name="api-request-withdrawal"),
    path("requests/<int:pk>/revocation/", RevocationView.as_view(), name="api-request-revocation"),
    path("requests/<int:pk>/manifest/", Manifest.as_view(), name="api-request-manifest"),
    path("requests/<int:pk>/challenge/", ChallengeView.as_view(), name="api-request-challenge"),
    path("reauthentications/", Reauthentications.as_view(), name="api-reauthentications"),
]
