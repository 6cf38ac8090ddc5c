"""Requests for keys under `/api/v1/`, and when an endpoint needs them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker, given
from approvals.serializers import PersonSerializer
from inference.keyrequests import services
from inference.keyrequests.forms import KeyRequestFilter
from inference.keyrequests.models import KeyRequest, KeyRequestQuerySet
from inference.keyrequests.rules import KEY_REQUEST_STATES, KEY_RULES
from inference.models import Endpoint, KeyScope
from inference.seeing import visible
from inference.serializers import KeyReasonInput, NewKeySerializer, shown_once
from ledger.events import database_time


class KeyRequestSerializer(serializers.ModelSerializer[KeyRequest]):
    """What is asked for, and how it stands. There is no secret until the key is taken."""

    endpoint = serializers.CharField(source="endpoint.name")
    state = serializers.SerializerMethodField(help_text=f"One of: {', '.join(KEY_REQUEST_STATES)}")
    actions = serializers.ListField(child=serializers.ChoiceField(KeyScope.Action.choices))
    networks = serializers.ListField(child=serializers.CharField(), help_text="None: it may be sent from anywhere")
    holder = PersonSerializer()
    asked_by = PersonSerializer()
    decided_by = PersonSerializer(allow_null=True, help_text="Who approved, declined or withdrew it")
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = KeyRequest
        fields = [
            "id", "state", "endpoint", "name", "actions", "days", "rate_per_minute", "quota_per_day", "networks",
            "holder", "reason", "asked_by", "asked_at", "open_until", "decided_by", "decided_at", "answer", "key",
            "url",
        ]  # fmt: skip

    def get_state(self, request: KeyRequest) -> str:
        now: datetime = self.context.get("now") or database_time()
        return request.state(now)


class KeyRuleSerializer(serializers.Serializer[Any]):
    rule = serializers.ChoiceField(list(KEY_RULES.items()), source="key_rule")
    high_risk = serializers.BooleanField(help_text="In production, of a model of the highest risk tier")
    keys_take_two = serializers.BooleanField(help_text="Whether a key is asked for, and approved by somebody else")


class KeyRuleInput(serializers.Serializer[Any]):
    rule = serializers.ChoiceField(list(KEY_RULES.items()))
    reason = serializers.CharField(max_length=500)


def visible_request(request: Request, pk: int) -> KeyRequest:
    return get_object_or_404(KeyRequest.objects.visible_to(asker(request)).with_parts(), pk=pk)


def told(found: KeyRequest, status: int = 200) -> Response:
    row = KeyRequest.objects.with_parts().get(pk=found.pk)
    return Response(KeyRequestSerializer(row).data, status)


class EndpointKeyRule(APIView):
    """When keys to an endpoint take two people."""

    permissions = {"GET": "inference.view_endpoint", "PUT": "inference.govern_keys"}

    @extend_schema(summary="Read when an endpoint's keys take two people", responses={200: KeyRuleSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(KeyRuleSerializer(visible(request, pk)).data)

    @extend_schema(
        summary="Set when an endpoint's keys take two people", request=KeyRuleInput, responses={200: KeyRuleSerializer}
    )
    def put(self, request: Request, pk: int) -> Response:
        """Who takes the second person away has to be one who decides about keys. Keys that are there stay."""
        found: Endpoint = visible(request, pk)
        changed = services.set_key_rule(by=asker(request), endpoint=found, **given(KeyRuleInput, request))
        return Response(KeyRuleSerializer(changed).data)


class KeyRequestList(ListAPIView[KeyRequest]):
    """Requests for keys to the endpoints of your teams, newest first. A key is asked for where it would be issued."""

    permissions = {"GET": "inference.view_endpoint"}
    queryset = KeyRequest.objects.none()
    serializer_class = KeyRequestSerializer
    filterset_class = KeyRequestFilter

    def get_queryset(self) -> KeyRequestQuerySet:
        return KeyRequest.objects.visible_to(self.request.user).with_parts()

    def get_serializer_context(self) -> dict[str, Any]:
        fake = getattr(self, "swagger_fake_view", False)
        return {**super().get_serializer_context(), "now": None if fake else database_time()}

    @extend_schema(summary="List requests for keys")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class KeyRequestDetail(APIView):
    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(summary="Look at a request for a key", responses={200: KeyRequestSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(KeyRequestSerializer(visible_request(request, pk)).data)


class KeyRequestApproval(APIView):
    """By another person than whoever asked, and never by whoever would hold the key."""

    permissions = {"POST": "inference.decide_key"}

    @extend_schema(summary="Approve a request for a key", request=KeyReasonInput, responses={200: KeyRequestSerializer})
    def post(self, request: Request, pk: int) -> Response:
        found = visible_request(request, pk)
        return told(services.approve_key(by=asker(request), request=found, **given(KeyReasonInput, request)))


class KeyRequestDeclining(APIView):
    """Also of one that is approved and not taken yet."""

    permissions = {"POST": "inference.decide_key"}

    @extend_schema(summary="Decline a request for a key", request=KeyReasonInput, responses={200: KeyRequestSerializer})
    def post(self, request: Request, pk: int) -> Response:
        found = visible_request(request, pk)
        return told(services.decline_key(by=asker(request), request=found, **given(KeyReasonInput, request)))


class KeyRequestWithdrawal(APIView):
    """By whoever asked."""

    permissions = {"POST": "inference.issue_key"}

    @extend_schema(
        summary="Withdraw a request for a key", request=KeyReasonInput, responses={200: KeyRequestSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        found = visible_request(request, pk)
        return told(services.withdraw_key_request(by=asker(request), request=found, **given(KeyReasonInput, request)))


class RequestedKey(APIView):
    """The key of a request that was approved, for whoever asked."""

    permissions = {"POST": "inference.issue_key"}

    @extend_schema(summary="Take a key that was approved", request=None, responses={201: NewKeySerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The key is made now. The answer shows its secret, once."""
        return shown_once(*services.take_key(by=asker(request), request=visible_request(request, pk)))


routes = [
    path("endpoints/<int:pk>/key-rule/", EndpointKeyRule.as_view(), name="api-endpoint-key-rule"),
    path("key-requests/", KeyRequestList.as_view(), name="api-key-requests"),
    path("key-requests/<int:pk>/", KeyRequestDetail.as_view(), name="api-key-request"),
    path("key-requests/<int:pk>/approval/", KeyRequestApproval.as_view(), name="api-key-request-approval"),
    path("key-requests/<int:pk>/declining/", KeyRequestDeclining.as_view(), name="api-key-request-declining"),
    path("key-requests/<int:pk>/withdrawal/", KeyRequestWithdrawal.as_view(), name="api-key-request-withdrawal"),
    path("key-requests/<int:pk>/key/", RequestedKey.as_view(), name="api-key-request-key"),
]
