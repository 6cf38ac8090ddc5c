"""Who can do what, granting and proposing roles, deciding about proposals, and recertification."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import as_csv, grants_of, holders
from accounts.asking import asker
from accounts.catalogue import conflict
from accounts.forms import ActForm, ReasonForm, end_of
from accounts.granting import services
from accounts.granting.forms import GrantForm, HoldersForm
from accounts.granting.recertifying import drop_grant, due_for, recertify_all
from accounts.models import Grant, ProposedGrant
from accounts.takeover.holding import why_held
from accounts.views.people import FORM, allowed, form_page, looking, seen, tabs
from ledger.refusals import Refusal


def chosen(request: HttpRequest) -> dict[str, Any]:
    """Who can do what, as far as the address narrows it down."""
    user = looking(request)
    form = HoldersForm(request.GET, by=user)
    given = form.cleaned_data if form.is_valid() else {}
    only = given.get("permission", "")
    return {"form": form, "only": only, "abilities": holders(grants_of(user, given.get("team")), only)}


@require_GET
def permissions(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/permissions.html", {**chosen(request), "tabs": tabs(request)})


@require_GET
def permissions_csv(request: HttpRequest) -> HttpResponse:
    headers = {"Content-Disposition": 'attachment; filename="who-can-do-what.csv"'}
    return HttpResponse(as_csv(chosen(request)["abilities"]), content_type="text/csv; charset=utf-8", headers=headers)


@require_http_methods(FORM)
def grant(request: HttpRequest, pk: int) -> HttpResponse:
    """Grant a role to somebody, or propose one: for oneself there is no other way."""
    user, account = allowed(request, "accounts.grant_role"), seen(request, pk)
    own = account.pk == user.pk
    form = GrantForm(request.POST or None, by=user)
    if form.is_valid():
        given = dict(form.cleaned_data)
        try:
            terms = {"by": user, "account": account, "expires_at": end_of(given.pop("expires_on")), **given}
            if own or request.POST.get("propose"):
                return redirect(services.propose_grant(**terms))
            made = services.grant_role(**terms)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{account.name} now holds the role {made}.")
            return redirect("person", account.pk)
    lead = "With reason, and an end where it has one."
    words = {"title": f"Grant a role to {account.name}", "act": "Grant role", "lead": lead}
    if own:
        lead = "Nobody grants a role to themselves: another platform administrator has to confirm it."
        words = {"title": "Propose a role for yourself", "act": "Propose role", "lead": lead}
    back = reverse("person", args=[pk])
    return form_page(request, {"form": form, "account": account, "back": back, "may_propose": not own, **words})


@require_GET
def proposals(request: HttpRequest) -> HttpResponse:
    found = ProposedGrant.objects.visible_to(looking(request)).with_parts()[:200]
    return render(request, "accounts/proposals.html", {"rows": found, "tabs": tabs(request)})


def proposed(request: HttpRequest, pk: int) -> ProposedGrant:
    return get_object_or_404(ProposedGrant.objects.visible_to(asker(request)).with_parts(), pk=pk)


@require_GET
def proposal(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "accounts/proposal.html", about(request, proposed(request, pk)))


def about(request: HttpRequest, found: ProposedGrant) -> dict[str, Any]:
    user = asker(request)
    return {
        "proposal": found, "meets": conflict(found.role.slug, services.held_beside(found.user, found.team)),
        "may_decide": found.state == "proposed" and user.has_perm("accounts.grant_role", found)
        and user.pk not in (found.proposed_by_id, found.user_id),
        "held": why_held(user),
    }  # fmt: skip


@require_http_methods(FORM)
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    found = proposed(request, pk)
    user, form = allowed(request, "accounts.grant_role"), ActForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            services.confirm_grant(by=user, proposal=found)
            messages.success(request, f"{found.user.name} now holds the role {found}.")
            return redirect(found)
        except Refusal as refusal:
            form.refuse(refusal)
    return decision(request, found, form, f"Confirm the role {found} for {found.user.name}?", "Confirm grant")


@require_http_methods(FORM)
def decline(request: HttpRequest, pk: int) -> HttpResponse:
    found = proposed(request, pk)
    user, form = allowed(request, "accounts.grant_role"), ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            services.decline_grant(by=user, proposal=found, reason=form.cleaned_data["reason"])
            messages.success(request, "Declined. Nothing was granted.")
            return redirect(found)
        except Refusal as refusal:
            form.refuse(refusal)
    return decision(request, found, form, f"Decline the role {found} for {found.user.name}?", "Decline")


def decision(request: HttpRequest, found: ProposedGrant, form: ActForm, title: str, act: str) -> HttpResponse:
    context = {**about(request, found), "form": form, "title": title, "act": act}
    return render(request, "accounts/proposal_decide.html", context, status=form.status)


@require_http_methods(FORM)
def recertification(request: HttpRequest) -> HttpResponse:
    """What is due, oldest first; what is ticked is confirmed, each by an act of its own."""
    user = allowed(request, "accounts.recertify_access")
    due = due_for(user)
    if request.method == "POST":
        ticked = [pk for pk in request.POST.getlist("grant") if pk.isdecimal() and len(pk) < 18]
        count, refused = recertify_all(user, due.filter(pk__in=ticked))
        for sentence in refused:
            messages.warning(request, sentence)
        if count:
            messages.success(request, f"{count} {'grant is' if count == 1 else 'grants are'} confirmed.")
        elif not refused:
            messages.info(request, "Nothing was ticked, so nothing was confirmed.")
        return redirect("recertification")
    context = {"rows": due, "tabs": tabs(request), "held": why_held(user)}
    return render(request, "accounts/recertification.html", context)


@require_http_methods(FORM)
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    user = allowed(request, "accounts.recertify_access")
    held = get_object_or_404(Grant.objects.visible_to(user).select_related("user", "role", "team"), pk=pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            drop_grant(by=user, grant=held, reason=form.cleaned_data["reason"])
            messages.success(request, f"{held.user.name} no longer holds the role {held}.")
            return redirect("recertification")
        except Refusal as refusal:
            form.refuse(refusal)
    consequences = [
        f"{held.user.name} loses at once what only this role allows: {held}.",
        "What they signed before keeps counting.",
    ]
    context = {"form": form, "title": "Drop this role?", "consequences": consequences, "act": "Drop role"}
    return render(request, "accounts/confirm.html", {**context, "account": held.user}, status=form.status)


urlpatterns = [
    path("people/permissions/", permissions, name="permissions"),
    path("people/permissions.csv", permissions_csv, name="permissions-csv"),
    path("people/<int:pk>/roles/new/", grant, name="grant-new"),
    path("people/recertification/", recertification, name="recertification"),
    path("people/grants/<int:pk>/drop/", drop, name="grant-drop"),
    path("grant-proposals/", proposals, name="grant-proposals"),
    path("grant-proposals/<int:pk>/", proposal, name="grant-proposal"),
    path("grant-proposals/<int:pk>/confirm/", confirm, name="grant-proposal-confirm"),
    path("grant-proposals/<int:pk>/decline/", decline, name="grant-proposal-decline"),
]
