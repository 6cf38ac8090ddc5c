"""Pages of feeders: recording one for a model, and removing it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path

from accounts.asking import asker
from registry.feeders import reading, services
from registry.feeders.models import Feeder
from registry.forms import ReasonForm, RefusableForm
from registry.models import Model
from registry.views.answers import answered, need
from registry.views.models import form_page, seen

# As many models are offered while typing; any other is named all the same.
OFFERED = 300
CONSEQUENCES = (
    "The model's page and the inventory no longer say that it is fed by this.",
    "The row stays, with your reason, and the log keeps both.",
)


class FeederForm(RefusableForm):
    source = forms.CharField(
        label="Model that it uses", max_length=60, required=False, strip=True,
        widget=forms.TextInput(attrs={"list": "known-models", "spellcheck": "false"}),
        help_text="By its short name, which stands below the model's name on its page.",
    )  # fmt: skip
    external = forms.CharField(
        label="Or something elsewhere", max_length=200, required=False,
        help_text="By name, such as the score of a credit bureau.",
    )  # fmt: skip
    takes = forms.CharField(
        label="What it takes", max_length=500, help_text="Such as the probability of default, as an input feature."
    )
    reason = forms.CharField(max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 3}))


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    model = seen(request, pk)
    need(request, "registry.edit_model", model)
    known = Model.objects.visible_to(asker(request))

    def act(given: dict[str, Any]) -> Model:
        slug = given.pop("source").strip()
        source = known.filter(slug=slug).first()
        if slug and source is None:
            raise services.unknown()
        services.record_feeder(by=asker(request), model=model, source=source, **given)
        return model

    context = {"model": model, "known": known.exclude(pk=pk).order_by("name")[:OFFERED]}
    return answered(request, "registry/feeders/new.html", FeederForm(request.POST or None), act, context)


@form_page
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Feeder.objects.visible_to(asker(request)).with_parts()
    feeder: Feeder = get_object_or_404(rows, pk=pk)
    need(request, "registry.edit_model", feeder)

    def act(given: dict[str, Any]) -> Model:
        services.remove_feeder(by=asker(request), feeder=feeder, **given)
        return feeder.model

    (link,) = reading.links([feeder], asker(request))
    context = {"link": link, "model": feeder.model, "consequences": CONSEQUENCES}
    return answered(request, "registry/feeders/remove.html", ReasonForm(request.POST or None), act, context)


urlpatterns = [
    path("models/<int:pk>/feeders/new/", new, name="model-feeder-new"),
    path("feeders/<int:pk>/remove/", remove, name="feeder-remove"),
]
