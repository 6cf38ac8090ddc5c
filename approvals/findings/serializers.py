"""How findings and accepted risks look in the API, and what may be sent."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from approvals.findings.listing import age, late
from approvals.findings.models import Finding, FindingStep, RiskAcceptance, Severity
from approvals.serializers import PersonSerializer
from ledger.events import database_time


class StepSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    kind = serializers.CharField(help_text="`raised`, `answered`, `reassessed`, `closed` or `reopened`")
    state = serializers.CharField(help_text="`open`, `answered` or `closed`, from this step on")
    severity = serializers.CharField(allow_blank=True)
    owner = PersonSerializer()
    due = serializers.DateField()
    text = serializers.CharField(allow_blank=True)
    by = PersonSerializer()
    at = serializers.DateTimeField()


class FindingSerializer(serializers.Serializer[Any]):
    """A finding as its newest step has it. `severity` is empty for a condition."""

    id = serializers.IntegerField(source="finding.pk")
    kind = serializers.CharField(source="finding.kind", help_text="`finding` or `condition`")
    version = serializers.IntegerField(source="finding.version_id")
    request = serializers.IntegerField(source="finding.request_id", allow_null=True)
    title = serializers.CharField(source="finding.title")
    text = serializers.CharField(source="finding.text")
    reference = serializers.CharField(source="finding.reference", allow_blank=True)
    state = serializers.CharField(help_text="`open`, `answered` or `closed`")
    severity = serializers.CharField(allow_blank=True)
    owner = PersonSerializer()
    due = serializers.DateField()
    overdue = serializers.SerializerMethodField()
    age = serializers.SerializerMethodField()
    raised_by = PersonSerializer(source="finding.raised_by")
    raised_at = serializers.DateTimeField(source="finding.raised_at")
    url = serializers.CharField(source="finding.get_absolute_url")

    @cached_property
    def now(self) -> datetime:
        return database_time()

    def get_overdue(self, step: FindingStep) -> bool:
        return late(step, self.now)

    def get_age(self, step: FindingStep) -> str:
        return age(step, self.now)


class FindingDetailSerializer(FindingSerializer):
    steps = serializers.SerializerMethodField()

    @extend_schema_field(StepSerializer(many=True))
    def get_steps(self, step: FindingStep) -> Any:
        rows = FindingStep.objects.filter(finding=step.finding_id).select_related("owner", "by").order_by("number")
        return StepSerializer(rows, many=True).data


class RiskAcceptanceSerializer(serializers.ModelSerializer[RiskAcceptance]):
    """An accepted risk; `withdrawn_at` is when it was ended before its day."""

    target = serializers.CharField(help_text="`finding:<id>` or `evidence:<rule>`")
    signer = PersonSerializer()
    document = serializers.SerializerMethodField(help_text="The canonical text whose SHA-256 is the digest")
    withdrawn_at = serializers.SerializerMethodField()
    severity = serializers.CharField(allow_blank=True)
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = RiskAcceptance
        fields = [
            "id", "version", "environment", "use", "request", "target", "severity", "reason", "until", "renewal",
            "renews", "signer", "meaning", "digest", "document", "authentication", "at", "withdrawn_at", "url",
        ]  # fmt: skip

    def get_document(self, row: RiskAcceptance) -> str:
        return bytes(row.document).decode()

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_withdrawn_at(self, row: RiskAcceptance) -> Any:
        return row.withdrawal.at if hasattr(row, "withdrawal") else None


class AcceptanceTextSerializer(serializers.Serializer[Any]):
    document = serializers.CharField(help_text="Canonical JSON, as it would be signed now")
    digest = serializers.CharField(help_text="What the proof of identity has to be bound to")


class FindingInput(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    request = serializers.IntegerField(required=False, allow_null=True, default=None)
    severity = serializers.ChoiceField(choices=Severity.choices)
    title = serializers.CharField(max_length=200)
    text = serializers.CharField(max_length=10_000)
    reference = serializers.CharField(required=False, allow_blank=True, default="", max_length=200)
    due = serializers.DateField()
    owner = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="Without one, the model's owner answers for it"
    )


class FindingAnswerInput(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=10_000)


class ReassessmentInput(serializers.Serializer[Any]):
    severity = serializers.ChoiceField(choices=Severity.choices, required=False, allow_null=True, default=None)
    due = serializers.DateField(required=False, allow_null=True, default=None)
    owner = serializers.UUIDField(required=False, allow_null=True, default=None)
    reason = serializers.CharField(max_length=5000)


class ReopeningInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=5000)
    due = serializers.DateField(required=False, allow_null=True, default=None)


class AcceptanceTerms(serializers.Serializer[Any]):
    target = serializers.CharField(max_length=80)
    reason = serializers.CharField(max_length=5000)
    until = serializers.DateField()


class AcceptanceInput(AcceptanceTerms):
    digest = serializers.CharField(max_length=71)
    nonce = serializers.CharField(max_length=100)


class FindingQuery(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["standing", "overdue", "open", "answered", "closed"], required=False)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    kind = serializers.ChoiceField(choices=Finding.Kind.choices, required=False)
    team = serializers.IntegerField(required=False)
    version = serializers.IntegerField(required=False)
    mine = serializers.BooleanField(required=False)
