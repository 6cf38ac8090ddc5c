"""The pages of webhooks: which there are, one with what it was told, and everything that can be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.asking import asker
from accounts.forms import ActForm, ReasonForm
from accounts.models import Team, User
from accounts.views.people import FORM, allowed, tabs
from accounts.webhooks.forms import NewWebhookForm, RemoveWebhookForm, RotateForm, WebhookForm
from ledger.events import database_time
from ledger.refusals import Denied, Refusal
from notifications.kinds import KINDS
from notifications.models import Notification, Webhook
from notifications.webhooks import services

ACT = "notifications.retry_delivery"
PAGE, MOST = 50, 200
PAUSING = (
    "It is told nothing of what happens until it is resumed.",
    "What comes due meanwhile is given up; you can try it again, one by one, afterwards.",
)
REMOVAL = (
    "It is told nothing from now on, and its secret is destroyed.",
    "What the outbox has for it is removed too. The log keeps that it was there, and your reason.",
)


def seen(request: HttpRequest, pk: int, act: bool = False) -> Webhook:
    """Raises Denied where somebody wants the form of an act that they may not do."""
    hook = get_object_or_404(Webhook.objects.visible_to(asker(request)).prefetch_related("secrets"), pk=pk)
    if act and request.method != "POST" and not asker(request).has_perm(ACT, hook):
        raise Denied(ACT)
    return hook


def shown(hooks: Iterable[Webhook]) -> list[dict[str, Any]]:
    """Each with the names of its team and its kinds. One query."""
    rows = list(hooks)
    wanted = {row.team_id for row in rows if row.team_id is not None}
    teams = {team.pk: team.name for team in Team.objects.filter(pk__in=wanted)}
    return [
        {"hook": row, "team": teams.get(row.team_id or 0), "kinds": [KINDS[kind].title for kind in row.kinds]}
        for row in rows
    ]


@require_GET
def webhooks(request: HttpRequest) -> HttpResponse:
    user = allowed(request, "notifications.view_outbox")
    lately = Q(deliveries__state=Notification.State.FAILED, deliveries__ended_at__gt=Now() - timedelta(days=1))
    rows = Webhook.objects.visible_to(user).annotate(failed=Count("deliveries", filter=lately))[:MOST]
    context = {
        "rows": shown(rows), "tabs": tabs(request), "may_add": user.may_somewhere(ACT)
    }  # fmt: skip
    return render(request, "accounts/webhooks/list.html", context)


@require_GET
def webhook(request: HttpRequest, pk: int) -> HttpResponse:
    hook = seen(request, pk)
    before = request.GET.get("before", "")
    rows = hook.deliveries.defer("body").order_by("-pk")
    rows = rows.filter(pk__lt=int(before)) if before.isdecimal() and len(before) <= 18 else rows
    found = list(rows[: PAGE + 1])
    context = {
        **shown([hook])[0], "rows": found[:PAGE], "last": found[PAGE - 1].pk if len(found) > PAGE else None,
        "may_act": asker(request).has_perm(ACT, hook), "overlaps": len(hook.signing(database_time())) > 1,
        "made_by": User.objects.filter(opaque_id=hook.made_by).first(),
    }  # fmt: skip
    return render(request, "accounts/webhooks/webhook.html", context)


def secret_shown(request: HttpRequest, made: tuple[Webhook, str]) -> HttpResponse:
    hook, secret = made
    return render(request, "accounts/webhooks/secret_shown.html", {"hook": hook, "secret": secret})


@never_cache
@require_http_methods(FORM)
def new(request: HttpRequest) -> HttpResponse:
    user = allowed(request, ACT)
    scope = user.scope(ACT)
    teams = Team.objects.filter(scope.q("pk")).order_by("name")
    form = NewWebhookForm(request.POST or None, teams=teams, everywhere=scope.everywhere)
    if form.is_valid():
        try:
            return secret_shown(request, services.add_webhook(by=user, **form.cleaned_data))
        except Refusal as refusal:
            form.refuse(refusal)
    words = {"title": "Add a webhook", "act": "Add webhook", "lead": "Its signing secret is made then, and shown once."}
    return render(request, "accounts/webhooks/form.html", {"form": form, **words}, status=form.status)


@require_http_methods(FORM)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    hook = seen(request, pk, act=True)
    form = WebhookForm(request.POST or None, initial={"name": hook.name, "url": hook.url, "kinds": hook.kinds})
    if form.is_valid():
        try:
            services.change_webhook(by=asker(request), webhook=hook, **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "The webhook is changed.")
            return redirect(hook)
    words = {"title": f"Change {hook.name}", "act": "Change webhook", "lead": "Its secret stays as it is."}
    return render(request, "accounts/webhooks/form.html", {"form": form, "hook": hook, **words}, status=form.status)


@never_cache
@require_http_methods(FORM)
def secret(request: HttpRequest, pk: int) -> HttpResponse:
    hook = seen(request, pk, act=True)
    form = RotateForm(request.POST or None)
    if form.is_valid():
        try:
            return secret_shown(request, services.rotate_secret(by=asker(request), webhook=hook, **form.cleaned_data))
        except Refusal as refusal:
            form.refuse(refusal)
    words = {"title": f"A new secret for {hook.name}", "act": "Make a new secret", "lead": "It is shown once."}
    return render(request, "accounts/webhooks/form.html", {"form": form, "hook": hook, **words}, status=form.status)


@require_http_methods(FORM)
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    hook, form = seen(request, pk, act=True), ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            services.pause_webhook(by=asker(request), webhook=hook, **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"“{hook.name}” is paused.")
            return redirect(hook)
    words = {"title": f"Pause “{hook.name}”?", "act": "Pause", "consequences": PAUSING}
    return confirmed(request, hook, form, words)


@require_http_methods(FORM)
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    hook = seen(request, pk, act=True)
    form = RemoveWebhookForm(request.POST or None, webhook=hook)
    if form.is_valid():
        try:
            services.remove_webhook(by=asker(request), webhook=hook, reason=form.cleaned_data["reason"])
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"“{hook.name}” is removed.")
            return redirect("webhooks")
    words = {"title": f"Remove “{hook.name}”?", "act": "Remove", "consequences": REMOVAL, "type_name": hook.name}
    return confirmed(request, hook, form, words)


def confirmed(request: HttpRequest, hook: Webhook, form: ActForm, words: dict[str, Any]) -> HttpResponse:
    context = {"hook": hook, "form": form, **words}
    return render(request, "accounts/webhooks/confirm.html", context, status=form.status)


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    hook = seen(request, pk)
    try:
        services.resume_webhook(by=asker(request), webhook=hook)
        messages.success(request, f"“{hook.name}” is told again of what happens from now on.")
    except Refusal as refusal:
        messages.warning(request, refusal.sentence)
    return redirect(hook)


@require_POST
def send_test(request: HttpRequest, pk: int) -> HttpResponse:
    hook = seen(request, pk)
    try:
        services.send_test(by=asker(request), webhook=hook)
        messages.success(request, "A test is on its way. Look again in some seconds: below stands what came of it.")
    except Refusal as refusal:
        messages.warning(request, refusal.sentence)
    return redirect(hook)


urlpatterns = [
    path("webhooks/", webhooks, name="webhooks"),
    path("webhooks/new/", new, name="webhook-new"),
    path("webhooks/<int:pk>/", webhook, name="webhook"),
    path("webhooks/<int:pk>/edit/", edit, name="webhook-edit"),
    path("webhooks/<int:pk>/secret/", secret, name="webhook-secret"),
    path("webhooks/<int:pk>/pause/", pause, name="webhook-pause"),
    path("webhooks/<int:pk>/resume/", resume, name="webhook-resume"),
    path("webhooks/<int:pk>/test/", send_test, name="webhook-test"),
    path("webhooks/<int:pk>/remove/", remove, name="webhook-remove"),
]
