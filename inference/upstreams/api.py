"""Where an endpoint's predictions are made, under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from approvals.serializers import PersonSerializer
from inference.models import Upstream
from inference.seeing import visible
from inference.upstreams import rules, services


class UpstreamSerializer(serializers.ModelSerializer[Upstream]):
    """Never the secret. Without an upstream elsewhere the kind is `onnx`, and nothing else is said."""

    asked_at = serializers.CharField(help_text="Where predictions are posted to")
    secret_set = serializers.BooleanField(help_text="Whether a header with a secret is sent")
    set_by = PersonSerializer(allow_null=True)
    set_at = serializers.DateTimeField(allow_null=True)

    class Meta:
        model = Upstream
        fields = [*Upstream.TERMS, "asked_at", "secret_set", "set_by", "set_at"]


class UpstreamInput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(list(rules.KINDS.items()))
    url = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="",
        help_text="For http-json the whole address; for the others up to what their protocol adds",
    )  # fmt: skip
    model_name = serializers.CharField(
        max_length=120, required=False, allow_blank=True, default="", help_text="The model's name there"
    )
    model_version = serializers.CharField(
        max_length=120, required=False, allow_blank=True, default="", help_text="Its version there, if one is asked for"
    )
    rows_at = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="http-json: where rows go, `data.rows`"
    )
    row_form = serializers.ChoiceField(list(rules.ROW_FORMS.items()), required=False, default=rules.VALUES)
    predictions_at = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="", help_text="http-json: where predictions are"
    )
    version_at = serializers.CharField(
        max_length=500, required=False, allow_blank=True, default="",
        help_text="Where its answers say which model version they are of; compared with the approved one",
    )  # fmt: skip
    seconds = serializers.IntegerField(required=False, default=10, help_text="How long to wait for an answer")
    header_name = serializers.CharField(
        max_length=60, required=False, allow_blank=True, default="", help_text="Header that carries the secret"
    )
    secret = serializers.CharField(
        max_length=4000, required=False, allow_blank=True, default="", write_only=True,
        help_text="The header's value; without it the one before stays",
    )  # fmt: skip


class EndpointUpstream(APIView):
    """Which server makes an endpoint's predictions. Setting it is not permission: the gate is asked as before."""

    permissions = {"GET": "inference.view_endpoint", "PUT": "inference.bind_endpoint"}

    @extend_schema(summary="Look at an endpoint's upstream", responses={200: UpstreamSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return told(visible(request, pk).elsewhere)

    @extend_schema(summary="Set an endpoint's upstream", request=UpstreamInput, responses={200: UpstreamSerializer})
    def put(self, request: Request, pk: int) -> Response:
        found = visible(request, pk)
        given = UpstreamInput(data=request.data)
        given.is_valid(raise_exception=True)
        return told(services.set_upstream(by=asker(request), endpoint=found, **given.validated_data))


def told(upstream: Upstream | None) -> Response:
    here = Upstream(kind=rules.ONNX, set_at=None)  # type: ignore[misc]  # nobody set it, and it is not kept
    return Response(UpstreamSerializer(upstream or here).data)


routes = [path("endpoints/<int:pk>/upstream/", EndpointUpstream.as_view(), name="api-endpoint-upstream")]
