"""Pages of endpoints and keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from accounts.models import Team
from audits import timeline
from inference import services, showing
from inference.calling import address_of, command_of
from inference.filters import STATES, KeyFilter
from inference.forms import BindForm, EndpointForm, KeyForm, RevokeKeyForm, RotateKeyForm
from inference.keyrequests.showing import open_at
from inference.keyrequests.views import asked as asked_for
from inference.models import Endpoint, InferenceKey
from inference.reconciling import reconcile
from inference.rollouts.showing import course
from inference.seeing import visible as seen
from inference.terms import may_hold
from ledger.refusals import Denied, Refusal
from registry.models import Model, Version
from registry.paging import SIZE, id_of, page_of
from registry.views.answers import answered, need

form_page = require_http_methods(["GET", "POST"])
ENDED = ("revoked", "expired", "inactive")
ACTS = ("bind_endpoint", "roll_back_endpoint", "issue_key", "revoke_key", "govern_log", "govern_keys")
REVOCATION = (
    "Every gateway refuses the key within a second; programs that still send it get 401.",
    "It stays listed with your name and reason, and cannot be taken up again. A new key can be issued.",
)


@require_GET
def endpoints(request: HttpRequest) -> HttpResponse:
    rows = Endpoint.objects.visible_to(request.user).with_parts()
    environment, name = request.GET.get("environment", ""), request.GET.get("q", "")
    chosen = rows.filter(environment=environment) if environment else rows
    page = page_of(chosen.filter(name__icontains=name), request.GET)
    context = {
        "page": page,
        "rows": showing.serving(page.rows),
        "environments": sorted(set(rows.order_by().values_list("environment", flat=True))),
        "may_add": asker(request).may_somewhere("inference.add_endpoint"),
        "may_see_processes": asker(request).scope("inference.view_endpoint").everywhere,
    }
    return render(request, "inference/endpoints.html", context)


@require_GET
def endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    found, viewer = seen(request, pk), asker(request)
    rows = InferenceKey.objects.visible_to(viewer).filter(scopes__endpoint=found)
    keys = list(rows.with_parts()[:SIZE])
    context = {
        "endpoint": found,
        "serving": showing.serving([found])[0],
        "address": address_of(found),
        "gateway": settings.GATEWAY_URL,
        "command": command_of(found),
        "keys": showing.standings(keys, viewer),
        "more": rows.count() > len(keys),
        "asked": open_at(found),
        "timeline": timeline.of(found, viewer, *keys),
        "course": course(found),
        "may": {act: viewer.has_perm(f"inference.{act}", found) for act in ACTS},
    }
    return render(request, "inference/endpoint.html", context)


@require_GET
def reconciliation(request: HttpRequest) -> HttpResponse:
    viewer, wanted = asker(request), request.GET.get("team", "")
    found = reconcile(viewer, id_of(wanted))
    teams = Team.objects.filter(models__endpoints__in=Endpoint.objects.visible_to(viewer)).distinct()
    context = {"found": found, "counts": found.counts(), "teams": teams, "wanted": wanted}
    return render(request, "inference/reconciliation.html", context)


@form_page
def new(request: HttpRequest) -> HttpResponse:
    by = asker(request)
    if not by.may_somewhere("inference.add_endpoint"):
        raise Denied("inference.add_endpoint")
    models = Model.objects.filter(by.scope("inference.add_endpoint").q("team")).order_by("name")

    def act(given: dict[str, Any]) -> Endpoint:
        try:
            return services.add_endpoint(by=by, **given)
        except Refusal as refusal:
            # A form sent twice by a double click: the first one did it.
            twin = Endpoint.objects.filter(**given, created_by=by).first()
            if refusal.code != "endpoint_name_taken" or twin is None:
                raise
            messages.info(request, "This endpoint was added already. Here it is.")
            return twin

    form = EndpointForm(request.POST or None, models=models, initial={"model": request.GET.get("model")})
    return answered(request, "inference/endpoint_new.html", form, act)


@form_page
def bind(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, "inference.bind_endpoint", found)

    def act(given: dict[str, Any]) -> Endpoint:
        version = Version.objects.filter(pk=given["version"]).first()
        services.bind_endpoint(by=asker(request), endpoint=found, version=version)
        return found

    form = BindForm(request.POST or None, offered=showing.offered(found), initial={"version": found.version_id})
    return answered(request, "inference/bind.html", form, act, {"endpoint": found})


@form_page
def new_key(request: HttpRequest, pk: int) -> HttpResponse:
    found, by = seen(request, pk), asker(request)
    need(request, "inference.issue_key", found)
    form = KeyForm(request.POST or None, holders=showing.holders(found, by), initial={"holder": by.pk})
    context = {"endpoint": found, "form": form}
    if found.keys_take_two:
        return asked_for(request, form, context)
    return shown_once(
        request, "inference/key_new.html", context, lambda given: services.issue_key(by=by, endpoint=found, **given)
    )


def shown_once(
    request: HttpRequest, template: str, context: dict[str, Any],
    act: Callable[[dict[str, Any]], tuple[InferenceKey, str]],
) -> HttpResponse:  # fmt: skip
    """A form's page; when the act is done, the page that shows the new key's text, this once."""
    form, status = context["form"], 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                key, text = act(form.cleaned_data)
                return render(request, "inference/key_made.html", {**context, "key": key, "text": text})
            except Refusal as refusal:
                form.refuse(refusal)
                status = 422 if refusal.field else 409
    return render(request, template, context, status=status)


def seen_key(request: HttpRequest, pk: int) -> InferenceKey:
    return get_object_or_404(InferenceKey.objects.visible_to(request.user).with_parts(), pk=pk)


@require_GET
def key(request: HttpRequest, pk: int) -> HttpResponse:
    found, viewer = seen_key(request, pk), asker(request)
    standing = showing.standings([found], viewer)[0]["state"]
    rotates = standing not in ENDED and found.replaced_by is None and viewer.has_perm("inference.issue_key", found)
    context = {
        "key": found,
        "state": standing,
        "may_rotate": rotates and may_hold(found.holder, viewer, found.team_id),
        "may_revoke": found.revoked_at is None and viewer.has_perm("inference.revoke_key", found),
        "timeline": timeline.of(found, viewer, *(each for each in (found.succeeds, found.asked_as) if each)),
    }
    return render(request, "inference/key.html", context)


@form_page
def rotate(request: HttpRequest, pk: int) -> HttpResponse:
    found, by = seen_key(request, pk), asker(request)
    need(request, "inference.issue_key", found)
    context = {"endpoint": found.scopes.all()[0].endpoint, "old": found, "form": RotateKeyForm(request.POST or None)}
    return shown_once(
        request, "inference/key_rotate.html", context, lambda given: services.rotate_key(by=by, key=found, **given)
    )


@form_page
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    key = seen_key(request, pk)
    need(request, "inference.revoke_key", key)
    back = key.scopes.all()[0].endpoint

    def act(given: dict[str, Any]) -> Endpoint:
        services.revoke_key(by=asker(request), key=key, reason=given["reason"])
        messages.success(request, f"The key “{key.name}” is revoked.")
        return back

    context = {"key": key, "endpoint": back, "consequences": REVOCATION}
    return answered(request, "inference/key_revoke.html", RevokeKeyForm(request.POST or None), act, context)


@require_GET
def keys(request: HttpRequest) -> HttpResponse:
    viewer = asker(request)
    mine, teams = viewer.inference_keys.all(), InferenceKey.objects.visible_to(viewer)
    tab = "team" if request.GET.get("tab") == "team" else "mine"
    rows = teams if tab == "team" else mine
    chosen = KeyFilter({name: request.GET.get(name, "") for name in ("state", "endpoint")}, rows)
    page = page_of((chosen.qs if chosen.is_valid() else rows.none()).with_parts(), request.GET)
    context = {
        "page": page,
        "rows": showing.standings(page.rows, viewer),
        "tab": tab,
        "tabs": showing.key_tabs(viewer),
        "states": STATES,
        "endpoints": Endpoint.objects.filter(key_scopes__key__in=rows).distinct(),
        "filtered": any(request.GET.get(name) for name in ("state", "endpoint")),
        "may": {"revoke_key": viewer.may_somewhere("inference.revoke_key")},
    }
    return render(request, "inference/keys.html", context)
