"""The page on which an endpoint's upstream is set."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.http import require_http_methods

from accounts.asking import asker
from inference.models import Endpoint
from inference.upstreams import rules, services
from inference.upstreams.forms import UpstreamForm
from registry.views.answers import answered, need


@require_http_methods(["GET", "POST"])
def upstream(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Endpoint.objects.visible_to(request.user).with_parts(), pk=pk)
    need(request, "inference.bind_endpoint", found)

    def act(given: dict[str, Any]) -> Endpoint:
        services.set_upstream(by=asker(request), endpoint=found, **given)
        messages.success(request, "Set. Every gateway knows it within a second.")
        return found

    before = found.elsewhere
    form = UpstreamForm(request.POST or None, initial=before.terms if before else {"kind": rules.ONNX})
    return answered(request, "inference/upstream.html", form, act, {"endpoint": found})


urlpatterns = [path("endpoints/<int:pk>/upstream/", upstream, name="endpoint-upstream")]
