"""Pages of trying a version beside another, and of the way back."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from inference import showing
from inference.models import Endpoint
from inference.rollouts import services
from inference.rollouts.forms import PromoteForm, RolloutForm, ShareForm, WithdrawForm
from inference.rollouts.models import Rollout
from inference.rollouts.showing import agreement, sides
from inference.seeing import visible as seen
from registry.models import Version
from registry.views.answers import answered, need

form_page = require_http_methods(["GET", "POST"])
BIND = "inference.bind_endpoint"
WITHDRAWAL = (
    "Within a second every request is answered by the version that is served now.",
    "What was compared stays on this page. The version can be tried again.",
)


def standing(endpoint: Endpoint) -> Rollout | None:
    return Rollout.objects.standing().filter(endpoint=endpoint).with_parts().first()


@require_GET
def rollout(request: HttpRequest, pk: int) -> HttpResponse:
    """One rollout, under way or ended."""
    rows = Rollout.objects.visible_to(request.user).with_parts().select_related("comparison")
    found = get_object_or_404(rows, pk=pk)
    context = {
        "rollout": found, "endpoint": found.endpoint, "sides": sides(found), "agreement": agreement(found),
        "may_act": found.ended_at is None and asker(request).has_perm(BIND, found.endpoint),
    }  # fmt: skip
    return render(request, "inference/rollouts/rollout.html", context)


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, BIND, found)
    offered = [(value, text) for value, text in showing.offered(found) if value != str(found.version_id)]
    form = RolloutForm(request.POST or None, offered=offered)

    def act(given: dict[str, Any]) -> str:
        version = get_object_or_404(Version, pk=given.pop("version"))
        made = services.start_rollout(by=asker(request), endpoint=found, version=version, **given)
        return reverse("rollout", args=[made.pk])

    context = {"endpoint": found, "offered": offered, "standing": standing(found)}
    return answered(request, "inference/rollouts/new.html", form, act, context)


@form_page
def share(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, BIND, found)
    running = standing(found)

    def act(given: dict[str, Any]) -> str:
        return where(services.change_share(by=asker(request), endpoint=found, **given))

    form = ShareForm(request.POST or None, initial={"share": running.share if running else None})
    return answered(request, "inference/rollouts/share.html", form, act, {"endpoint": found, "standing": running})


@form_page
def promote(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, BIND, found)
    running = standing(found)
    form = PromoteForm(request.POST if request.method == "POST" else None)

    def act(given: dict[str, Any]) -> Endpoint:
        return services.promote(by=asker(request), endpoint=found)

    context = {"endpoint": found, "standing": running, "sides": sides(running) if running else []}
    return answered(request, "inference/rollouts/promote.html", form, act, context)


@form_page
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, BIND, found)

    def act(given: dict[str, Any]) -> str:
        return where(services.withdraw_rollout(by=asker(request), endpoint=found, **given))

    context = {"endpoint": found, "standing": standing(found), "consequences": WITHDRAWAL}
    return answered(request, "inference/rollouts/withdraw.html", WithdrawForm(request.POST or None), act, context)


@form_page
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, "inference.roll_back_endpoint", found)
    there = services.earlier(found)
    target = next((each for each in there if each.said.allowed), None)

    def act(given: dict[str, Any]) -> Endpoint:
        return services.roll_back(by=asker(request), endpoint=found, **given)

    consequences = [f"Within a second every request is answered by {target.version.title.lower()}."] if target else []
    if standing(found):
        consequences.append("The version that is tried now is no longer tried.")
    context = {"endpoint": found, "earlier": there, "target": target, "consequences": consequences}
    return answered(request, "inference/rollouts/roll_back.html", WithdrawForm(request.POST or None), act, context)


def where(rollout: Rollout) -> str:
    return reverse("rollout", args=[rollout.pk])


urlpatterns = [
    path("rollouts/<int:pk>/", rollout, name="rollout"),
    path("endpoints/<int:pk>/rollout/new/", new, name="rollout-new"),
    path("endpoints/<int:pk>/rollout/share/", share, name="rollout-share"),
    path("endpoints/<int:pk>/rollout/promote/", promote, name="rollout-promote"),
    path("endpoints/<int:pk>/rollout/withdraw/", withdraw, name="rollout-withdraw"),
    path("endpoints/<int:pk>/roll-back/", roll_back, name="endpoint-roll-back"),
]
