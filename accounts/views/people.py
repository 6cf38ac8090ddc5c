"""People, service accounts and teams."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import services
from accounts.access import abilities
from accounts.forms import (
    DeactivateForm,
    PersonForm,
    ReasonForm,
    ServiceAccountForm,
    TeamForm,
    TokenForm,
)
from accounts.models import ApiToken, Grant, Role, Team, User
from accounts.takeover.holding import holding
from ledger.refusals import Denied, Refusal

FORM = ["GET", "POST"]


def looking(request: HttpRequest) -> User:
    """Who looks at people. Raises Denied where they may see nobody."""
    return allowed(request, "accounts.view_people")


def allowed(request: HttpRequest, permission: str) -> User:
    """Who asks. Raises Denied where they hold the permission nowhere, before they fill in a form for nothing."""
    user = cast(User, request.user)
    if not user.may_somewhere(permission):
        raise Denied(permission)
    return user


def seen(request: HttpRequest, pk: int) -> User:
    account: User = get_object_or_404(User.objects.visible_to(cast(User, request.user)), pk=pk)
    return account


def offered(user: User, *permissions: str) -> dict[str, bool]:
    """Which of these acts to offer, by the last word of the permission."""
    return {f"may_{name.partition('.')[2]}": user.may_somewhere(name) for name in permissions}


@require_GET
def people(request: HttpRequest) -> HttpResponse:
    user, wanted = looking(request), request.GET.get("role", "")
    shown = User.objects.visible_to(user).select_related("team")
    if name := request.GET.get("name", "").replace("\x00", ""):
        shown = shown.filter(name__icontains=name)
    if wanted:
        shown = shown.filter(pk__in=Grant.objects.active().filter(role__slug=wanted).values("user"))
    held = Grant.objects.active().with_due().filter(user__in=shown).select_related("role", "team")
    held = held.order_by("role__name")
    rows = [(account, [grant for grant in held if grant.user_id == account.pk]) for account in shown]
    context = {"rows": rows, "roles": Role.objects.all(), "wanted": wanted, "tabs": tabs(request), "name": name}
    return render(request, "accounts/people.html", context | offered(user, "accounts.add_account"))


def tabs(request: HttpRequest) -> list[dict[str, str]]:
    found = [
        {"key": "people", "label": "People", "url": reverse("people")},
        {"key": "permissions", "label": "Who can do what", "url": reverse("permissions")},
        {"key": "teams", "label": "Teams", "url": reverse("teams")},
        {"key": "proposals", "label": "Proposed grants", "url": reverse("grant-proposals")},
    ]
    if cast(User, request.user).may_somewhere("accounts.recertify_access"):
        found.append({"key": "recertification", "label": "Recertification", "url": reverse("recertification")})
    if cast(User, request.user).has_perm("notifications.view_outbox"):
        found.append({"key": "outbox", "label": "Outbox", "url": reverse("outbox")})
    if cast(User, request.user).may_somewhere("notifications.view_outbox"):
        found.append({"key": "webhooks", "label": "Webhooks", "url": reverse("webhooks")})
    return found


@require_GET
def person(request: HttpRequest, pk: int) -> HttpResponse:
    user, account = cast(User, request.user), seen(request, pk)
    held = account.grants.active().with_due().select_related("role", "team", "granted_by", "proposal__decided_by")
    may_issue = account.is_service and user.has_perm("accounts.issue_service_token", account)
    may_manage = user.has_perm("accounts.manage_credentials", account) and account != user and account.is_active
    context = {
        "account": account, "grants": held.order_by("role__name"), "abilities": abilities(account),
        "tokens": account.tokens.order_by("-pk") if may_issue else None,
        "may_grant": user.may_somewhere("accounts.grant_role"), "is_own": account == user,
        "may_deactivate": user.has_perm("accounts.deactivate_account", account) and account != user,
        "may_invite": user.has_perm("accounts.add_account", account)
        and account.is_person and account.is_active and not account.has_usable_password(),
        "may_manage": may_manage, "may_reset": may_manage and account.is_person and account.has_usable_password(),
        "may_free": may_manage and account.factors.standing().exists(),
        "waiting": account.proposed_grants.waiting().with_parts(), "holding": holding(account),
    }  # fmt: skip
    return render(request, "accounts/person.html", context)


@require_http_methods(FORM)
def add_person(request: HttpRequest) -> HttpResponse:
    user = allowed(request, "accounts.add_account")
    form = PersonForm(request.POST or None)
    if form.is_valid():
        try:
            added = services.add_account(by=user, **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{added.name} is added. Make an invitation, then grant a role.")
            return redirect("person", added.pk)
    context = {"form": form, "title": "Add a person", "lead": "They set their password by an invitation.", "act": "Add"}
    return form_page(request, context)


@require_http_methods(FORM)
def add_service_account(request: HttpRequest) -> HttpResponse:
    user = allowed(request, "accounts.add_account")
    form = ServiceAccountForm(request.POST or None, by=user)
    if form.is_valid():
        given = {**form.cleaned_data, "kind": User.Kind.SERVICE}
        try:
            added = services.add_account(by=user, **given)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{added.name} is added. Grant a role, then make a token.")
            return redirect("person", added.pk)
    lead = "A program that uses the API in its own name. It signs nothing."
    return form_page(request, {"form": form, "title": "Add a service account", "lead": lead, "act": "Add"})


def form_page(request: HttpRequest, context: dict[str, object]) -> HttpResponse:
    form = cast(PersonForm, context["form"])
    return render(request, "accounts/form.html", {"back": reverse("people"), **context}, status=form.status)


@require_http_methods(FORM)
def revoke_grant(request: HttpRequest, pk: int) -> HttpResponse:
    user = cast(User, request.user)
    held = get_object_or_404(Grant.objects.visible_to(user), pk=pk)
    allowed(request, "accounts.grant_role")
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            services.revoke_grant(by=user, grant=held, reason=form.cleaned_data["reason"])
            messages.success(request, f"{held.user.name} no longer holds the role {held}.")
        except Refusal as refusal:
            messages.warning(request, refusal.sentence)
        return redirect("person", held.user_id)
    consequences = [
        f"{held.user.name} loses at once what only this role allows: {held}.",
        "What they signed before keeps counting.",
    ]
    context = {"form": form, "title": "Revoke this role?", "consequences": consequences, "act": "Revoke role"}
    return render(request, "accounts/confirm.html", {**context, "account": held.user}, status=form.status)


@require_http_methods(FORM)
def deactivate(request: HttpRequest, pk: int) -> HttpResponse:
    account = seen(request, pk)
    allowed(request, "accounts.deactivate_account")
    form = DeactivateForm(request.POST or None, account=account)
    if form.is_valid():
        try:
            services.deactivate_account(
                by=cast(User, request.user), account=account, reason=form.cleaned_data["reason"]
            )
            messages.success(request, f"{account.name} is deactivated.")
            return redirect("person", pk)
        except Refusal as refusal:
            form.refuse(refusal)
    consequences = [
        "They are signed out everywhere, and their API tokens end.",
        "What they signed stays, and keeps counting.",
    ]
    context = {
        "form": form,
        "title": f"Deactivate {account.name}?",
        "consequences": consequences,
        "type_name": account.name,
    }
    return render(
        request, "accounts/confirm.html", {**context, "act": "Deactivate", "account": account}, status=form.status
    )


@never_cache
@require_POST
def invite(request: HttpRequest, pk: int) -> HttpResponse:
    account = seen(request, pk)
    try:
        text = services.invite(by=cast(User, request.user), account=account)
    except Refusal as refusal:
        messages.warning(request, refusal.sentence)
        return redirect("person", pk)
    link = request.build_absolute_uri(reverse("invitation", args=[text]))
    return render(request, "accounts/invited.html", {"account": account, "link": link})


@never_cache
@require_http_methods(FORM)
def issue_token(request: HttpRequest, pk: int) -> HttpResponse:
    account = seen(request, pk)
    allowed(request, "accounts.issue_service_token")
    form = TokenForm(request.POST or None, offered=[ability.permission for ability in abilities(account)])
    if form.is_valid():
        try:
            token, text = services.issue_service_token(
                by=cast(User, request.user), account=account, **form.cleaned_data
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            made = {"token": token, "text": text, "back": reverse("person", args=[pk])}
            return render(request, "accounts/token_made.html", made)
    return render(request, "accounts/token_new.html", {"form": form, "account": account}, status=form.status)


@require_http_methods(FORM)
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.visible_to(cast(User, request.user)), pk=pk)
    if request.method == "POST":
        try:
            services.revoke_service_token(by=cast(User, request.user), token=token)
            messages.success(request, f"The token “{token.name}” is revoked.")
        except Refusal as refusal:
            messages.warning(request, refusal.sentence)
        return redirect("person", token.user_id)
    return render(
        request, "accounts/token_revoke.html", {"token": token, "back": reverse("person", args=[token.user_id])}
    )


@require_GET
def teams(request: HttpRequest) -> HttpResponse:
    user = looking(request)
    shown = Team.objects.visible_to(user)
    held = Grant.objects.active().filter(team__in=shown, user__is_active=True).select_related("user", "role")
    rows = [(team, [grant for grant in held if grant.team_id == team.pk]) for team in shown]
    context = {"rows": rows, "tabs": tabs(request)}
    return render(request, "accounts/teams.html", context | offered(user, "accounts.add_team"))


@require_http_methods(FORM)
def add_team(request: HttpRequest) -> HttpResponse:
    user = allowed(request, "accounts.add_team")
    form = TeamForm(request.POST or None)
    if form.is_valid():
        try:
            added = services.add_team(by=user, **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"The team {added.name} is added.")
            return redirect("teams")
    lead = "Models, data and requests belong to a team; roles can be granted for one."
    return form_page(
        request, {"form": form, "title": "Add a team", "lead": lead, "act": "Add", "back": reverse("teams")}
    )
