"""Error pages. Each says what happened and what to do; under /api/ the same is a problem document."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal import problems

SENTENCES = {
    400: ("bad_request", "The request could not be understood. Go back and try again."),
    403: ("permission_denied", "You may not see or do this."),
    404: ("not_found", "There is nothing here that you can see. Check the address."),
    500: ("internal_error", "Something went wrong on our side. It has been written down; try again in a minute."),
}


def page(request: HttpRequest, status: int, code: str, sentence: str, template: str | None = None) -> HttpResponse:
    if request.path.startswith("/api/"):
        return problems.as_response(problems.document(status, code, sentence))
    context = {"status": status, "code": code, "sentence": sentence}
    return render(request, f"errors/{template or status}.html", context, status=status)


def refused(request: HttpRequest, error: Exception) -> HttpResponse:
    body = problems.of(error)
    known = {403, 404, 409, 413}
    template = str(body["status"]) if body["status"] in known else "409"
    return page(request, body["status"], body["code"], body["detail"], template)


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return page(request, 400, *SENTENCES[400])


def permission_denied(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return page(request, 403, "permission_denied", getattr(exception, "sentence", SENTENCES[403][1]))


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return page(request, 404, *SENTENCES[404])


def server_error(request: HttpRequest) -> HttpResponse:
    return page(request, 500, *SENTENCES[500])


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    sentence = "This form is too old or came from elsewhere. Go back, reload the page and send it again."
    return page(request, 403, "csrf_failed", sentence, "csrf")
