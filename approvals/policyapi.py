"""Policies under `/api/v1/`: what is published, what governs what, and proposals, which two people bring into force."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker, given
from accounts.models import Team
from approvals import publishing
from approvals.dryrun import dry_run
from approvals.models import Policy, PolicyBinding, PolicyVersion, Proposal
from approvals.serializers import PersonSerializer, PolicySerializer
from audits.receipts import sealed_answer, with_seal
from ledger.refusals import Denied, Refusal
from registry.models import Model


class PolicyBindingSerializer(serializers.ModelSerializer[PolicyBinding]):
    """Empty fields mean any. Of what fits, a line that names the use governs, then one that names the team."""

    policy = serializers.SlugField(source="policy.slug")
    team = serializers.SlugField(source="team.slug", allow_null=True, default=None)

    class Meta:
        model = PolicyBinding
        fields = ["policy", "team", "use", "tier", "at"]


class ProposalSerializer(serializers.ModelSerializer[Proposal]):
    """`document` is the policy proposed; of a binding it is empty, and `policy`, `team`, `use` and `tier` speak."""

    document = serializers.JSONField(source="content")
    policy = serializers.SlugField(source="policy.slug", allow_null=True, default=None)
    team = serializers.SlugField(source="team.slug", allow_null=True, default=None)
    proposed_by = PersonSerializer()
    decided_by = PersonSerializer(allow_null=True)
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Proposal
        fields = [
            "id", "kind", "state", "document", "digest", "binds_now", "policy", "team", "use", "tier", "note",
            "proposed_by", "proposed_at", "decided_by", "decided_at", "answer", "url",
        ]  # fmt: skip


class PolicyInput(serializers.Serializer[Any]):
    document = serializers.DictField(help_text="A policy of the format countersign-policy/6")
    note = serializers.CharField(max_length=5000)
    binds_now = serializers.BooleanField(default=False)


class PolicyBindingInput(serializers.Serializer[Any]):
    policy = serializers.SlugField(allow_null=True, help_text="null ends an earlier binding")
    team = serializers.SlugField(required=False, allow_null=True, default=None)
    use = serializers.CharField(required=False, allow_blank=True, default="", max_length=60)
    tier = serializers.ChoiceField(choices=Model.Tier.choices, required=False, allow_blank=True, default="")
    note = serializers.CharField(max_length=5000)


class PublicationInput(serializers.Serializer[Any]):
    digest = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=71, help_text="Of the policy that was read"
    )
    answer = serializers.CharField(required=False, allow_blank=True, default="", max_length=5000)


class DecliningInput(serializers.Serializer[Any]):
    answer = serializers.CharField(max_length=5000)


class StoppedSerializer(serializers.Serializer[Any]):
    request = serializers.IntegerField()
    code = serializers.CharField()
    sentence = serializers.CharField()


class DryRunSerializer(serializers.Serializer[Any]):
    """The newest fifty each of what would have been stopped and let through; the counts are of all."""

    since = serializers.DateTimeField()
    looked_at = serializers.IntegerField()
    stopped_count = serializers.IntegerField()
    let_through_count = serializers.IntegerField()
    stopped = StoppedSerializer(many=True)
    let_through = serializers.ListField(child=serializers.IntegerField())


class PolicyList(ListAPIView[PolicyVersion]):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.propose_policy"}
    serializer_class = PolicySerializer

    def get_queryset(self) -> Any:
        return PolicyVersion.objects.visible_to(self.request.user)

    @extend_schema(summary="List policies")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Propose a policy or its next version",
        request=PolicyInput,
        responses={201: with_seal(ProposalSerializer)},
    )
    def post(self, request: Request) -> Response:
        """Nothing changes until somebody else publishes it."""
        try:
            made = publishing.propose_version(by=request.user, **given(PolicyInput, request))
        except Refusal as refusal:
            inside = refusal.field is not None and refusal.field not in PolicyInput().fields
            raise Refusal(
                refusal.code, refusal.sentence, f"document.{refusal.field}" if inside else refusal.field
            ) from refusal
        return sealed_answer(ProposalSerializer(made).data, status=201, headers={"Location": address(made)})


class PolicyDryRun(APIView):
    """What a policy would have done with the requests of the last 365 days. Writes nothing."""

    permissions = {"POST": "approvals.propose_policy"}

    @extend_schema(summary="Try a policy on the past", request=OpenApiTypes.OBJECT, responses={200: DryRunSerializer})
    def post(self, request: Request) -> Response:
        user = asker(request)
        if not user.has_perm("approvals.propose_policy"):
            raise Denied("approvals.propose_policy")
        if not isinstance(request.data, dict):
            raise Refusal("policy_invalid", "A policy is one JSON object.")
        found = dry_run(publishing.checked(request.data), user)
        stopped = [
            {"request": each.pk, "code": reason.code, "sentence": reason.sentence} for each, reason in found.stopped
        ]
        told = vars(found) | {"stopped": stopped, "let_through": [each.pk for each in found.let_through]}
        return Response(DryRunSerializer(told).data)


class BindingList(APIView):
    permissions = {"GET": "approvals.view_request", "POST": "approvals.propose_policy"}

    @extend_schema(summary="List what governs what", responses={200: PolicyBindingSerializer(many=True)})
    def get(self, request: Request) -> Response:
        rows = PolicyBinding.objects.in_force().visible_to(request.user).select_related("policy", "team")
        ordered = sorted(rows, key=attrgetter("weight"), reverse=True)
        return Response(PolicyBindingSerializer(ordered, many=True).data)

    @extend_schema(
        summary="Propose what governs what", request=PolicyBindingInput, responses={201: with_seal(ProposalSerializer)}
    )
    def post(self, request: Request) -> Response:
        data = given(PolicyBindingInput, request)
        policy = named(Policy, data.pop("policy"), "policy")
        team = named(Team, data.pop("team"), "team")
        made = publishing.propose_binding(by=request.user, policy=policy, team=team, **data)
        return sealed_answer(ProposalSerializer(made).data, status=201, headers={"Location": address(made)})


def named(kind: Any, slug: str | None, field: str) -> Any:
    if slug is None:
        return None
    found = kind.objects.filter(slug=slug).first()
    if found is None:
        raise Refusal(f"unknown_{field}", f"There is no {field} with the slug {slug}. Check how it is written.", field)
    return found


def address(proposal: Proposal) -> str:
    return f"/api/v1/proposals/{proposal.pk}/"


class ProposalList(ListAPIView[Proposal]):
    permissions = {"GET": "approvals.view_request"}
    serializer_class = ProposalSerializer
    filterset_fields = ["state", "kind"]

    def get_queryset(self) -> Any:
        return Proposal.objects.visible_to(self.request.user).select_related(*RELATED)

    @extend_schema(summary="List proposals of policies")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


RELATED = ("policy", "team", "proposed_by", "decided_by")


def visible(request: Request, pk: int) -> Proposal:
    rows = Proposal.objects.visible_to(request.user).select_related(*RELATED)
    found: Proposal = get_object_or_404(rows, pk=pk)
    return found


class ProposalDetail(APIView):
    permissions = {"GET": "approvals.view_request"}

    @extend_schema(summary="Look at a proposal", responses={200: ProposalSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(ProposalSerializer(visible(request, pk)).data)


class Publication(APIView):
    permissions = {"POST": "approvals.publish_policy"}

    @extend_schema(summary="Publish", request=PublicationInput, responses={201: with_seal(ProposalSerializer)})
    def post(self, request: Request, pk: int) -> Response:
        """Of a policy the body names the `digest` that was read. Whoever proposed it cannot publish it."""
        data = given(PublicationInput, request)
        made = publishing.publish(by=request.user, proposal=visible(request, pk), **data)
        return sealed_answer(ProposalSerializer(made).data, status=201)


class Declining(APIView):
    permissions = {"POST": "approvals.publish_policy"}

    @extend_schema(summary="Decline", request=DecliningInput, responses={201: with_seal(ProposalSerializer)})
    def post(self, request: Request, pk: int) -> Response:
        made = publishing.decline(by=request.user, proposal=visible(request, pk), **given(DecliningInput, request))
        return sealed_answer(ProposalSerializer(made).data, status=201)


class ProposalWithdrawal(APIView):
    permissions = {"POST": "approvals.propose_policy"}

    @extend_schema(summary="Take a proposal back", request=None, responses={201: with_seal(ProposalSerializer)})
    def post(self, request: Request, pk: int) -> Response:
        made = publishing.withdraw_proposal(by=request.user, proposal=visible(request, pk))
        return sealed_answer(ProposalSerializer(made).data, status=201)


routes = [
    path("policies/", PolicyList.as_view(), name="api-policies"),
    path("policies/dry-run/", PolicyDryRun.as_view(), name="api-policy-dry-run"),
    path("policies/bindings/", BindingList.as_view(), name="api-policy-bindings"),
    path("proposals/", ProposalList.as_view(), name="api-proposals"),
    path("proposals/<int:pk>/", ProposalDetail.as_view(), name="api-proposal"),
    path("proposals/<int:pk>/publication/", Publication.as_view(), name="api-proposal-publication"),
    path("proposals/<int:pk>/declining/", Declining.as_view(), name="api-proposal-declining"),
    path("proposals/<int:pk>/withdrawal/", ProposalWithdrawal.as_view(), name="api-proposal-withdrawal"),
]
