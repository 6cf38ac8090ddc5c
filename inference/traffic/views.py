"""Pages of traffic: one endpoint's, and the processes that serve."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.asking import asker
from inference.models import Endpoint
from inference.traffic.drawing import bars
from inference.traffic.models import GatewayProcess
from inference.traffic.reading import DAY, WINDOWS, Traffic, Window, traffic
from ledger.events import database_time
from ledger.refusals import Denied


def window_of(text: str) -> Window:
    """The one asked for, the last hour where it is none."""
    return WINDOWS.get(text, WINDOWS["hour"])


def drawn(found: Traffic, format: str) -> dict[str, Any]:
    names = [timezone.localtime(each.name).strftime(format) for each in found.steps]
    return bars("Requests over time; the table has the numbers", names, [(s.answered, s.refused) for s in found.steps])


@require_GET
def endpoint_traffic(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Endpoint.objects.visible_to(request.user).with_parts(), pk=pk)
    window = window_of(request.GET.get("window", ""))
    seen = traffic(found, window, database_time())
    here = reverse("endpoint-traffic", args=[found.pk])
    context = {
        "endpoint": found, "traffic": seen, "window": window,
        "plot": drawn(seen, "%d %b" if window.step >= DAY else "%H:%M"),
        "steps": [each for each in reversed(seen.steps) if each.requests],
        "tabs": [
            {"key": each.slug, "label": each.title, "url": f"{here}?window={each.slug}"} for each in WINDOWS.values()
        ],
    }  # fmt: skip
    return render(request, "inference/traffic/endpoint.html", context)


@require_GET
def processes(request: HttpRequest) -> HttpResponse:
    if not asker(request).scope("inference.view_endpoint").everywhere:
        raise Denied("inference.view_endpoint")
    now = database_time()
    rows = [(each, each.silent(now)) for each in GatewayProcess.objects.all()]
    return render(request, "inference/traffic/processes.html", {"rows": rows})


urlpatterns = [
    path("endpoints/processes/", processes, name="gateway-processes"),
    path("endpoints/<int:pk>/traffic/", endpoint_traffic, name="endpoint-traffic"),
]
