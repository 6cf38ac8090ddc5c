"""Who signs in whose place: one's own delegations, given and taken."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.asking import asker
from accounts.models import Grant, Team, User
from approvals import services
from approvals.forms import DelegationForm
from approvals.models import Delegation
from approvals.standing_in import SIGNS
from approvals.views import said
from ledger.events import database_time
from ledger.refusals import Refusal


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def delegations(request: HttpRequest) -> HttpResponse:
    user, sent, status = asker(request), request.method == "POST", 200
    form = form_for(user, request.POST if sent else None) if user.may_somewhere(SIGNS) else None
    if sent and form is not None:
        status = 422
        if form.is_valid():
            try:
                services.delegate(by=user, **given(form))
                messages.success(request, "They may sign in your place from now on.")
                return redirect("delegations")
            except Refusal as refusal:
                status = beside(form, refusal)
    at = database_time()
    rows = Delegation.objects.visible_to(user).select_related("giver", "taker", "team")[:200]
    shown = [
        {"delegation": each, "state": each.state_at(at), "mine": user in (each.giver, each.taker)} for each in rows
    ]
    return render(request, "approvals/delegations.html", {"form": form, "rows": shown}, status=status)


def form_for(user: User, data: Any) -> DelegationForm:
    scope = user.scope(SIGNS)
    signing = Grant.objects.active().filter(role__permissions__contains=[SIGNS])
    people = User.objects.filter(grants__in=signing, is_active=True, kind=User.Kind.PERSON).exclude(pk=user.pk)
    teams = Team.objects.all() if scope.everywhere else Team.objects.filter(pk__in=scope.teams)
    initial = {"ends_on": (database_time() + timedelta(days=14)).date()}
    return DelegationForm(
        data, people=people.distinct(), teams=teams, everywhere=scope.everywhere, initial=initial
    )  # fmt: skip


def given(form: DelegationForm) -> dict[str, Any]:
    data = dict(form.cleaned_data)
    day = data.pop("ends_on")
    return {**data, "ends_at": datetime.combine(day, time(23, 59, 59), tzinfo=UTC)}


def beside(form: DelegationForm, refusal: Refusal) -> int:
    if refusal.code in ("wrong_credentials", "account_locked"):
        form.add_error("password", refusal.sentence)
        return 403
    return said(form, Refusal(refusal.code, refusal.sentence, "ends_on") if refusal.field == "ends_at" else refusal)


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    user = asker(request)
    found = get_object_or_404(Delegation.objects.visible_to(user), pk=pk)
    try:
        services.end_delegation(by=user, account=user, delegation=found)
        messages.success(request, "Ended: nobody signs under it any more. What was signed stays.")
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
    return redirect("delegations")
