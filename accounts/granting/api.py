"""Who can do what, proposed grants and recertification under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import confirmed_by, grants_of, holders
from accounts.api import AccessReasonInput, GrantInput, GrantSerializer, given
from accounts.asking import asker
from accounts.catalogue import PERMISSIONS
from accounts.granting import services
from accounts.granting.models import PROPOSAL_STATES, ProposedGrant, ProposedGrantQuerySet
from accounts.granting.recertifying import drop_grant, due_for, recertify
from accounts.models import Grant, GrantQuerySet, Team
from ledger.refusals import Denied


class HeldGrantSerializer(GrantSerializer):
    """A grant with the names that one would otherwise have to look up, and the second person where there was one."""

    name = serializers.CharField(source="user.name", read_only=True)
    confirmed_by = serializers.SerializerMethodField(help_text="Who confirmed the grant, if it was proposed")

    class Meta(GrantSerializer.Meta):
        fields = [*GrantSerializer.Meta.fields, "name", "confirmed_by"]

    def get_confirmed_by(self, grant: Grant) -> int | None:
        second = confirmed_by(grant)
        return second.pk if second else None


class HoldersSerializer(serializers.Serializer[Any]):
    """A permission and the grants, to accounts that one may see, that give it now."""

    permission = serializers.CharField()
    sentence = serializers.CharField()
    everybody = serializers.BooleanField(source="for_everybody", help_text="Whether it needs no role")
    grants = HeldGrantSerializer(source="sources", many=True)


class HoldersList(serializers.Serializer[Any]):
    results = HoldersSerializer(many=True)


class HoldersQuery(serializers.Serializer[Any]):
    permission = serializers.ChoiceField(choices=list(PERMISSIONS), default="")
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.none(), default=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = Team.objects.visible_to(self.context["by"])  # type: ignore[attr-defined]


class Permissions(APIView):
    """Who can do what: all permissions, or one; for a team also by the grants for the whole house."""

    permissions = {"GET": "accounts.view_people"}

    @extend_schema(
        summary="See who can do what",
        parameters=[OpenApiParameter("permission"), OpenApiParameter("team", int)],
        responses={200: HoldersList},
    )
    def get(self, request: Request) -> Response:
        user = asker(request)
        if not user.may_somewhere("accounts.view_people"):
            raise Denied("accounts.view_people")
        query = HoldersQuery(data=request.query_params, context={"by": user})
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        found = holders(grants_of(user, wanted["team"]), wanted["permission"])
        return Response(HoldersList({"results": found}).data)


class GrantProposalSerializer(serializers.ModelSerializer[ProposedGrant]):
    account = serializers.IntegerField(source="user_id", read_only=True)
    role = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    state = serializers.ChoiceField(choices=PROPOSAL_STATES, read_only=True)

    class Meta:
        model = ProposedGrant
        fields = [
            "id", "account", "role", "team", "reason", "conflict_reason", "ends_at", "proposed_by", "proposed_at",
            "expires_at", "state", "decided_by", "decided_at", "grant",
        ]  # fmt: skip
        read_only_fields = fields


class GrantProposalList(ListAPIView[ProposedGrant]):
    """Grants that one administrator asks for and another has to confirm; past ones included."""

    permissions = {"GET": None, "POST": "accounts.grant_role"}
    serializer_class = GrantProposalSerializer
    queryset = ProposedGrant.objects.none()

    def get_queryset(self) -> ProposedGrantQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return ProposedGrant.objects.none()
        return ProposedGrant.objects.visible_to(asker(self.request)).with_parts()

    @extend_schema(summary="List proposed grants")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Propose a grant, for oneself or somebody else",
        request=GrantInput,
        responses={201: GrantProposalSerializer},
    )
    def post(self, request: Request) -> Response:
        made = services.propose_grant(by=asker(request), **given(GrantInput, request))
        return Response(GrantProposalSerializer(made).data, 201)


def proposed(request: Request, pk: int) -> ProposedGrant:
    return get_object_or_404(ProposedGrant.objects.visible_to(asker(request)).with_parts(), pk=pk)


class GrantProposalDetail(APIView):
    permissions = {"GET": "accounts.view_people"}

    @extend_schema(summary="Look at a proposed grant", responses={200: GrantProposalSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(GrantProposalSerializer(proposed(request, pk)).data)


class GrantProposalConfirming(APIView):
    """By another administrator than whoever proposed it, and never by whoever would receive it."""

    permissions = {"POST": "accounts.grant_role"}

    @extend_schema(summary="Confirm a proposed grant", request=None, responses={201: GrantSerializer})
    def post(self, request: Request, pk: int) -> Response:
        grant = services.confirm_grant(by=asker(request), proposal=proposed(request, pk))
        return Response(GrantSerializer(grant).data, 201)


class GrantProposalDeclining(APIView):
    permissions = {"POST": "accounts.grant_role"}

    @extend_schema(
        summary="Decline a proposed grant", request=AccessReasonInput, responses={200: GrantProposalSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        found = proposed(request, pk)
        declined = services.decline_grant(by=asker(request), proposal=found, **given(AccessReasonInput, request))
        return Response(GrantProposalSerializer(declined).data)


class DueGrantSerializer(HeldGrantSerializer):
    confirmed_at = serializers.DateTimeField(read_only=True, allow_null=True)
    due_at = serializers.DateTimeField(read_only=True)
    overdue = serializers.SerializerMethodField()

    class Meta(HeldGrantSerializer.Meta):
        fields = [*HeldGrantSerializer.Meta.fields, "confirmed_at", "due_at", "overdue"]

    def get_overdue(self, grant: Grant) -> bool:
        return grant.due_state == "overdue"


class DueGrants(ListAPIView[Grant]):
    """Grants that one has to confirm or drop, or will within a month. Never one's own."""

    permissions = {"GET": "accounts.recertify_access"}
    serializer_class = DueGrantSerializer
    queryset = Grant.objects.none()

    def get_queryset(self) -> GrantQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Grant.objects.none()
        return due_for(asker(self.request))

    @extend_schema(summary="List grants that are due for recertification")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


def visible(request: Request, pk: int) -> Grant:
    return get_object_or_404(Grant.objects.visible_to(asker(request)), pk=pk)


class GrantRecertification(APIView):
    permissions = {"POST": "accounts.recertify_access"}

    @extend_schema(summary="Confirm that a grant is still right", request=None, responses={200: DueGrantSerializer})
    def post(self, request: Request, pk: int) -> Response:
        recertify(by=asker(request), grant=visible(request, pk))
        return Response(DueGrantSerializer(Grant.objects.with_due().get(pk=pk)).data)


class GrantDropping(APIView):
    """Ends a grant that is due and no longer right."""

    permissions = {"POST": "accounts.recertify_access"}

    @extend_schema(summary="Drop a grant", request=AccessReasonInput, responses={200: GrantSerializer})
    def post(self, request: Request, pk: int) -> Response:
        dropped = drop_grant(by=asker(request), grant=visible(request, pk), **given(AccessReasonInput, request))
        return Response(GrantSerializer(dropped).data)


routes = [
    path("permissions/", Permissions.as_view(), name="api-permissions"),
    path("grant-proposals/", GrantProposalList.as_view(), name="api-grant-proposals"),
    path("grant-proposals/<int:pk>/", GrantProposalDetail.as_view(), name="api-grant-proposal"),
    path(
        "grant-proposals/<int:pk>/confirming/", GrantProposalConfirming.as_view(), name="api-grant-proposal-confirming"
    ),
    path("grant-proposals/<int:pk>/declining/", GrantProposalDeclining.as_view(), name="api-grant-proposal-declining"),
    path("grants/due/", DueGrants.as_view(), name="api-grants-due"),
    path("grants/<int:pk>/recertification/", GrantRecertification.as_view(), name="api-grant-recertification"),
    path("grants/<int:pk>/dropping/", GrantDropping.as_view(), name="api-grant-dropping"),
]  # fmt: skip
