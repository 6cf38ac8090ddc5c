"""One's own second factors, sessions and sign-in history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import sessions
from accounts.asking import asker
from accounts.factors import passkeys, qr, rules, services
from accounts.factors.forms import NewAppForm, NewPasskeyForm, PasswordForm
from accounts.forms import ActForm
from accounts.history import history
from accounts.models import Factor
from accounts.services import count_attempt
from accounts.views.second import given, session_of
from ledger.refusals import Refusal

FORM = ["GET", "POST"]


def done(request: HttpRequest, form: ActForm, act: Callable[..., Any], **arguments: Any) -> Any:
    """What an act with a fresh password gave, or None where it was refused, which the form then says."""
    count_attempt(asker(request))
    try:
        return act(by=asker(request), account=asker(request), **arguments)
    except Refusal as refusal:
        form.refuse(refusal)
        return None


def told(request: HttpRequest, made: services.Added) -> HttpResponse:
    """After a factor was added: the recovery codes, where some came with it."""
    messages.success(request, f"“{made.factor.name}” is added. From now on you are asked for it when you sign in.")
    if made.codes:
        return render(request, "accounts/recovery_codes.html", {"codes": made.codes})
    return redirect("account")


@sensitive_post_parameters()
@never_cache
@require_http_methods(FORM)
def new_app(request: HttpRequest) -> HttpResponse:
    form = NewAppForm(request.POST or None)
    if form.is_valid() and (made := done(request, form, services.add_app, **form.cleaned_data)):
        return told(request, made)
    try:
        secret = services.offered_secret(asker(request), request.POST.get("offered", ""))
    except Refusal:
        secret, offered = services.offer_app(asker(request))
        form.carry(offered)
    drawn = qr.draw(rules.address(secret, issuer="Countersign", account=asker(request).email))
    page = {"form": form, "secret": rules.in_groups(secret), "qr": drawn}
    return render(request, "accounts/app_new.html", page, status=form.status)


@sensitive_post_parameters()
@never_cache
@require_http_methods(FORM)
def new_passkey(request: HttpRequest) -> HttpResponse:
    account, form = asker(request), NewPasskeyForm(request.POST or None)
    if form.is_valid():
        name, password = form.cleaned_data["name"], form.cleaned_data["password"]
        answer = given(request, form.cleaned_data)
        if made := done(request, form, services.add_passkey, name=name, password=password, answer=answer):
            return told(request, made)
    origin = passkeys.origin_of(request)
    known = [bytes(one.attested) for one in account.factors.standing().filter(kind=Factor.Kind.PASSKEY)]
    challenge = passkeys.issue("add", account, session_of(request))
    form.carry(challenge.ticket)
    options = passkeys.to_register(origin, account, challenge, known)
    page = {"form": form, "possible": passkeys.possible(origin), "origin": origin, "options": options}
    return render(request, "accounts/passkey_new.html", page, status=form.status)


@sensitive_post_parameters()
@never_cache
@require_http_methods(FORM)
def remove_factor(request: HttpRequest, pk: int) -> HttpResponse:
    factor = get_object_or_404(asker(request).factors.standing(), pk=pk)
    form = PasswordForm(request.POST or None)
    if form.is_valid() and done(
        request, form, services.remove_factor, factor=factor, password=form.cleaned_data["password"]
    ):
        messages.success(request, f"“{factor.name}” is removed.")
        return redirect("account")
    last = asker(request).factors.standing().count() == 1
    consequences = ["It no longer lets you in and no longer signs. What it signed keeps counting."]
    if last:
        consequences.append("It is your last one: you sign in with the password alone, and your recovery codes end.")
    page = {"form": form, "factor": factor, "consequences": consequences, "back": reverse("account")}
    return render(request, "accounts/factor_remove.html", page, status=form.status)


@sensitive_post_parameters()
@never_cache
@require_http_methods(FORM)
def new_recovery_codes(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.POST or None)
    if form.is_valid() and (
        codes := done(request, form, services.make_recovery_codes, password=form.cleaned_data["password"])
    ):
        return render(request, "accounts/recovery_codes.html", {"codes": codes})
    return render(request, "accounts/recovery_codes_new.html", {"form": form}, status=form.status)


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        sessions.end_session(by=asker(request), account=asker(request), session=pk)
        messages.success(request, "That browser is signed out.")
    except Refusal as refusal:
        messages.warning(request, refusal.sentence)
    return redirect("account")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    keep = request.session.session_key or ""
    count = sessions.end_other_sessions(by=asker(request), account=asker(request), keep=keep)
    messages.success(request, f"Signed out elsewhere: {count} browser{'' if count == 1 else 's'}.")
    return redirect("account")


@require_GET
def sign_in_history(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/history.html", history(asker(request), request.GET.get("before", "")))
