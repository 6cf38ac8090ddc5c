"""Signing in and out, and one's own account."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import services, sessions
from accounts.access import abilities
from accounts.asking import asker
from accounts.forms import ChangePasswordForm, NewPasswordForm, SignInForm, TokenForm
from accounts.takeover.holding import why_held
from accounts.views import second
from ledger.actors import ANONYMOUS
from ledger.refusals import Refusal

FORM = ["GET", "POST"]


def safe_next(request: HttpRequest, wanted: str) -> str:
    """A path on this site, else the home page."""
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/"):
        return wanted
    return reverse("home")


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(FORM)
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(safe_next(request, request.GET.get("next", "")))
    form = SignInForm(request.POST or None, initial={"next": request.GET.get("next", "")})
    if form.is_valid():
        given = form.cleaned_data
        try:
            account, entered = services.sign_in(
                email=given["email"], password=given["password"], browser=second.browser_of(request)
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            go = second.enter if entered else second.begin
            return go(request, account, safe_next(request, given["next"]))
    return render(request, "accounts/sign_in.html", {"form": form}, status=form.status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        services.close_session(by=asker(request), account=asker(request))
        logout(request)
        messages.success(request, "You are signed out.")
    return redirect("sign-in")


@sensitive_post_parameters()
@never_cache
@require_http_methods(FORM)
def invitation(request: HttpRequest, text: str) -> HttpResponse:
    """A person who was invited sets their first password."""
    account = services.invited(text)
    form = NewPasswordForm(request.POST or None)
    if form.is_valid():
        try:
            services.accept_invitation(by=ANONYMOUS, account=account, text=text, new=form.cleaned_data["new_password"])
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Your password is set. Sign in with it.")
            return redirect("sign-in")
    return render(request, "accounts/invitation.html", {"form": form, "account": account}, status=form.status)


@require_GET
def account(request: HttpRequest) -> HttpResponse:
    user = asker(request)
    grants = user.grants.active().with_due().select_related("role", "team", "granted_by", "proposal__decided_by")
    page = {
        "grants": grants.order_by("role__name"), "tokens": user.tokens.order_by("-pk"), "abilities": abilities(user),
        "held": why_held(user), "factors": user.factors.standing(),
        "codes_left": user.recovery_codes.filter(used_at=None).count(),
        "places": sessions.places(user, request.session.session_key),
    }  # fmt: skip
    return render(request, "accounts/account.html", page)


@sensitive_post_parameters()
@never_cache
@require_http_methods(FORM)
def change_password(request: HttpRequest) -> HttpResponse:
    form = ChangePasswordForm(request.POST or None)
    if form.is_valid():
        old, new = form.cleaned_data["old_password"], form.cleaned_data["new_password"]
        services.count_attempt(asker(request))
        here = request.session.session_key or ""
        try:
            changed = services.change_password(by=asker(request), account=asker(request), old=old, new=new, keep=here)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            update_session_auth_hash(request, changed)
            sessions.move(here, request.session.session_key or "")
            messages.success(request, "Your password is changed. Everywhere else you are signed out.")
            return redirect("account")
    return render(request, "accounts/change_password.html", {"form": form}, status=form.status)


@never_cache
@require_http_methods(FORM)
def new_token(request: HttpRequest) -> HttpResponse:
    offered = [ability.permission for ability in abilities(asker(request))]
    form = TokenForm(request.POST or None, offered=offered)
    if form.is_valid():
        try:
            token, text = services.create_own_token(by=asker(request), account=asker(request), **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            made = {"token": token, "text": text, "back": reverse("account")}
            return render(request, "accounts/token_made.html", made)
    return render(request, "accounts/token_new.html", {"form": form}, status=form.status)


@require_http_methods(FORM)
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(asker(request).tokens, pk=pk)
    if request.method == "POST":
        try:
            services.revoke_own_token(by=asker(request), token=token)
            messages.success(request, f"The token “{token.name}” is revoked.")
        except Refusal as refusal:
            messages.warning(request, refusal.sentence)
        return redirect("account")
    return render(request, "accounts/token_revoke.html", {"token": token, "back": reverse("account")})
