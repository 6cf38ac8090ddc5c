"""Rollouts and rollback under `/api/v1/`."""

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

from accounts.asking import given
from inference.models import Endpoint
from inference.rollouts import services
from inference.rollouts.models import Binding, Comparison, Rollout
from inference.rollouts.showing import agreement, sides
from inference.seeing import visible
from inference.traffic.api import LatencySerializer
from registry.api.answers import PersonRef
from registry.models import Version

VIEW, BIND = "inference.view_endpoint", "inference.bind_endpoint"


class BindingSerializer(serializers.ModelSerializer[Binding]):
    by = PersonRef(allow_null=True)

    class Meta:
        model = Binding
        fields = ["id", "version", "how", "by", "at"]


class RolloutSerializer(serializers.ModelSerializer[Rollout]):
    started_by = PersonRef(allow_null=True)
    ended_by = PersonRef(allow_null=True)

    class Meta:
        model = Rollout
        fields = [
            "id", "endpoint", "champion", "version", "kind", "share", "started_at", "started_by", "ended_at",
            "ended_by", "outcome",
        ]  # fmt: skip


class RolloutSideSerializer(serializers.Serializer[Any]):
    part = serializers.ChoiceField(["champion", "challenger"])
    version = serializers.IntegerField(source="version.pk")
    allowed = serializers.BooleanField(source="said.allowed", help_text="What the gate says now")
    answered = serializers.IntegerField(source="sum.answered")
    refused = serializers.IntegerField(source="sum.refused")
    rows = serializers.IntegerField(source="sum.rows")
    positives = serializers.IntegerField(source="sum.positives", help_text="Rows that were decided with yes")
    latency = LatencySerializer(source="sum")


class ComparisonSerializer(serializers.ModelSerializer[Comparison]):
    class Meta:
        model = Comparison
        fields = ["requests", "both", "neither", "champion_only", "challenger_only", "failed", "skipped"]


class AgreementSerializer(serializers.Serializer[Any]):
    """Of a shadow: rows by decision, the share of rows that were decided otherwise, and its 95 % interval (Wilson)."""

    counts = ComparisonSerializer()
    share = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class RolloutDetailSerializer(RolloutSerializer):
    sides = serializers.SerializerMethodField()
    agreement = serializers.SerializerMethodField()

    class Meta(RolloutSerializer.Meta):
        fields = [*RolloutSerializer.Meta.fields, "sides", "agreement"]

    def get_sides(self, rollout: Rollout) -> list[dict[str, Any]]:
        return [dict(RolloutSideSerializer(each).data) for each in sides(rollout)]

    def get_agreement(self, rollout: Rollout) -> dict[str, Any] | None:
        shadow = rollout.kind == Rollout.Kind.SHADOW
        return dict(AgreementSerializer(agreement(rollout)).data) if shadow else None


class RolloutInput(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="A version's id")
    kind = serializers.ChoiceField(Rollout.Kind.choices)
    share = serializers.IntegerField(required=False, default=0, help_text="Of a canary, in per cent: 1 to 99")


class RolloutShare(serializers.Serializer[Any]):
    share = serializers.IntegerField()


class RolloutReason(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


def shown(rollout: Rollout) -> dict[str, Any]:
    row = Rollout.objects.with_parts().select_related("comparison").get(pk=rollout.pk)
    return dict(RolloutDetailSerializer(row).data)


class Bindings(ListAPIView[Binding]):
    """What an endpoint was bound to, the latest first."""

    permissions = {"GET": VIEW}
    queryset = Binding.objects.none()
    serializer_class = BindingSerializer
    filter_backends: list[Any] = []

    def get_queryset(self) -> Any:
        return Binding.objects.filter(endpoint=visible(self.request, self.kwargs["pk"])).select_related("by")

    @extend_schema(summary="List what an endpoint served")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class EndpointRollouts(ListAPIView[Rollout]):
    permissions = {"GET": VIEW, "POST": BIND, "PATCH": BIND}
    queryset = Rollout.objects.none()
    serializer_class = RolloutSerializer
    filter_backends: list[Any] = []

    def get_queryset(self) -> Any:
        return Rollout.objects.filter(endpoint=visible(self.request, self.kwargs["pk"])).with_parts()

    @extend_schema(summary="List what was tried at an endpoint")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Try a version", request=RolloutInput, responses={201: RolloutDetailSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """As a canary or a shadow beside the version that is served."""
        endpoint, asked = visible(request, pk), given(RolloutInput, request)
        version = Version.objects.visible_to(request.user).filter(pk=asked.pop("version")).first()
        if version is None:
            sentence = "There is no such version that you can see. Check its number."
            raise serializers.ValidationError({"version": [sentence]}, code="does_not_exist")
        made = services.start_rollout(by=request.user, endpoint=endpoint, version=version, **asked)
        return Response(shown(made), status=201, headers={"Location": f"/api/v1/rollouts/{made.pk}/"})

    @extend_schema(summary="Change a canary's share", request=RolloutShare, responses={200: RolloutDetailSerializer})
    def patch(self, request: Request, pk: int) -> Response:
        asked = given(RolloutShare, request)
        return Response(shown(services.change_share(by=request.user, endpoint=visible(request, pk), **asked)))


class RolloutDetail(APIView):
    permissions = {"GET": VIEW}

    @extend_schema(summary="Look at a rollout", responses={200: RolloutDetailSerializer})
    def get(self, request: Request, pk: int) -> Response:
        """The two versions side by side, and how often a shadow agreed."""
        return Response(shown(get_object_or_404(Rollout.objects.visible_to(request.user), pk=pk)))


class Promotion(APIView):
    permissions = {"POST": BIND}

    @extend_schema(summary="Promote the version that is tried", request=None, responses={200: BindingSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The gate is asked again; it answers every request from then on."""
        return Response(newest(services.promote(by=request.user, endpoint=visible(request, pk))))


class Withdrawal(APIView):
    permissions = {"POST": BIND}

    @extend_schema(summary="Withdraw what is tried", request=RolloutReason, responses={200: RolloutDetailSerializer})
    def post(self, request: Request, pk: int) -> Response:
        asked = given(RolloutReason, request)
        return Response(shown(services.withdraw_rollout(by=request.user, endpoint=visible(request, pk), **asked)))


class Rollback(APIView):
    permissions = {"POST": "inference.roll_back_endpoint"}

    @extend_schema(summary="Roll an endpoint back", request=RolloutReason, responses={200: BindingSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """To the version that was served last before this one and that the gate allows now."""
        asked = given(RolloutReason, request)
        return Response(newest(services.roll_back(by=request.user, endpoint=visible(request, pk), **asked)))


def newest(endpoint: Endpoint) -> dict[str, Any]:
    return dict(BindingSerializer(endpoint.bindings.select_related("by").latest("pk")).data)


routes = [
    path("endpoints/<int:pk>/bindings/", Bindings.as_view(), name="api-endpoint-bindings"),
    path("endpoints/<int:pk>/rollouts/", EndpointRollouts.as_view(), name="api-endpoint-rollouts"),
    path("endpoints/<int:pk>/rollouts/promotion/", Promotion.as_view(), name="api-rollout-promotion"),
    path("endpoints/<int:pk>/rollouts/withdrawal/", Withdrawal.as_view(), name="api-rollout-withdrawal"),
    path("endpoints/<int:pk>/rollback/", Rollback.as_view(), name="api-endpoint-rollback"),
    path("rollouts/<int:pk>/", RolloutDetail.as_view(), name="api-rollout"),
]
