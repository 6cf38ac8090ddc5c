"""The gate as others ask it: `GET /api/v1/gate` as JSON or as a signed envelope, and the keys that sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import path, reverse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from approvals import dossier, gate, workflow
from approvals import serializers as shapes
from approvals.bound import bindings, policy_for
from approvals.models import PolicyVersion, ReviewRequest
from approvals.workflow import attestation
from approvals.workflow.attestation import Resource
from ledger.canonical import digest_of
from ledger.keys import portal_key, portal_vkeys
from ledger.notes import ED25519
from ledger.refusals import Denied
from registry.models import Version
from registry.storage import DIGEST

QUESTION = ("version", "digest", "model", "environment", "use")


class EnvelopeRenderer(JSONRenderer):
    """Lets a client ask for the signed answer by its media type."""

    format = "dsse"
    media_type = attestation.MEDIA_TYPE


class GateQuery(serializers.Serializer[Any]):
    version = serializers.IntegerField(required=False, max_value=2**63 - 1)
    digest = serializers.CharField(required=False, max_length=71)
    model = serializers.CharField(required=False, max_length=60)
    environment = serializers.ChoiceField(choices=workflow.ENVIRONMENTS)
    use = serializers.CharField(max_length=60)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("version" in attrs) == ("digest" in attrs):
            raise serializers.ValidationError({"version": "Say which version: by `version` or by `digest`, not both."})
        return attrs


class Gate(APIView):
    """May this version serve in this environment for this use? Always 200: the answer is in `allowed`.

    Asked with `Accept: application/vnd.dsse.envelope.v1+json`, the same answer comes signed: a DSSE envelope around an
    in-toto Statement with a SLSA verification summary, which stops counting after a quarter of an hour.
    """

    permissions = {"GET": "approvals.check_gate"}
    renderer_classes = [JSONRenderer, EnvelopeRenderer]

    @extend_schema(
        summary="Ask the gate",
        parameters=[
            OpenApiParameter("version", int, description="A version's id"),
            OpenApiParameter("digest", str, description="Or the digest of an artifact, `sha256:…`"),
            OpenApiParameter("model", str, description="A model's slug, where several versions have these bytes"),
            OpenApiParameter("environment", str, required=True, enum=workflow.ENVIRONMENTS),
            OpenApiParameter("use", str, required=True),
        ],
        responses={
            (200, JSONRenderer.media_type): shapes.GateSerializer,
            (200, attestation.MEDIA_TYPE): shapes.EnvelopeSerializer,
        },
    )
    def get(self, request: Request) -> Response:
        query = GateQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        data, user = query.validated_data, asker(request)
        if not user.may_somewhere("approvals.check_gate"):
            raise Denied("approvals.check_gate")
        # What an envelope cites has to be what the answer rests on, so both are read at one moment.
        with gate.snapshot():
            answer = ask(data, user)
            if request.accepted_renderer.media_type == attestation.MEDIA_TYPE:
                return Response(signed(answer, data))
        return Response(answer.as_dict())


def ask(asked: Mapping[str, Any], user: Any) -> gate.GateResult:
    """Raises Http404 for a version that this account may not ask about."""
    environment, use = asked["environment"], asked["use"]
    if "version" not in asked:
        return gate.evaluate_digest(asked["digest"], environment, use, model=asked.get("model"), visible_to=user)
    if not gate.may_ask(user, asked["version"]):
        raise Http404
    key = asked["version"], environment, use
    return gate.evaluate_many([key])[key]


def signed(answer: gate.GateResult, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope of an answer. Raises ValidationError where what was asked about is no digest of bytes."""
    version = Version.objects.select_related("artifact", "model").filter(pk=answer.version_id).first()
    if version is None and not DIGEST.match(asked["digest"]):
        raise serializers.ValidationError({"digest": "Write it as `sha256:` and 64 hexadecimal digits in lower case."})
    policy, inputs = policy_asked(version, asked["use"]), list[Resource]()
    if answer.request_id is not None:
        found = dossier.open_dossier(ReviewRequest.objects.get(pk=answer.request_id))
        policy, inputs = found.request.policy_version, inputs_of(found)
    body = attestation.statement(
        answer.as_dict(),
        # An image is asked about by its own digest, which the manifest pins.
        subject=asked["digest"] if version is None or "digest" in asked else version.artifact.digest,
        name=version.filename if version else asked["digest"],
        verifier=settings.PUBLIC_URL,
        version=settings.VERSION,
        question=f"{address('api-gate')}?{urlencode({one: asked[one] for one in QUESTION if one in asked}, safe=':')}",
        policy=Resource(f"{settings.PUBLIC_URL}{policy.get_absolute_url()}", policy.digest),
        inputs=inputs,
        at=answer.evaluated_at,
        until=answer.valid_until,
    )
    key = portal_key()
    return attestation.envelope(body, key.verifier.public, key.private.sign(attestation.pae(body)))


def policy_asked(version: Version | None, use: str) -> PolicyVersion:
    """The policy that a request for this would be pinned to; for bytes that nobody registered, the one for all."""
    if version is None:
        return max(bindings(), key=lambda each: not any(each.weight)).policy
    return policy_for(version, use)


def inputs_of(found: dossier.Dossier) -> list[Resource]:
    """What the gate read about a request: the manifest that was signed, its evidence, and each decision's record."""
    manifest = f"{address('api-request-manifest', found.request.pk)}?revision={found.revision.number}"
    decisions = address("api-request-decisions", found.request.pk)
    return [
        Resource(manifest, found.revision.digest),
        *(Resource(address("api-evidence-content", each.pk), each.artifact.digest) for each in found.evidence),
        *(Resource(decisions, digest_of(each.as_record())) for each in found.decisions),
    ]


def address(name: str, *arguments: int) -> str:
    return f"{settings.PUBLIC_URL}{reverse(name, args=arguments)}"


@require_safe
def jwks(request: HttpRequest) -> JsonResponse:
    """The public keys of signed answers (RFC 7517): the one that signs first, then what else PORTAL_VKEY names."""
    keys = [portal_key().verifier, *portal_vkeys()]
    found = {key.public: attestation.jwk(key.public) for key in keys if key.kind == ED25519}
    return JsonResponse(
        {"keys": list(found.values())},
        content_type="application/jwk-set+json",
        headers={"Cache-Control": "public, max-age=300"},
    )


routes = [path("gate", Gate.as_view(), name="api-gate")]
