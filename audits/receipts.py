"""Receipts: what the portal promises whoever acted, and how far the log has come with it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_GET
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import User
from ledger import reading, receipts
from ledger.keys import portal_key
from ledger.merkle import leaf_hash
from ledger.models import Event
from ledger.notes import proof_text, sign


@dataclass(frozen=True)
class Seal:
    """How far the log has come with an act: `entry` is its number once it is sealed."""

    event: uuid.UUID
    entry: int | None

    @property
    def state(self) -> str:
        return "pending" if self.entry is None else "sealed"

    @property
    def sentence(self) -> str:
        if self.entry is None:
            return "It is recorded, and its seal in the log is pending: it counts once it is sealed."
        return f"Sealed as entry {self.entry:,}."

    def as_dict(self) -> dict[str, Any]:
        url = reverse("api-receipt", args=[self.event])
        return {"state": self.state, "entry": self.entry, "receipt": url}


def settle() -> Seal | None:
    """Wait, for two seconds at most, until what this request committed is sealed. The last act's seal; None for none.

    The acts have committed, so this never fails them: nobody shall repeat what is done.
    """
    acts = receipts.COMMITTED.get()
    if not acts:
        return None
    found = reading.wait_for_seals(acts, settings.SEAL_WAIT_SECONDS)
    return Seal(acts[-1], found.get(acts[-1]))


def say_seal(request: HttpRequest, done: str) -> None:
    """Tell a person at a browser that something is done and how far its seal is."""
    seal = settle()
    messages.success(request, f"{done} {seal.sentence}" if seal else done)


def sealed_answer(body: Any, **given: Any) -> Response:
    """The API's answer to an act that decides something: its body, with `seal`."""
    seal = settle()
    return Response({**body, "seal": seal.as_dict() if seal else None}, **given)


class ActSealSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["sealed", "pending"])
    entry = serializers.IntegerField(allow_null=True, help_text="Its number in the log, from 0")
    receipt = serializers.CharField(help_text="Where to ask again")


@cache
def with_seal(shape: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The shape of an answer that also carries a seal, for the API's description."""
    fields: dict[str, Any] = {"seal": ActSealSerializer(allow_null=True, read_only=True), "__module__": __name__}
    if issubclass(shape, serializers.ModelSerializer):
        fields["Meta"] = type("Meta", (shape.Meta,), {"fields": [*shape.Meta.fields, "seal"]})
    return type(f"Sealed{shape.__name__}", (shape,), fields)


@dataclass(frozen=True)
class Receipt:
    """`note` is signed by the portal; `proof` is a c2sp.org/tlog-proof once the event is sealed, and empty before."""

    event: Event
    seal: Seal
    note: str
    proof: str


def receipt_for(user: User, pk: uuid.UUID) -> Receipt:
    """Whoever acted gets a receipt for it, and so does whoever may read the log. Raises Http404 for others."""
    event = Event.objects.filter(pk=pk).first()
    own = event is not None and event.actor_id == user.identity.id
    if event is None or not (own or Event.objects.visible_to(user).filter(pk=pk).exists()):
        raise Http404
    digest = leaf_hash(bytes(event.bytes))
    note = sign(receipts.body(settings.LOG_ORIGIN, event.pk, digest, event.time).encode(), [portal_key()])
    seal = Seal(pk, reading.seals_of([event]).get(pk))
    try:
        proof = reading.inclusion_proof(event)
    except ValueError:
        proof = None  # the log contradicts itself: its own page says so, and the receipt stands against it
    text = proof_text(proof.index, proof.hashes, proof.note).decode() if proof else ""
    return Receipt(event, seal, note.decode(), text)


@require_GET
def receipt(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = receipt_for(asker(request), pk)
    if request.GET.get("file") == "receipt":
        headers = {"Content-Disposition": f'attachment; filename="receipt-{pk}.txt"'}
        return HttpResponse(found.note, content_type="text/plain; charset=utf-8", headers=headers)
    return render(request, "audits/receipt.html", {"receipt": found, "event": found.event})


class ReceiptSerializer(serializers.Serializer[Any]):
    event = serializers.UUIDField()
    sha256 = serializers.CharField()
    seal = ActSealSerializer()
    note = serializers.CharField(help_text="The receipt, signed with the portal's key (c2sp.org/signed-note)")
    proof = serializers.CharField(help_text="c2sp.org/tlog-proof; empty while the seal is pending")


class ReceiptDetail(APIView):
    """For whoever acted, and for whoever may read the log. Keep `note`: it proves the act even against the log."""

    permissions = {"GET": "accounts.manage_own_access"}

    @extend_schema(summary="Fetch the receipt for an act", responses={200: ReceiptSerializer})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        found = receipt_for(asker(request), pk)
        return Response({
            "event": str(pk), "sha256": found.event.digest, "seal": found.seal.as_dict(), "note": found.note,
            "proof": found.proof,
        })  # fmt: skip


routes = [path("receipts/<uuid:pk>/", ReceiptDetail.as_view(), name="api-receipt")]
