"""How requests, decisions and the gate's answers look in the API, and what may be sent."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from approvals import workflow
from approvals.models import Comment, Decision, PolicyVersion, ReviewRequest, Revision, Revocation
from approvals.proving import PURPOSES
from approvals.workflow import attestation


class PersonSerializer(serializers.ModelSerializer[User]):
    id = serializers.UUIDField(source="opaque_id")

    class Meta:
        model = User
        fields = ["id", "name", "kind"]


class MaterialChangeSerializer(serializers.Serializer[Any]):
    """How much was new against the approval before, where a rule of the policy asks: as it stands in the manifest."""

    kind = serializers.CharField(help_text="none, documentation, evidence, configuration, model or use")
    sections = serializers.ListField(child=serializers.CharField(), help_text="Of the manifest, that differ")
    compared_with = serializers.DictField(allow_null=True, help_text="`request`, `version`, `digest` of its manifest")
    rests_on = serializers.ListField(child=serializers.CharField(), help_text="Ids of requests")
    until = serializers.CharField(allow_null=True, help_text="The approval holds no longer than this")


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    submitted_by = PersonSerializer()
    evidence = serializers.ListField(source="evidence_ids", child=serializers.IntegerField())
    material_change = MaterialChangeSerializer(allow_null=True)

    class Meta:
        model = Revision
        fields = ["number", "digest", "evidence", "material_change", "note", "submitted_by", "submitted_at"]


class RequestSerializer(serializers.ModelSerializer[ReviewRequest]):
    """A request; `state` is where the work stands. Whether it may serve is the gate's answer, not this."""

    model = serializers.SlugField(source="version.model.slug")
    submitted_by = PersonSerializer()
    policy = serializers.CharField(source="policy_version.digest")
    revision = serializers.SerializerMethodField()
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = ReviewRequest
        fields = [
            "id", "version", "model", "environment", "use", "state", "policy", "submitted_by", "submitted_at",
            "closed_at", "revision", "url",
        ]  # fmt: skip

    @extend_schema_field(RevisionSerializer)
    def get_revision(self, request: ReviewRequest) -> Any:
        return RevisionSerializer(max(request.revisions.all(), key=lambda each: each.number)).data


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    signer = PersonSerializer()
    on_behalf_of = PersonSerializer(allow_null=True)
    revision = serializers.IntegerField(source="revision.number")
    evidence_opened = serializers.ListField(child=serializers.IntegerField())
    judged_by = serializers.JSONField()
    conditions = serializers.JSONField(help_text="Of each condition the digest of its words, its owner and its due day")

    class Meta:
        model = Decision
        fields = [
            "id", "revision", "requirement", "signer", "on_behalf_of", "outcome", "meaning", "comment", "digest",
            "judged_by",
            "authentication", "acknowledged", "evidence_opened", "conditions", "at",
        ]  # fmt: skip


class CommentSerializer(serializers.ModelSerializer[Comment]):
    author = PersonSerializer()
    mentioned = PersonSerializer(many=True)

    class Meta:
        model = Comment
        fields = ["id", "author", "text", "mentioned", "about", "at"]


class RevocationSerializer(serializers.ModelSerializer[Revocation]):
    revoked_by = PersonSerializer()

    class Meta:
        model = Revocation
        fields = ["request", "revoked_by", "reason", "at"]


class PolicySerializer(serializers.ModelSerializer[PolicyVersion]):
    slug = serializers.SlugField(source="policy.slug")
    title = serializers.CharField(source="policy.title")
    document = serializers.SerializerMethodField()

    class Meta:
        model = PolicyVersion
        fields = ["id", "slug", "title", "number", "digest", "published_at", "document"]

    def get_document(self, policy: PolicyVersion) -> dict[str, Any]:
        return policy.content


class ReasonSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    sentence = serializers.CharField()


class FulfilmentSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    title = serializers.CharField()
    role = serializers.CharField()
    state = serializers.ChoiceField(choices=["met", "waiting", "blocked"])
    needed = serializers.IntegerField()
    signers = serializers.ListField(child=serializers.UUIDField())
    sentence = serializers.CharField()
    who = serializers.CharField(allow_blank=True)


class GateSerializer(serializers.Serializer[Any]):
    """`reasons` is empty exactly where `allowed` is true; `obligations` hold even then."""

    allowed = serializers.BooleanField()
    state = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    environment = serializers.CharField()
    use = serializers.CharField()
    reasons = ReasonSerializer(many=True)
    obligations = ReasonSerializer(many=True)
    requirements = FulfilmentSerializer(many=True)
    request = serializers.IntegerField(allow_null=True)
    revision_digest = serializers.CharField(allow_null=True)
    policy_digest = serializers.CharField(allow_null=True)
    evaluated_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField(allow_null=True)
    max_lease_seconds = serializers.IntegerField(
        allow_null=True, help_text="By the policy, one may serve for so long at most without having asked again"
    )


class EnvelopeSignatureSerializer(serializers.Serializer[Any]):
    keyid = serializers.CharField(help_text="The `kid` of the key at `/.well-known/jwks.json`")
    sig = serializers.CharField(help_text="Ed25519 over the envelope's pre-authentication encoding, in base64")


class EnvelopeSerializer(serializers.Serializer[Any]):
    """A DSSE envelope. Its payload is an in-toto Statement v1 with a SLSA verification summary v1."""

    payloadType = serializers.ChoiceField(choices=[attestation.PAYLOAD_TYPE])
    payload = serializers.CharField(help_text="The Statement, canonical JSON in base64")
    signatures = EnvelopeSignatureSerializer(many=True)


class RequestDetailSerializer(RequestSerializer):
    """A request with the gate's answer for its subject, and who decided what."""

    gate = serializers.SerializerMethodField()
    decisions = DecisionSerializer(many=True)
    revocation = serializers.SerializerMethodField()

    class Meta(RequestSerializer.Meta):
        fields = [*RequestSerializer.Meta.fields, "gate", "decisions", "revocation"]

    @extend_schema_field(GateSerializer)
    def get_gate(self, request: ReviewRequest) -> Any:
        return self.context["gate"].as_dict()

    @extend_schema_field(RevocationSerializer(allow_null=True))
    def get_revocation(self, request: ReviewRequest) -> Any:
        row = Revocation.objects.filter(request=request).select_related("revoked_by").first()
        return RevocationSerializer(row).data if row else None


class SubmissionInput(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    environment = serializers.ChoiceField(choices=workflow.ENVIRONMENTS)
    use = serializers.CharField(max_length=60)
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=5000)
    evidence = serializers.ListField(child=serializers.IntegerField(), required=False, allow_null=True, default=None)


class RevisionInput(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=5000)
    evidence = serializers.ListField(child=serializers.IntegerField(), required=False, allow_null=True, default=None)


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=5000)


class CommentInput(serializers.Serializer[Any]):
    text = serializers.CharField(
        max_length=10_000, help_text="`@` and the full name of somebody who may see the request mentions them"
    )
    mentions = serializers.ListField(
        child=serializers.UUIDField(), required=False, default=list, max_length=20, help_text="Ids of people to mention"
    )
    about = serializers.CharField(
        max_length=80, required=False, allow_blank=True, default="",
        help_text="A part of the request: `evidence-7`, `requirement-approval`, `finding-5`, `line-decision-rule`",
    )  # fmt: skip


class ReauthenticationInput(serializers.Serializer[Any]):
    request = serializers.IntegerField()
    digest = serializers.CharField(max_length=71)
    purpose = serializers.ChoiceField(
        choices=PURPOSES,
        default="decision",
        help_text="What the digest is of: a manifest, or the text of an acceptance",
    )
    password = serializers.CharField(
        max_length=200, trim_whitespace=False, write_only=True, default="", allow_blank=True,
        help_text="Left out where a passkey is given",
    )  # fmt: skip
    code = serializers.CharField(
        max_length=30,
        write_only=True,
        default="",
        allow_blank=True,
        help_text="Beside the password: what the app shows",
    )
    ticket = serializers.CharField(
        max_length=2000, write_only=True, default="", help_text="Of the challenge that the passkey answered"
    )
    passkey = serializers.JSONField(
        write_only=True, default=None, help_text="The passkey's answer, as `PublicKeyCredential.toJSON()` gives it"
    )


class ChallengeSerializer(serializers.Serializer[Any]):
    digest = serializers.CharField(help_text="What is signed; the challenge is made from it")
    ticket = serializers.CharField(help_text="To be sent back with the passkey's answer")
    options = serializers.JSONField(help_text="For `navigator.credentials.get({publicKey: …})`")
    expires_in = serializers.IntegerField(help_text="Seconds")


class NonceSerializer(serializers.Serializer[Any]):
    nonce = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds")


class ConditionInput(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=10_000)
    owner = serializers.UUIDField(help_text="Somebody of the model's team who may answer findings")
    due = serializers.DateField()


class DecisionInput(serializers.Serializer[Any]):
    requirement = serializers.CharField(max_length=60, help_text="Of an emergency approval: `emergency`")
    on_behalf_of = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="Id of the person in whose place this is signed"
    )
    outcome = serializers.ChoiceField(choices=Decision.Outcome.choices)
    comment = serializers.CharField(max_length=5000)
    digest = serializers.CharField(max_length=71)
    nonce = serializers.CharField(max_length=100)
    acknowledged = serializers.ListField(child=serializers.CharField(max_length=60), required=False, default=list)
    conditions = ConditionInput(many=True, required=False, default=list)
