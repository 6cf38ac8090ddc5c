"""Endpoints and the keys to them under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker, given
from accounts.models import User
from approvals import gate
from inference import serializers as shapes
from inference import services
from inference.batch import api as batch
from inference.filters import KeyFilter
from inference.keyrequests import api as keyrequests
from inference.keyrequests.services import request_key
from inference.models import Endpoint, EndpointQuerySet, InferenceKey, InferenceKeyQuerySet
from inference.overrides import api as overrides
from inference.predictions import api as predictions
from inference.reconciling import reconcile
from inference.rollouts import api as rollouts
from inference.seeing import visible
from inference.terms import holder_invalid
from inference.traffic import api as traffic
from inference.upstreams import api as upstreams
from ledger.canonical import sha256
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Model, Version
from registry.paging import id_of


def visible_key(request: Request, pk: int) -> InferenceKey:
    return get_object_or_404(InferenceKey.objects.visible_to(request.user).with_parts(), pk=pk)


class EndpointList(ListAPIView[Endpoint]):
    """Endpoints of your teams, newest first."""

    permissions = {"GET": "inference.view_endpoint", "POST": "inference.add_endpoint"}
    queryset = Endpoint.objects.none()
    serializer_class = shapes.EndpointSerializer
    filterset_fields = ["name", "environment", "use", "model", "version"]

    def get_queryset(self) -> EndpointQuerySet:
        return Endpoint.objects.visible_to(self.request.user).with_parts()

    @extend_schema(summary="List endpoints")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Add an endpoint", request=shapes.EndpointInput, responses={201: shapes.EndpointSerializer})
    def post(self, request: Request) -> Response:
        data = given(shapes.EndpointInput, request)
        model = Model.objects.visible_to(request.user).filter(pk=data.pop("model")).first()
        if model is None:
            sentence = "There is no such model that you can see. Check its number."
            raise serializers.ValidationError({"model": [sentence]}, code="does_not_exist")
        made = services.add_endpoint(by=request.user, model=model, **data)
        body = shapes.EndpointSerializer(visible(request, made.pk)).data
        return Response(body, status=201, headers={"Location": f"/api/v1/endpoints/{made.pk}/"})


class EndpointDetail(APIView):
    """One endpoint with the gate's answer of now: whether it serves, and why not."""

    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(
        summary="Look at an endpoint",
        responses={200: shapes.EndpointDetailSerializer, 304: OpenApiResponse(description="As before")},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        found = visible(request, pk)
        said = gate.evaluate(found.version, found.environment, found.use) if found.version else None
        body = shapes.EndpointDetailSerializer(found, context={"gate": said}).data
        told = {**body, "gate": {**body["gate"], "evaluated_at": None} if said else None}
        etag = f'"{sha256(repr(told).encode())[7:39]}"'
        response = Response(body, headers={"ETag": etag})
        return get_conditional_response(request._request, etag=etag, response=response) or response


class Binding(APIView):
    """Which version an endpoint serves. Binding is not permission: the gate is asked whenever it serves."""

    permissions = {"PUT": "inference.bind_endpoint"}

    @extend_schema(
        summary="Bind an endpoint to a version",
        request=shapes.BindingInput,
        responses={200: shapes.EndpointDetailSerializer},
    )
    def put(self, request: Request, pk: int) -> Response:
        found, wanted = visible(request, pk), given(shapes.BindingInput, request)["version"]
        version = Version.objects.visible_to(request.user).filter(pk=wanted).first()
        if version is None and wanted is not None:
            raise Refusal("unknown_version", "There is no such version that you can see. Check its number.", "version")
        services.bind_endpoint(by=request.user, endpoint=found, version=version)
        found = visible(request, pk)
        said = gate.evaluate(found.version, found.environment, found.use) if found.version else None
        return Response(shapes.EndpointDetailSerializer(found, context={"gate": said}).data)


class KeyListView(ListAPIView[InferenceKey]):
    """Keys, newest first. Never their secrets."""

    queryset = InferenceKey.objects.none()
    serializer_class = shapes.KeySerializer
    filterset_class = KeyFilter

    def get_queryset(self) -> InferenceKeyQuerySet:
        return InferenceKey.objects.visible_to(self.request.user).with_parts()

    def get_serializer_context(self) -> dict[str, Any]:
        fake = getattr(self, "swagger_fake_view", False)
        return {**super().get_serializer_context(), "now": None if fake else database_time()}


class EndpointKeys(KeyListView):
    """Keys to one endpoint."""

    permissions = {"GET": "inference.view_endpoint", "POST": "inference.issue_key"}

    def get_queryset(self) -> InferenceKeyQuerySet:
        found = visible(self.request, self.kwargs["pk"])
        return super().get_queryset().filter(scopes__endpoint=found)

    @extend_schema(summary="List an endpoint's keys")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Issue a key to an endpoint, or ask for it",
        request=shapes.KeyInput,
        responses={201: shapes.NewKeySerializer, 202: keyrequests.KeyRequestSerializer},
    )
    def post(self, request: Request, pk: int) -> Response:
        """The answer shows the secret, once: asked again with the same Idempotency-Key it shows nothing.

        Where the endpoint's keys take two people, the answer is 202 and a request that somebody else has to approve.
        """
        found, data = visible(request, pk), given(shapes.KeyInput, request)
        data["holder"] = holder_named(data["holder"])
        if found.keys_take_two:
            return keyrequests.told(request_key(by=asker(request), endpoint=found, **data), 202)
        return shapes.shown_once(*services.issue_key(by=request.user, endpoint=found, **data))


def holder_named(pk: int | None) -> User | None:
    """Raises Refusal `holder_invalid` for an account that is not there, in the words for one that may not hold it."""
    if pk is None:
        return None
    found: User | None = User.objects.filter(pk=pk).first()
    if found is None:
        raise holder_invalid()
    return found


class KeyList(KeyListView):
    """Keys to the endpoints of your teams."""

    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(summary="List keys")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class KeyDetail(APIView):
    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(summary="Look at a key", responses={200: shapes.KeySerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(shapes.KeySerializer(visible_key(request, pk)).data)


class KeyRevocation(APIView):
    """Every gateway refuses the key within a second, for good."""

    permissions = {"POST": "inference.revoke_key"}

    @extend_schema(summary="Revoke a key", request=shapes.KeyReasonInput, responses={200: shapes.KeySerializer})
    def post(self, request: Request, pk: int) -> Response:
        services.revoke_key(by=request.user, key=visible_key(request, pk), **given(shapes.KeyReasonInput, request))
        return Response(shapes.KeySerializer(visible_key(request, pk)).data)


class KeyRotation(APIView):
    """A successor with the same terms. The old key works for so many hours more, then ends."""

    permissions = {"POST": "inference.issue_key"}

    @extend_schema(summary="Rotate a key", request=shapes.KeyRotationInput, responses={201: shapes.NewKeySerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The answer shows the successor's secret, once."""
        found, data = visible_key(request, pk), given(shapes.KeyRotationInput, request)
        return shapes.shown_once(*services.rotate_key(by=request.user, key=found, **data))


class LeakReport(APIView):
    """Whoever finds a key somewhere can end it here by showing it, without an account."""

    permissions = {"POST": "inference.report_leaked_key"}
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(summary="Report a leaked key", request=shapes.LeakInput, responses={200: shapes.LeakSerializer})
    def post(self, request: Request) -> Response:
        return Response(shapes.LeakSerializer(services.report_leak(given(shapes.LeakInput, request)["key"])).data)


class ReconciliationReport(APIView):
    """Where what is deployed and what is approved differ, by the gate's answers at this moment."""

    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(
        summary="Compare what is deployed with what is approved",
        parameters=[OpenApiParameter("team", int, description="A team's id")],
        responses={200: shapes.ReconciliationSerializer},
    )
    def get(self, request: Request) -> Response:
        wanted = request.query_params.get("team", "")
        found = reconcile(asker(request), id_of(wanted))
        return Response(shapes.ReconciliationSerializer(found).data)


routes = [
    *batch.routes,
    *keyrequests.routes,
    *overrides.routes,
    *predictions.routes,
    *rollouts.routes,
    *traffic.routes,
    *upstreams.routes,
    path("endpoints/", EndpointList.as_view(), name="api-endpoints"),
    path("endpoints/reconciliation/", ReconciliationReport.as_view(), name="api-reconciliation"),
    path("endpoints/<int:pk>/", EndpointDetail.as_view(), name="api-endpoint"),
    path("endpoints/<int:pk>/binding/", Binding.as_view(), name="api-endpoint-binding"),
    path("endpoints/<int:pk>/keys/", EndpointKeys.as_view(), name="api-endpoint-keys"),
    path("keys/", KeyList.as_view(), name="api-keys"),
    path("keys/<int:pk>/", KeyDetail.as_view(), name="api-key"),
    path("keys/<int:pk>/revocation/", KeyRevocation.as_view(), name="api-key-revocation"),
    path("keys/<int:pk>/rotation/", KeyRotation.as_view(), name="api-key-rotation"),
    path("keys/report-leak/", LeakReport.as_view(), name="api-key-leak"),
]
