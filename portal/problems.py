"""Errors of the API as problem documents (RFC 9457), each with a stable `code`."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from ledger.actors import current_origin
from ledger.refusals import Refusal

MEDIA_TYPE = "application/problem+json"
# A Refusal is 422 where one input is at fault and 409 where the state of things is, except for these.
STATUS = {
    "rate_limited": 429,
    "too_large": 413,
    "wrong_credentials": 403,
    "account_locked": 403,
    "wrong_code": 403,
    "code_used": 403,
    "wrong_passkey": 403,
    "challenge_ended": 403,
    "challenge_used": 403,
    "second_factor_needed": 403,
    "factor_too_new": 403,
    "gone": 404,
    "not_on_record": 404,
    "unsupported_media_type": 415,
    "length_required": 411,
    "changed_meanwhile": 412,
    "disk_full": 507,
    "service_unavailable": 503,
}


def status_of(error: Exception) -> int:
    """HTTP status for a Refusal or a PermissionDenied."""
    if not isinstance(error, Refusal):
        return 403
    return STATUS.get(error.code, 422 if error.field else 409)


def document(status: int, code: str, sentence: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"urn:countersign:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": sentence,
        "request_id": current_origin().request_id,
    }
    if errors:
        body["errors"] = errors
    return body


def of(error: Exception) -> dict[str, Any]:
    """The problem document of a Refusal or a PermissionDenied."""
    code = getattr(error, "code", "permission_denied")
    sentence = getattr(error, "sentence", None) or "You may not do this."
    path = getattr(error, "field", None)
    errors = [{"field": path, "code": code, "detail": sentence}] if path else None
    return document(status_of(error), code, sentence, errors)


def respond(error: Exception) -> HttpResponse:
    return as_response(of(error))


def as_response(body: dict[str, Any]) -> HttpResponse:
    response = HttpResponse(json.dumps(body), status=body["status"], content_type=MEDIA_TYPE)
    if body["status"] == 429:
        response["Retry-After"] = "60"
    return response


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER."""
    headers: dict[str, str] = {}
    if isinstance(error, Refusal | PermissionDenied):
        body = of(error)
    elif isinstance(error, Http404):
        body = document(404, "not_found", "There is nothing here that you can see. Check the address.")
    elif isinstance(error, exceptions.ValidationError):
        body = document(
            422, "invalid", "Some of what was sent is not right; see `errors`.", list(flatten(error.get_full_details()))
        )
    elif isinstance(error, exceptions.APIException):
        code = error.get_codes()
        code = code if isinstance(code, str) else "invalid"
        body = document(error.status_code, code, str(error.detail))
        if challenge := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(int(wait))
    else:
        return None
    if body["status"] == 429:
        headers.setdefault("Retry-After", "60")
    set_rollback()
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def flatten(details: Any, path: str = "") -> Any:
    """Each leaf of DRF's nested error details with its dotted field path."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield {"field": path, "code": str(details["code"]), "detail": str(details["message"])}
    elif isinstance(details, dict):
        for key, value in details.items():
            inner = path if key == "non_field_errors" else f"{path}.{key}".lstrip(".")
            yield from flatten(value, inner)
    else:
        for index, value in enumerate(details):
            leaf = isinstance(value, dict) and set(value) == {"message", "code"}
            yield from flatten(value, path if leaf else f"{path}.{index}".lstrip("."))
