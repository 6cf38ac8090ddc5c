"""Forms about models."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods

from accounts.asking import asker
from ledger.refusals import Refusal
from registry import services
from registry.forms import ModelForm, TierForm
from registry.models import Model
from registry.views.answers import answered, need, teams_for

form_page = require_http_methods(["GET", "POST"])


def seen(request: HttpRequest, pk: int) -> Model:
    rows = Model.objects.visible_to(request.user).select_related("team", "owner")
    model: Model = get_object_or_404(rows, pk=pk)
    return model


@form_page
def new(request: HttpRequest) -> HttpResponse:
    teams = teams_for(request, "registry.register_model")

    def act(given: dict[str, Any]) -> Model:
        try:
            return services.register_model(by=asker(request), **given)
        except Refusal as refusal:
            # A form sent twice by a double click: the first one did it.
            twin = Model.objects.filter(
                team=given["team"], owner=asker(request), **{k: given[k] for k in ("name", "purpose")}
            )
            found: Model | None = twin.first()
            if refusal.code != "model_exists" or found is None:
                raise
            messages.info(request, "This model was registered already. Here it is.")
            return found

    return answered(request, "registry/model_new.html", ModelForm(request.POST or None, teams=teams), act)


@form_page
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    model = seen(request, pk)
    need(request, "registry.edit_model", model)
    form = ModelForm(request.POST or None, initial={"name": model.name, "purpose": model.purpose})

    def act(given: dict[str, Any]) -> Model:
        return services.edit_model(by=asker(request), model=model, **given)

    return answered(request, "registry/model_edit.html", form, act, {"model": model})


@form_page
def tier(request: HttpRequest, pk: int) -> HttpResponse:
    model = seen(request, pk)
    need(request, "registry.set_risk_tier", model)
    form = TierForm(request.POST or None, initial={"tier": model.risk_tier})

    def act(given: dict[str, Any]) -> Model:
        return services.set_risk_tier(by=asker(request), model=model, **given)

    return answered(request, "registry/model_tier.html", form, act, {"model": model})
