"""Pages of overrides: a model's list with rates, its file, recording one, and how many decisions there were."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_GET

from accounts.asking import asker
from inference.overrides import rates, services
from inference.overrides.forms import OverrideFilter, OverrideForm, TotalForm
from inference.overrides.models import Override
from ledger.events import database_time
from registry.models import Model
from registry.paging import page_of
from registry.views.answers import answered, need
from registry.views.models import form_page, seen

PLACE = ("before", "after")


def chosen(request: HttpRequest, model: Model) -> OverrideFilter:
    rows = Override.objects.visible_to(asker(request)).filter(model=model)
    return OverrideFilter(request.GET, rows)


@require_GET
def overrides(request: HttpRequest, pk: int) -> HttpResponse:
    model = seen(request, pk)
    found = chosen(request, model)
    environment = found.form.cleaned_data.get("environment", "") if found.is_valid() else ""
    context = {
        "model": model, "filter": found, "months": rates.by_month(model, database_time(), environment),
        "reasons": Override.Reason.labels,
        "page": page_of(found.qs.select_related("version__model", "recorded_by"), request.GET),
        "used": [key for key in request.GET if key not in PLACE and request.GET[key]],
        "may_record": asker(request).has_perm("registry.attach_evidence", model),
    }  # fmt: skip
    return render(request, "inference/overrides/list.html", context)


@require_GET
def content(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What the page lists under the same filter, all of it."""
    model = seen(request, pk)
    lines = rates.as_csv(chosen(request, model).qs)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="overrides-{model.slug}.csv"'
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    model = seen(request, pk)
    need(request, "registry.attach_evidence", model)
    form = OverrideForm(request.POST or None, versions=model.versions.select_related("model"))

    def act(given: dict[str, Any]) -> str:
        services.record_overrides(by=asker(request), model=model, rows=[form.row()])
        return reverse("model-overrides", args=[model.pk])

    return answered(request, "inference/overrides/new.html", form, act, {"model": model})


@form_page
def total(request: HttpRequest, pk: int) -> HttpResponse:
    model = seen(request, pk)
    need(request, "registry.attach_evidence", model)

    def act(given: dict[str, Any]) -> str:
        services.record_total(by=asker(request), model=model, **given)
        return reverse("model-overrides", args=[model.pk])

    form = TotalForm(request.POST or None)
    return answered(request, "inference/overrides/total.html", form, act, {"model": model})


urlpatterns = [
    path("models/<int:pk>/overrides/", overrides, name="model-overrides"),
    path("models/<int:pk>/overrides/new/", new, name="model-override-new"),
    path("models/<int:pk>/overrides/total/", total, name="model-override-total"),
    path("models/<int:pk>/overrides.csv", content, name="model-overrides-content"),
]
