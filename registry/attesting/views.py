"""Pages of attestations: one model's, and which are missing in a year."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from accounts.asking import asker
from ledger.canonical import digest_of
from registry.attesting import services
from registry.attesting.models import OwnerAttestation
from registry.forms import RefusableForm
from registry.models import Model
from registry.paging import page_of
from registry.views.answers import answered, need
from registry.views.models import form_page, seen

STATES = [("missing", "Missing"), ("attested", "Attested")]
FIRST_YEAR, LAST_YEAR = 1900, 9999


class AttestForm(RefusableForm):
    digest = forms.CharField(max_length=71, widget=forms.HiddenInput)
    note = forms.CharField(
        max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What whoever reads this should know.",
    )  # fmt: skip


@form_page
def attest(request: HttpRequest, pk: int) -> HttpResponse:
    model, year = seen(request, pk), services.this_year()
    need(request, "registry.edit_model", model)
    form = AttestForm(request.POST or None, initial={"digest": digest_of(model.as_record())})

    def act(given: dict[str, Any]) -> Model:
        services.attest(by=asker(request), model=model, **given)
        return model

    context = {
        "model": model, "year": year, "statement": services.STATEMENT, "own": asker(request).pk == model.owner_id,
        "given": OwnerAttestation.objects.filter(model=model, year=year).select_related("attested_by").first(),
        "versions": model.versions.count(),
    }  # fmt: skip
    return answered(request, "registry/attesting/attest.html", form, act, context)


def year_of(text: str) -> int:
    """The year asked for; this one where it is none."""
    year = int(text) if text.isdecimal() and len(text) <= 4 else 0
    return year if FIRST_YEAR <= year <= LAST_YEAR else services.this_year()


@require_GET
def attestations(request: HttpRequest) -> HttpResponse:
    user, year, state = asker(request), year_of(request.GET.get("year", "")), request.GET.get("state", "missing")
    page = page_of(services.models_of(user, year, attested=state == "attested"), request.GET)
    given = services.of_year([model.pk for model in page.rows], year)
    context = {
        "page": page, "year": year, "state": state, "states": STATES, "may_attest": year == services.this_year(),
        "rows": [(model, given.get(model.pk), model.owner_id == user.pk) for model in page.rows],
        "counts": {key: services.models_of(user, year, attested=key == "attested").count() for key, _ in STATES},
    }  # fmt: skip
    return render(request, "registry/attesting/list.html", context)


urlpatterns = [
    path("attestations/", attestations, name="attestations"),
    path("models/<int:pk>/attest/", attest, name="model-attest"),
]
