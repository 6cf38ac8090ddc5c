"""Erasures and legal holds under `/api/v1/erasures/` and `/api/v1/holds/`."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from audits.erasing import services, showing
from audits.erasing.choosing import Choice, person_of, preview
from audits.erasing.models import STATES, Erasure, ErasureQuerySet, Hold, HoldQuerySet
from audits.erasing.rules import GROUNDS
from ledger.refusals import Denied


class ErasureSerializer(serializers.ModelSerializer[Erasure]):
    """`digest` is SHA-256 of the sorted lines `<event id> <label>` of what is erased; its events hold the same."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Erasure
        fields = [
            "id", "kind", "subject", "labels", "ground", "count", "entries", "digest", "state", "requested_by",
            "requested_at", "decided_by", "decided_at", "carried_out_at", "url",
        ]  # fmt: skip
        read_only_fields = fields

    def get_url(self, erasure: Erasure) -> str:
        return reverse("api-erasure", args=[erasure.pk])


class ErasureDetailSerializer(ErasureSerializer):
    """`holds` stand in its way. `copies` are exports made before, which may still hold what is erased."""

    reason = serializers.SerializerMethodField(help_text="Empty once erased")
    note = serializers.SerializerMethodField()
    holds = serializers.SerializerMethodField()
    copies = serializers.SerializerMethodField()

    class Meta(ErasureSerializer.Meta):
        fields = [*ErasureSerializer.Meta.fields, "reason", "note", "holds", "copies"]
        read_only_fields = fields

    def get_reason(self, erasure: Erasure) -> str:
        return str(showing.said_of(erasure)["reason"])

    def get_note(self, erasure: Erasure) -> str:
        return str(showing.said_of(erasure)["note"])

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_holds(self, erasure: Erasure) -> list[int]:
        return [hold.pk for hold in showing.in_the_way(erasure)]

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_copies(self, erasure: Erasure) -> list[int]:
        return [export.pk for export in showing.copies_of(erasure)]


class ChoiceInput(serializers.Serializer[Any]):
    """`subject` is a person's mail address or opaque id, or an entry's id. Without labels: who somebody is."""

    kind = serializers.ChoiceField(Erasure.Kind.choices)
    subject = serializers.CharField(max_length=254)
    labels = serializers.ListField(child=serializers.CharField(max_length=40), max_length=50, required=False)

    def choice(self) -> Choice:
        given = self.validated_data
        return Choice(given["kind"], given["subject"].strip(), tuple(given.get("labels", ())))


class ErasureInput(ChoiceInput):
    """`seen` is the digest of the preview that the asker has seen; where it is given, nothing else is asked for."""

    ground = serializers.ChoiceField(list(GROUNDS.items()))
    reason = serializers.CharField(max_length=2000)
    seen = serializers.CharField(max_length=71, required=False)


class LabelCount(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    count = serializers.IntegerField()


class Staying(LabelCount):
    why = serializers.CharField()


class PreviewSerializer(serializers.Serializer[Any]):
    """What would go (`labels` of `events`, the newest 50 listed) and what stays; `holds` would refuse it."""

    digest = serializers.CharField()
    count = serializers.IntegerField()
    entries = serializers.IntegerField()
    offered = serializers.ListField(child=serializers.CharField())
    labels = LabelCount(many=True)
    staying = Staying(many=True)
    events = serializers.ListField(child=serializers.UUIDField())
    holds = serializers.ListField(child=serializers.IntegerField())


class ErasureReason(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class ErasureNote(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class HoldSerializer(serializers.ModelSerializer[Hold]):
    state = serializers.ChoiceField(choices=STATES, read_only=True)
    team = serializers.IntegerField(source="of_team_id", allow_null=True, read_only=True)
    reason = serializers.SerializerMethodField(help_text="Empty once erased")
    url = serializers.SerializerMethodField()

    class Meta:
        model = Hold
        fields = [
            "id", "kind", "subject", "account", "team", "since", "until", "ends_at", "state", "reason", "placed_by",
            "placed_at", "lifted_by", "lifted_at", "url",
        ]  # fmt: skip
        read_only_fields = fields

    def get_reason(self, hold: Hold) -> str:
        return showing.told(hold, "hold.placed", "reason")

    def get_url(self, hold: Hold) -> str:
        return reverse("api-hold", args=[hold.pk])


class HoldInput(serializers.Serializer[Any]):
    """One of `person` (mail address or opaque id), `team`, `model` (its id) or `since`, as the kind says."""

    kind = serializers.ChoiceField(Hold.Kind.choices)
    reason = serializers.CharField(max_length=2000)
    person = serializers.CharField(max_length=254, required=False)
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all(), allow_null=True, required=False)
    model = serializers.CharField(max_length=20, required=False)
    since = serializers.DateTimeField(required=False, allow_null=True)
    until = serializers.DateTimeField(required=False, allow_null=True)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)


def may(request: Request, permission: str) -> None:
    """Before anything of the body is looked at: what is refused tells no stranger who is known here."""
    if not asker(request).has_perm(permission):
        raise Denied(permission)


class ErasureList(ListAPIView[Erasure]):
    """Erasures, newest first."""

    permissions = {"GET": "audits.view_erasure", "POST": "audits.request_erasure"}
    serializer_class = ErasureSerializer
    queryset = Erasure.objects.none()

    def get_queryset(self) -> ErasureQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Erasure.objects.none()
        return Erasure.objects.visible_to(self.request.user)

    @extend_schema(summary="List erasures")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Ask for an erasure", request=ErasureInput, responses={201: ErasureDetailSerializer})
    def post(self, request: Request) -> Response:
        may(request, "audits.request_erasure")
        body = ErasureInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = {name: body.validated_data.get(name) for name in ("ground", "reason", "seen")}
        erasure = services.request_erasure(by=asker(request), choice=body.choice(), **given)
        shown = ErasureDetailSerializer(erasure_of(request, erasure.pk)).data
        return Response(shown, status=201, headers={"Location": shown["url"]})


class ErasurePreview(APIView):
    """What an erasure would erase, and what it would leave. Nothing is asked for yet."""

    permissions = {"GET": "audits.request_erasure"}

    @extend_schema(
        summary="See what an erasure would erase",
        parameters=[
            OpenApiParameter("kind", enum=Erasure.Kind.values, required=True),
            OpenApiParameter("subject", required=True),
            OpenApiParameter("labels", many=True),
        ],
        responses={200: PreviewSerializer},
    )
    def get(self, request: Request) -> Response:
        may(request, "audits.request_erasure")
        query = request.query_params
        body = ChoiceInput(data={**query.dict(), "labels": query.getlist("labels")})
        body.is_valid(raise_exception=True)
        found = preview(body.choice(), asker(request))
        shown = {
            "digest": found.digest, "count": found.count, "entries": len(found.events), "offered": found.offered,
            "labels": [{"label": label, "count": count} for label, count in found.by_label],
            "staying": [{"label": label, "why": why, "count": count} for label, why, count in found.staying],
            "events": [pk for pk, *_ in found.entries], "holds": [hold.pk for hold in found.holds],
        }  # fmt: skip
        return Response(PreviewSerializer(shown).data)


def erasure_of(request: Request, pk: int) -> Erasure:
    return get_object_or_404(Erasure.objects.visible_to(request.user), pk=pk)


class ErasureDetail(APIView):
    permissions = {"GET": "audits.view_erasure"}

    @extend_schema(summary="Look at an erasure", responses={200: ErasureDetailSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(ErasureDetailSerializer(erasure_of(request, pk)).data)


class ErasureApproval(APIView):
    """It is carried out once the approval is sealed, and cannot be brought back."""

    permissions = {"POST": "audits.approve_erasure"}

    @extend_schema(summary="Approve an erasure", request=ErasureNote, responses={200: ErasureDetailSerializer})
    def post(self, request: Request, pk: int) -> Response:
        erasure = erasure_of(request, pk)
        may(request, "audits.approve_erasure")
        body = ErasureNote(data=request.data)
        body.is_valid(raise_exception=True)
        done = services.approve(by=asker(request), erasure=erasure, **body.validated_data)
        return Response(ErasureDetailSerializer(done).data)


class ErasureRejection(APIView):
    permissions = {"POST": "audits.approve_erasure"}

    @extend_schema(summary="Reject an erasure", request=ErasureReason, responses={200: ErasureDetailSerializer})
    def post(self, request: Request, pk: int) -> Response:
        erasure = erasure_of(request, pk)
        may(request, "audits.approve_erasure")
        body = ErasureReason(data=request.data)
        body.is_valid(raise_exception=True)
        done = services.reject(by=asker(request), erasure=erasure, **body.validated_data)
        return Response(ErasureDetailSerializer(done).data)


class HoldList(ListAPIView[Hold]):
    """Legal holds, newest first, also those that are over."""

    permissions = {"GET": "audits.view_erasure", "POST": "audits.manage_legal_hold"}
    serializer_class = HoldSerializer
    queryset = Hold.objects.none()

    def get_queryset(self) -> HoldQuerySet:
        fake = getattr(self, "swagger_fake_view", False)
        return Hold.objects.none() if fake else Hold.objects.visible_to(self.request.user)

    @extend_schema(summary="List legal holds")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Place a legal hold", request=HoldInput, responses={201: HoldSerializer})
    def post(self, request: Request) -> Response:
        may(request, "audits.manage_legal_hold")
        body = HoldInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        person = given.pop("person", "").strip()
        account = person_of(person, "person") if person and given["kind"] == Hold.Kind.PERSON else None
        hold = services.place_hold(by=asker(request), account=account, **given)
        shown = HoldSerializer(hold_of(request, hold.pk)).data
        return Response(shown, status=201, headers={"Location": shown["url"]})


def hold_of(request: Request, pk: int) -> Hold:
    return get_object_or_404(Hold.objects.visible_to(request.user), pk=pk)


class HoldDetail(APIView):
    permissions = {"GET": "audits.view_erasure"}

    @extend_schema(summary="Look at a legal hold", responses={200: HoldSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(HoldSerializer(hold_of(request, pk)).data)


class HoldLifting(APIView):
    permissions = {"POST": "audits.manage_legal_hold"}

    @extend_schema(summary="Lift a legal hold", request=ErasureReason, responses={200: HoldSerializer})
    def post(self, request: Request, pk: int) -> Response:
        hold = hold_of(request, pk)
        may(request, "audits.manage_legal_hold")
        body = ErasureReason(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(HoldSerializer(services.lift_hold(by=asker(request), hold=hold, **body.validated_data)).data)


routes = [
    path("erasures/", ErasureList.as_view(), name="api-erasures"),
    path("erasures/preview/", ErasurePreview.as_view(), name="api-erasure-preview"),
    path("erasures/<int:pk>/", ErasureDetail.as_view(), name="api-erasure"),
    path("erasures/<int:pk>/approval/", ErasureApproval.as_view(), name="api-erasure-approval"),
    path("erasures/<int:pk>/rejection/", ErasureRejection.as_view(), name="api-erasure-rejection"),
    path("holds/", HoldList.as_view(), name="api-holds"),
    path("holds/<int:pk>/", HoldDetail.as_view(), name="api-hold"),
    path("holds/<int:pk>/lifting/", HoldLifting.as_view(), name="api-hold-lifting"),
]
