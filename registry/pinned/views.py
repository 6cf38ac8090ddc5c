"""Pages about versions without bytes: registering one, and asking its upstream."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_POST

from accounts.asking import asker
from ledger.refusals import Refusal
from registry import cards
from registry.models import Version
from registry.pinned import services
from registry.pinned.forms import PinnedForm
from registry.views.answers import answered, need
from registry.views.models import form_page
from registry.views.models import seen as seen_model
from registry.views.versions import seen


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    model = seen_model(request, pk)
    need(request, "registry.register_version", model)
    initial = {"contributors": [asker(request).pk], "card": cards.TEMPLATE}
    form = PinnedForm(request.POST or None, team_id=model.team_id, initial=initial)

    def act(given: dict[str, Any]) -> Version:
        return services.register_pinned_version(by=asker(request), model=model, **given)

    return answered(request, "registry/pinned_new.html", form, act, {"model": model})


@require_POST
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    version = seen(request, pk)
    try:
        pins = services.ask_upstream(by=asker(request), version=version)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect(version)
    if pins.problem:
        messages.error(request, f"No answer that counts. {pins.problem}")
    elif pins.says != pins.upstream_version:
        messages.error(request, f"It reports {pins.says}, and not what is pinned: approvals no longer hold.")
    else:
        messages.success(request, f"It reports {pins.says}, as pinned.")
    return redirect(version)


urlpatterns = [
    path("models/<int:pk>/versions/new/pinned/", new, name="version-new-pinned"),
    path("versions/<int:pk>/upstream/", ask, name="version-upstream"),
]
