"""Pages of the prediction log: an endpoint's last predictions, one of them, and what is logged."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.asking import asker
from inference.models import Endpoint, InferenceKey, Prediction
from inference.predictions import reading, services
from inference.predictions.forms import LogForm
from inference.seeing import visible as seen
from registry.views.answers import answered, need

PLACE = ("before", "after")
LOSSES = 10


def row_of(request: HttpRequest, endpoint: Endpoint, prediction: uuid.UUID) -> Prediction:
    rows = Prediction.objects.visible_to(asker(request)).filter(endpoint=endpoint).select_related("key__holder")
    return get_object_or_404(rows, pk=prediction)


@require_GET
def predictions(request: HttpRequest, pk: int) -> HttpResponse:
    endpoint = seen(request, pk)
    rows = Prediction.objects.visible_to(asker(request)).filter(endpoint=endpoint).select_related("key")
    found = reading.PredictionFilter(request.GET, rows.without_content())
    page = reading.page_of(found.qs, request.GET)
    versions = reading.versions_of(endpoint, page.rows)
    context = {
        "endpoint": endpoint, "filter": found, "page": page, "log": services.facts_of(endpoint),
        "rows": [(row, versions.get(row.artifact)) for row in page.rows],
        "keys": InferenceKey.objects.visible_to(asker(request)).filter(scopes__endpoint=endpoint),
        "bound": endpoint.model.versions.select_related("artifact", "model").order_by("-number")[:50],
        "used": [name for name in request.GET if name not in PLACE and request.GET[name]],
        "losses": endpoint.prediction_losses.all()[:LOSSES], "lost": reading.lost(endpoint),
        "may_govern": asker(request).has_perm("inference.govern_log", endpoint),
    }  # fmt: skip
    return render(request, "inference/predictions/list.html", context)


@require_GET
def prediction(request: HttpRequest, pk: int, prediction: uuid.UUID) -> HttpResponse:
    endpoint = seen(request, pk)
    return shown(request, endpoint, row_of(request, endpoint, prediction), opened=False)


@require_POST
def opened(request: HttpRequest, pk: int, prediction: uuid.UUID) -> HttpResponse:
    """The same with inputs and outputs, after it was recorded who opened them."""
    endpoint = seen(request, pk)
    row = row_of(request, endpoint, prediction)
    services.open_prediction(by=asker(request), endpoint=endpoint, prediction=row)
    return shown(request, endpoint, row, opened=True)


def shown(request: HttpRequest, endpoint: Endpoint, row: Prediction, *, opened: bool) -> HttpResponse:
    context = {
        "endpoint": endpoint, "row": row, "feedback": reading.feedback_of(row), "opened": opened,
        "served": reading.versions_of(endpoint, [row]).get(row.artifact), "limit": reading.SHOWN,
        "inputs": reading.shown(row.inputs) if opened else "", "outputs": reading.shown(row.outputs) if opened else "",
        "may_open": row.has_content and asker(request).has_perm("inference.read_inputs", endpoint),
    }  # fmt: skip
    return render(request, "inference/predictions/one.html", context)


@require_http_methods(["GET", "POST"])
def log(request: HttpRequest, pk: int) -> HttpResponse:
    endpoint = seen(request, pk)
    need(request, "inference.govern_log", endpoint)

    def act(given: dict[str, Any]) -> Endpoint:
        services.set_log(by=asker(request), endpoint=endpoint, **given)
        return endpoint

    form = LogForm(request.POST or None, initial=endpoint.log_facts())
    return answered(request, "inference/predictions/log.html", form, act, {"endpoint": endpoint})


urlpatterns = [
    path("endpoints/<int:pk>/log/", log, name="endpoint-log"),
    path("endpoints/<int:pk>/predictions/", predictions, name="endpoint-predictions"),
    path("endpoints/<int:pk>/predictions/<uuid:prediction>/", prediction, name="endpoint-prediction"),
    path("endpoints/<int:pk>/predictions/<uuid:prediction>/open/", opened, name="endpoint-prediction-open"),
]
