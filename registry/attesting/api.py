"""Attestations of owners under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from ledger.canonical import digest_of
from registry.api.answers import ModelOut, ModelRef, PersonRef
from registry.api.models import visible
from registry.attesting import services
from registry.attesting.models import OwnerAttestation
from registry.attesting.views import year_of
from registry.models import Model

YEAR = OpenApiParameter("year", int, description="This year where it is left out")


class OwnerAttestationSerializer(serializers.ModelSerializer[OwnerAttestation]):
    """`record` is the digest of the model's record that was attested."""

    model = ModelRef()
    attested_by = PersonRef()

    class Meta:
        model = OwnerAttestation
        fields = ["id", "model", "year", "statement", "record", "note", "attested_by", "at"]


class AttestationDueSerializer(serializers.Serializer[Any]):
    year = serializers.IntegerField()
    statement = serializers.CharField()
    digest = serializers.CharField(help_text="Of `record`, RFC 8785; send it back to attest")
    record = serializers.DictField()
    attestation = OwnerAttestationSerializer(allow_null=True)


class AttestationInput(serializers.Serializer[Any]):
    digest = serializers.CharField(max_length=71)
    note = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")


class Attestations(ListAPIView[OwnerAttestation]):
    permissions = {"GET": "registry.view_model"}
    queryset = OwnerAttestation.objects.none()
    serializer_class = OwnerAttestationSerializer
    filterset_fields = ["year", "model"]

    def get_queryset(self) -> Any:
        return OwnerAttestation.objects.visible_to(self.request.user).select_related("model", "attested_by")

    @extend_schema(summary="List attestations of owners")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class MissingAttestations(ListAPIView[Model]):
    """Models registered by the end of the year that their owner has not attested for it."""

    permissions = {"GET": "registry.view_model"}
    queryset = Model.objects.none()
    serializer_class = ModelOut
    filter_backends: list[Any] = []

    def get_queryset(self) -> Any:
        year = year_of(self.request.query_params.get("year", ""))
        return services.models_of(asker(self.request), year, attested=False).select_related("risk_tier_set_by")

    @extend_schema(summary="List models whose attestation is missing", parameters=[YEAR])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ModelAttestation(APIView):
    """What the owner of a model attests this year, and whether they did."""

    permissions = {"GET": "registry.view_model", "POST": "registry.edit_model"}

    @extend_schema(summary="Look at what is to be attested", responses={200: AttestationDueSerializer})
    def get(self, request: Request, pk: int) -> Response:
        model, year = visible(request, pk), services.this_year()
        record = model.as_record()
        row = OwnerAttestation.objects.filter(model=model, year=year).select_related("model", "attested_by").first()
        given = OwnerAttestationSerializer(row).data if row else None
        told = {"year": year, "statement": services.STATEMENT, "digest": digest_of(record), "record": record}
        return Response({**told, "attestation": given})

    @extend_schema(summary="Attest a model", request=AttestationInput, responses={201: OwnerAttestationSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Only its owner can, once a year, and only what they have read: `digest` says what that was."""
        given = AttestationInput(data=request.data)
        given.is_valid(raise_exception=True)
        row = services.attest(by=request.user, model=visible(request, pk), **given.validated_data)
        return Response(OwnerAttestationSerializer(row).data, status=201)


routes = [
    path("attestations/", Attestations.as_view(), name="api-attestations"),
    path("attestations/missing/", MissingAttestations.as_view(), name="api-attestations-missing"),
    path("models/<int:pk>/attestation/", ModelAttestation.as_view(), name="api-model-attestation"),
]
