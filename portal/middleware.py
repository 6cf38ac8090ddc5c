"""Where a request comes from, who must be signed in, and how a refusal becomes an answer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import User
from ledger.actors import ORIGIN, Origin
from ledger.receipts import collecting
from ledger.refusals import Refusal
from portal import errors, problems

READING = ("GET", "HEAD")
Respond = Callable[[HttpRequest], HttpResponse]
REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
# What a form says beside its file, with the marks between the parts.
FORM_ROOM = 1024**2
PUBLIC = ("/healthz", "/readyz", "/sign-in/", "/static/", "/api/", "/log/", "/.well-known/", "/theme/")


class OriginMiddleware:
    """Give each request an id, answer with it, and tell the log where acts come from."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        wanted = request.headers.get("X-Request-ID", "")
        request_id = wanted if REQUEST_ID.match(wanted) else str(uuid.uuid4())
        channel = "browser"
        if request.path.startswith(("/api/", "/log/")):
            channel = "cli" if request.headers.get("User-Agent", "").startswith("countersign-cli/") else "api"
        token = ORIGIN.set(Origin(channel, request_id, request.META.get("REMOTE_ADDR")))
        try:
            with collecting():
                response = self.get_response(request)
        finally:
            ORIGIN.reset(token)
        response["X-Request-ID"] = request_id
        return response


class SignedInMiddleware:
    """Every page needs a signed-in person, but for the few listed."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated and not request.path.startswith(PUBLIC):
            path = request.get_full_path()
            query = "" if path == "/" else "?" + urlencode({"next": path})
            return redirect(reverse(settings.LOGIN_URL) + query)
        if isinstance(request.user, User) and request.method in READING:
            request.user.keep_scopes()
        response = self.get_response(request)
        if request.user.is_authenticated and not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


class RefusalMiddleware:
    """A Refusal that no view turned into something better becomes a page, or a problem document under /api/."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Refusal | PermissionDenied):
            return None
        if request.path.startswith("/api/"):
            return problems.respond(exception)
        return errors.refused(request, exception)


class SizeMiddleware:
    """Refuse what is too large by its declared length, before a byte of it is read; raw uploads judge their own."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or ""
        raw = request.content_type == "application/octet-stream"
        if length.isdigit() and not raw and int(length) > self.limit(request):
            sentence = f"What was sent is larger than the {self.limit(request):,} bytes that are taken here. Send less."
            return errors.refused(request, Refusal("too_large", sentence))
        return self.get_response(request)

    def limit(self, request: HttpRequest) -> int:
        files = request.content_type == "multipart/form-data" and not request.path.startswith("/api/")
        return settings.MAX_UPLOAD_BYTES + FORM_ROOM if files else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
