"""The outbox for those who look after the house: what left, what waits, and what was given up."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from ledger.refusals import Denied, Refusal
from notifications import services
from notifications.forms import OutboxFilter
from notifications.health import mail_state
from notifications.models import Notification

PAGE = 50


@require_GET
def outbox(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not user.has_perm("notifications.view_outbox"):
        raise Denied("notifications.view_outbox")
    form = OutboxFilter(request.GET)
    wanted: dict[str, Any] = form.cleaned_data if form.is_valid() else {}
    rows = Notification.objects.visible_to(user)
    rows = rows.filter(state=wanted["state"]) if wanted.get("state") else rows
    rows = rows.filter(pk__lt=wanted["before"]) if wanted.get("before") else rows
    found = list(rows.order_by("-pk").defer("body")[: PAGE + 1])
    context = {
        "rows": found[:PAGE], "last": found[PAGE - 1].pk if len(found) > PAGE else None, "form": form,
        "state": wanted.get("state", ""), "mail": mail_state(), "mail_on": settings.MAIL_ON,
        "may_retry": user.has_perm("notifications.retry_delivery"),
    }  # fmt: skip
    return render(request, "notifications/outbox.html", context)


@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    notification = get_object_or_404(Notification.objects.visible_to(request.user), pk=pk)
    try:
        services.retry(by=request.user, notification=notification)
        messages.success(request, "It will be sent again in a moment.")
    except Refusal as refusal:
        messages.warning(request, refusal.sentence)
    if request.POST.get("back") == "webhook" and notification.webhook_id is not None:
        return redirect("webhook", notification.webhook_id)
    return redirect("outbox")
