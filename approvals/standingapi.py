"""Standing in for somebody, and stepping back, under `/api/v1/`."""

from __future__ import annotations

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
from accounts.models import Team, User
from approvals import serializers as shapes
from approvals import services
from approvals.api import visible
from approvals.models import Delegation, Recusal
from approvals.standing_in import SIGNS
from ledger.events import database_time
from ledger.refusals import Refusal


class DelegationSerializer(serializers.ModelSerializer[Delegation]):
    giver = shapes.PersonSerializer()
    taker = shapes.PersonSerializer()
    team = serializers.SlugField(source="team.slug", allow_null=True, default=None)
    state = serializers.SerializerMethodField()

    class Meta:
        model = Delegation
        fields = ["id", "giver", "taker", "team", "reason", "starts_at", "ends_at", "ended_at", "state"]

    def get_state(self, delegation: Delegation) -> str:
        return delegation.state_at(database_time())


class DelegationInput(serializers.Serializer[Any]):
    taker = serializers.UUIDField(help_text="Id of the person")
    team = serializers.SlugField(required=False, allow_null=True, default=None, help_text="null: every team")
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(max_length=5000)
    password = serializers.CharField(max_length=200, trim_whitespace=False, write_only=True)


class RecusalSerializer(serializers.ModelSerializer[Recusal]):
    person = shapes.PersonSerializer()

    class Meta:
        model = Recusal
        fields = ["id", "request", "person", "reason", "at"]


class Delegations(ListAPIView[Delegation]):
    permissions = {"GET": "accounts.manage_own_access", "POST": SIGNS}
    serializer_class = DelegationSerializer

    def get_queryset(self) -> Any:
        return Delegation.objects.visible_to(self.request.user).select_related("giver", "taker", "team")

    @extend_schema(summary="List who signs in whose place")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Let somebody sign in your place", request=DelegationInput, responses={201: DelegationSerializer}
    )
    def post(self, request: Request) -> Response:
        data = given(DelegationInput, request)
        chosen, slug = data.pop("taker"), data.pop("team")
        taker = User.objects.filter(opaque_id=chosen, is_active=True).first()
        if taker is None:
            raise Refusal("unknown_account", "There is no such person. Check the id.", "taker")
        team = Team.objects.filter(slug=slug).first() if slug else None
        if slug and team is None:
            raise Refusal("unknown_team", f"There is no team with the slug {slug}. Check how it is written.", "team")
        made = services.delegate(by=asker(request), taker=taker, team=team, **data)
        return Response(DelegationSerializer(made).data, status=201)


class DelegationEnding(APIView):
    permissions = {"POST": "accounts.manage_own_access"}

    @extend_schema(summary="End a delegation", request=None, responses={201: DelegationSerializer})
    def post(self, request: Request, pk: int) -> Response:
        user = asker(request)
        found = get_object_or_404(Delegation.objects.visible_to(user), pk=pk)
        return Response(
            DelegationSerializer(services.end_delegation(by=user, account=user, delegation=found)).data, status=201
        )


class Recusals(APIView):
    permissions = {"GET": "approvals.view_request", "POST": SIGNS}

    @extend_schema(summary="List who stepped back", responses={200: RecusalSerializer(many=True)})
    def get(self, request: Request, pk: int) -> Response:
        rows = visible(request, pk).recusals.select_related("person")
        return Response(RecusalSerializer(rows, many=True).data)

    @extend_schema(summary="Step back from a request", request=shapes.ReasonInput, responses={201: RecusalSerializer})
    def post(self, request: Request, pk: int) -> Response:
        made = services.recuse(by=request.user, request=visible(request, pk), **given(shapes.ReasonInput, request))
        return Response(RecusalSerializer(made).data, status=201)


routes = [
    path("delegations/", Delegations.as_view(), name="api-delegations"),
    path("delegations/<int:pk>/ending/", DelegationEnding.as_view(), name="api-delegation-ending"),
    path("requests/<int:pk>/recusals/", Recusals.as_view(), name="api-request-recusals"),
]
