"""The page on which people choose what they are mailed."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods

from accounts.asking import asker
from accounts.preferences import services
from accounts.preferences.forms import PreferencesForm
from accounts.preferences.telling import ways_of
from ledger.refusals import Refusal
from notifications.kinds import KINDS


@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    user = asker(request)
    form = PreferencesForm(request.POST or None, ways=ways_of(user))
    if form.is_valid():
        try:
            services.choose(by=user, account=user, ways=form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Your choice is kept.")
            return redirect("preferences")
    context = {
        "form": form, "always": [kind for kind in KINDS.values() if not kind.chosen], "mail_on": settings.MAIL_ON,
        "digest_hour": settings.DIGEST_HOUR,
    }  # fmt: skip
    return render(request, "accounts/preferences.html", context, status=form.status)


urlpatterns = [path("account/notifications/", preferences, name="preferences")]
