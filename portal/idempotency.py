"""`Idempotency-Key` on POSTs of the API: the same key and body gives the first answer again, nothing is done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse

from ledger.door import mechanical
from portal import problems
from portal.models import IdempotentRequest

KEPT = timedelta(hours=24)
# A request that was killed half-way leaves its key "under way"; after this long it may be tried again.
ABANDONED = timedelta(minutes=2)


class IdempotencyMiddleware:
    """Only JSON bodies: uploads are content-addressed and harmless to repeat as they are."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if not key or request.method != "POST" or not request.path.startswith("/api/"):
            return self.get_response(request)
        if request.content_type != "application/json":
            return self.get_response(request)
        if not 8 <= len(key) <= 128:
            sentence = "An Idempotency-Key has 8 to 128 characters. A UUID is a good choice."
            return problems.as_response(problems.document(422, "idempotency_key_invalid", sentence))
        owner = request.headers.get("Authorization") or f"session {request.session.session_key}"
        row, mine = claim(sha256(owner, key), sha256(request.path, request.body.hex()))
        if mine:
            return self.answer(request, row)
        if row.fingerprint != sha256(request.path, request.body.hex()):
            sentence = "This Idempotency-Key was used for another request. Use a new key for a new request."
            return problems.as_response(problems.document(422, "idempotency_key_reused", sentence))
        if row.status is None:
            sentence = "The first request with this Idempotency-Key is still being answered. Ask again in a moment."
            return problems.as_response(problems.document(409, "request_in_progress", sentence))
        response = HttpResponse(bytes(row.body), status=row.status, content_type=row.content_type)
        response["Idempotency-Replayed"] = "true"
        return response

    def answer(self, request: HttpRequest, row: IdempotentRequest) -> HttpResponse:
        try:
            response = self.get_response(request)
        except BaseException:
            forget(row)
            raise
        if response.status_code >= 500 or response.status_code in (401, 429):
            forget(row)
            return response
        if getattr(response, "shows_secret", False):
            sentence = "This was created already and its secret was shown then, once. Revoke it and create another."
            keep(row, problems.as_response(problems.document(409, "secret_shown_once", sentence)))
        else:
            keep(row, response)
        return response


def sha256(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@mechanical("remembers that a request is being answered; the act behind it has its own event")
def claim(owner_and_key: str, fingerprint: str) -> tuple[IdempotentRequest, bool]:
    IdempotentRequest.objects.filter(created_at__lt=Now() - KEPT).delete()
    IdempotentRequest.objects.filter(
        owner_and_key=owner_and_key, status=None, created_at__lt=Now() - ABANDONED
    ).delete()
    try:
        with transaction.atomic():
            return IdempotentRequest.objects.create(owner_and_key=owner_and_key, fingerprint=fingerprint), True
    except IntegrityError:
        return IdempotentRequest.objects.get(owner_and_key=owner_and_key), False


@mechanical("keeps the answer of a request for a day")
def keep(row: IdempotentRequest, response: HttpResponse) -> None:
    IdempotentRequest.objects.filter(pk=row.pk).update(
        status=response.status_code, content_type=response.headers.get("Content-Type", ""), body=response.content
    )


@mechanical("a request that failed on our side may be tried again")
def forget(row: IdempotentRequest) -> None:
    IdempotentRequest.objects.filter(pk=row.pk).delete()
