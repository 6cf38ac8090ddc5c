"""How endpoints and keys look in the API, and what may be sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from approvals.gate import GateResult
from approvals.serializers import GateSerializer, PersonSerializer
from approvals.workflow import ENVIRONMENTS
from inference.calling import address_of
from inference.models import Endpoint, InferenceKey, KeyScope
from ledger.events import database_time


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    model = serializers.SlugField(source="model.slug")
    team = serializers.IntegerField(source="team_id")
    created_by = PersonSerializer(allow_null=True)
    bound_by = PersonSerializer(allow_null=True)
    keys_take_two = serializers.BooleanField(help_text="Whether a key is asked for, and approved by somebody else")
    url = serializers.CharField(source="get_absolute_url")
    gateway_url = serializers.SerializerMethodField(help_text="Where the Open Inference Protocol is spoken for it")

    class Meta:
        model = Endpoint
        fields = [
            "id", "name", "model", "team", "environment", "use", "version", "max_rows", "max_body_bytes", "created_by",
            "created_at", "bound_by", "bound_at", "keys_take_two", "url", "gateway_url",
        ]  # fmt: skip

    def get_gateway_url(self, endpoint: Endpoint) -> str:
        return address_of(endpoint)


class EndpointDetailSerializer(EndpointSerializer):
    """An endpoint with the gate's answer of now; null where no version is bound."""

    gate = serializers.SerializerMethodField()

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "gate"]

    @extend_schema_field(GateSerializer(allow_null=True))
    def get_gate(self, endpoint: Endpoint) -> Any:
        said: GateResult | None = self.context["gate"]
        return said.as_dict() if said else None


class ScopeSerializer(serializers.ModelSerializer[KeyScope]):
    endpoint = serializers.CharField(source="endpoint.name")
    actions = serializers.ListField(child=serializers.ChoiceField(KeyScope.Action.choices))

    class Meta:
        model = KeyScope
        fields = ["endpoint", "actions"]


class KeySerializer(serializers.ModelSerializer[InferenceKey]):
    """All that is known of a key but its secret, which nobody can show again."""

    state = serializers.SerializerMethodField(help_text="active, expiring, stale, inactive, expired or revoked")
    holder = PersonSerializer()
    created_by = PersonSerializer(allow_null=True)
    revoked_by = PersonSerializer(allow_null=True)
    scopes = ScopeSerializer(many=True)
    networks = serializers.ListField(
        child=serializers.CharField(), help_text="From where it may be sent; from anywhere where there is none"
    )
    succeeds = serializers.IntegerField(source="succeeds_id", allow_null=True, help_text="The key it was issued for")
    successor = serializers.IntegerField(
        source="replaced_by.pk", allow_null=True, default=None, help_text="The key that was issued in its place"
    )

    request = serializers.IntegerField(
        source="asked_as.pk", allow_null=True, default=None, help_text="The request by which a second person agreed"
    )

    class Meta:
        model = InferenceKey
        fields = [
            "id", "key_id", "name", "state", "team", "holder", "scopes", "rate_per_minute", "quota_per_day", "networks",
            "reason", "created_by", "created_at", "expires_at", "last_used_at", "revoked_by", "revoked_at", "succeeds",
            "successor", "request",
        ]  # fmt: skip

    def get_state(self, key: InferenceKey) -> str:
        now: datetime = self.context.get("now") or database_time()
        return key.state(now)


class NewKeySerializer(KeySerializer):
    secret = serializers.SerializerMethodField(help_text="Shown this once: send it as `Authorization: Bearer …`")

    class Meta(KeySerializer.Meta):
        fields = [*KeySerializer.Meta.fields, "secret"]

    def get_secret(self, key: InferenceKey) -> str:
        secret: str = self.context["secret"]
        return secret


class LeakSerializer(serializers.ModelSerializer[InferenceKey]):
    """To strangers no more than what the key itself says, and since when it opens nothing."""

    class Meta:
        model = InferenceKey
        fields = ["key_id", "revoked_at"]


class EndpointInput(serializers.Serializer[Any]):
    model = serializers.IntegerField(help_text="A model's id")
    name = serializers.CharField(max_length=200, help_text="Small letters, digits and dashes; part of its address")
    environment = serializers.ChoiceField(choices=ENVIRONMENTS)
    use = serializers.CharField(max_length=200, help_text="As in the request for approval")


class BindingInput(serializers.Serializer[Any]):
    version = serializers.IntegerField(allow_null=True, help_text="A version's id; null lets it serve nothing")


def shown_once(key: InferenceKey, secret: str) -> Response:
    response = Response(NewKeySerializer(key, context={"secret": secret}).data, status=201)
    response.shows_secret = True  # type: ignore[attr-defined]
    return response


class KeyInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    actions = serializers.ListField(child=serializers.ChoiceField(KeyScope.Action.choices), max_length=10)
    days = serializers.IntegerField(help_text="How long it lives, a year at most unless the operator says less")
    rate_per_minute = serializers.IntegerField()
    quota_per_day = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="Requests in a day of UTC; none: only the rate limits"
    )
    networks = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, default=list, max_length=100,
        help_text="From where it may be sent, such as 192.0.2.0/24; none: from anywhere",
    )  # fmt: skip
    reason = serializers.CharField(max_length=500)
    holder = serializers.IntegerField(
        required=False, allow_null=True, default=None,
        help_text="Account id of a service account of the endpoint's team; you, without it",
    )  # fmt: skip


class KeyReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class KeyRotationInput(serializers.Serializer[Any]):
    hours = serializers.IntegerField(help_text="How long the old key works beside the new one; 0 ends it now")
    reason = serializers.CharField(max_length=500)


class LeakInput(serializers.Serializer[Any]):
    key = serializers.CharField(max_length=200, write_only=True, help_text="The whole text, from cs_live_ on")


class MismatchSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="`not_allowed`, `newer_approved` or `not_deployed`")
    endpoint = serializers.CharField(source="endpoint.name", allow_null=True, default=None)
    model = serializers.CharField(source="subject.model.slug")
    version = serializers.IntegerField(source="subject.pk")
    number = serializers.IntegerField(source="subject.number")
    environment = serializers.CharField()
    use = serializers.CharField()
    state = serializers.CharField(help_text="The gate's, of this version")
    sentence = serializers.CharField()


class ReconciliationSerializer(serializers.Serializer[Any]):
    """`endpoints` and `approvals` are how many were compared."""

    results = MismatchSerializer(source="mismatches", many=True)
    endpoints = serializers.IntegerField()
    approvals = serializers.IntegerField()
    cut = serializers.BooleanField(help_text="Whether there are more than are compared at once: ask for one team")
