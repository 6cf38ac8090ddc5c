"""Pages of requests for keys: what was asked for, deciding about it, taking the key; and who needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.asking import asker
from audits import timeline
from inference.keyrequests import services, showing
from inference.keyrequests.forms import REQUEST_STATES, AnswerForm, KeyRequestFilter, KeyRuleForm
from inference.keyrequests.models import KeyRequest
from inference.models import Endpoint
from inference.seeing import visible as seen
from inference.showing import key_tabs
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.forms import RefusableForm
from registry.paging import page_of
from registry.views.answers import answered, need

form_page = require_http_methods(["GET", "POST"])
ENDED = "No key is ever made from this request. Whoever needs one asks anew."
DECLINED = (ENDED, "Whoever asked is told that you declined, and sees why.")


def seen_request(request: HttpRequest, pk: int) -> KeyRequest:
    return get_object_or_404(KeyRequest.objects.visible_to(asker(request)).with_parts(), pk=pk)


@require_GET
def key_requests(request: HttpRequest) -> HttpResponse:
    viewer = asker(request)
    rows = KeyRequest.objects.visible_to(viewer)
    used = {name: request.GET.get(name, "") for name in ("state", "endpoint")}
    chosen = KeyRequestFilter(used, rows)
    page = page_of((chosen.qs if chosen.is_valid() else rows.none()).with_parts(), request.GET)
    context = {
        "page": page, "rows": showing.standings(page.rows), "tabs": key_tabs(viewer), "states": REQUEST_STATES,
        "endpoints": Endpoint.objects.filter(key_requests__in=rows).distinct(), "filtered": any(used.values()),
    }  # fmt: skip
    return render(request, "inference/keyrequests/list.html", context)


@require_GET
def key_request(request: HttpRequest, pk: int) -> HttpResponse:
    return shown(request, seen_request(request, pk))


def shown(request: HttpRequest, found: KeyRequest, trouble: str = "", status: int = 200) -> HttpResponse:
    viewer, now = asker(request), database_time()
    context = {
        **showing.terms(found, now), "trouble": trouble, **showing.offered(found, viewer, now),
        "timeline": timeline.of(found, viewer, *([found.key] if found.key else [])),
        "answer_tone": "ok" if found.outcome == KeyRequest.Outcome.APPROVED else "off",
    }  # fmt: skip
    return render(request, "inference/keyrequests/one.html", context, status=status)


def answer(
    request: HttpRequest,
    pk: int,
    template: str,
    permission: str,
    act: Callable[..., KeyRequest],
    said: str,
    **more: Any,
) -> HttpResponse:
    """A page with a form for a reason, and what is asked for above it."""
    found = seen_request(request, pk)
    need(request, permission, found)

    def done(given: dict[str, Any]) -> KeyRequest:
        act(by=asker(request), request=found, reason=given["reason"])
        messages.success(request, said)
        return found

    context = {**showing.terms(found, database_time()), **more}
    return answered(request, f"inference/keyrequests/{template}.html", AnswerForm(request.POST or None), done, context)


@form_page
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    said = "Approved. Whoever asked is told, and takes the key themselves."
    return answer(request, pk, "approve", "inference.decide_key", services.approve_key, said)


@form_page
def decline(request: HttpRequest, pk: int) -> HttpResponse:
    said = "Declined. Whoever asked is told."
    return answer(request, pk, "decline", "inference.decide_key", services.decline_key, said, consequences=DECLINED)


@form_page
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    act, said = services.withdraw_key_request, "The request is withdrawn."
    return answer(request, pk, "withdraw", "inference.issue_key", act, said, consequences=(ENDED,))


@require_POST
def take(request: HttpRequest, pk: int) -> HttpResponse:
    """The page that shows the key's text, this once."""
    found = seen_request(request, pk)
    try:
        key, text = services.take_key(by=asker(request), request=found)
    except Refusal as refusal:
        return shown(request, seen_request(request, pk), refusal.sentence, 409)
    context = {"endpoint": found.endpoint, "key": key, "text": text}
    return render(request, "inference/key_made.html", context)


def asked(request: HttpRequest, form: RefusableForm, context: dict[str, Any]) -> HttpResponse:
    """The page of a key's form, where keys take two people: it asks. Sent twice by a double click, it asks once."""
    by = asker(request)

    def act(given: dict[str, Any]) -> KeyRequest:
        try:
            return services.request_key(by=by, endpoint=context["endpoint"], **given)
        except Refusal as refusal:
            twin = KeyRequest.objects.filter(ticket=given["ticket"], asked_by=by).first()
            if refusal.code != "already_requested" or twin is None:
                raise
            messages.info(request, "This was asked for already. Here it is.")
            return twin

    return answered(request, "inference/key_new.html", form, act, context)


@form_page
def key_rule(request: HttpRequest, pk: int) -> HttpResponse:
    endpoint = seen(request, pk)
    need(request, "inference.govern_keys", endpoint)

    def act(given: dict[str, Any]) -> Endpoint:
        services.set_key_rule(by=asker(request), endpoint=endpoint, **given)
        return endpoint

    form = KeyRuleForm(request.POST or None, endpoint=endpoint, initial={"rule": endpoint.key_rule})
    return answered(request, "inference/keyrequests/rule.html", form, act, {"endpoint": endpoint})


urlpatterns = [
    path("endpoints/<int:pk>/key-rule/", key_rule, name="endpoint-key-rule"),
    path("key-requests/", key_requests, name="key-requests"),
    path("key-requests/<int:pk>/", key_request, name="key-request"),
    path("key-requests/<int:pk>/approve/", approve, name="key-request-approve"),
    path("key-requests/<int:pk>/decline/", decline, name="key-request-decline"),
    path("key-requests/<int:pk>/withdraw/", withdraw, name="key-request-withdraw"),
    path("key-requests/<int:pk>/take/", take, name="key-request-take"),
]
