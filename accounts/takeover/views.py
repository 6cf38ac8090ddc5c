"""Links for new passwords, mail addresses, and confirming that such a change was the person's own wish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.asking import asker
from accounts.forms import ActForm, NewPasswordForm, ReasonForm
from accounts.models import User
from accounts.takeover import services
from accounts.takeover.factors import accept_factor_link, send_factor_link
from accounts.takeover.forms import AddressForm, FactorsForm, ForgotForm, OwnAddressForm
from accounts.takeover.links import factors_link, of_factors, of_reset, reset_link
from accounts.views.people import FORM, allowed, form_page, seen
from ledger.refusals import Refusal


@never_cache
@require_http_methods(FORM)
def forgot(request: HttpRequest) -> HttpResponse:
    """The same answer whether the address is known or not."""
    if request.user.is_authenticated:
        return redirect("password")
    form = ForgotForm(request.POST or None)
    if form.is_valid():
        try:
            services.ask_for_reset(email=form.cleaned_data["email"])
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "If this address has an account, a link is on its way. It works once, for a day.")
            return redirect("sign-in")
    return render(request, "accounts/forgot.html", {"form": form, "mail_on": settings.MAIL_ON}, status=form.status)


@sensitive_post_parameters()
@sensitive_variables("text")
@never_cache
@require_http_methods(FORM)
def reset(request: HttpRequest, text: str) -> HttpResponse:
    """Whoever holds a one-time link sets a new password."""
    account, _ = of_reset(text)
    form = NewPasswordForm(request.POST or None)
    if form.is_valid():
        try:
            services.accept_reset(text=text, new=form.cleaned_data["new_password"])
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Your password is set. Sign in with it.")
            return redirect("sign-in")
    return render(request, "accounts/reset.html", {"form": form, "account": account}, status=form.status)


@sensitive_post_parameters("password")
@sensitive_variables("text")
@never_cache
@require_http_methods(FORM)
def reset_factors(request: HttpRequest, text: str) -> HttpResponse:
    """Whoever holds a one-time link and knows the password removes second factors that are lost."""
    account, _ = of_factors(text)
    form = FactorsForm(request.POST or None)
    if form.is_valid():
        try:
            accept_factor_link(text=text, password=form.cleaned_data["password"])
        except Refusal as refusal:
            form.refuse(Refusal(refusal.code, refusal.sentence, refusal.field or "password"))
        else:
            messages.success(
                request, "Your second factors are removed. Sign in, and add new ones on your account page."
            )
            return redirect("sign-in")
    return render(request, "accounts/factors_reset.html", {"form": form, "account": account}, status=form.status)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(FORM)
def own_address(request: HttpRequest) -> HttpResponse:
    form = OwnAddressForm(request.POST or None)
    if form.is_valid():
        try:
            services.change_own_address(by=asker(request), **form.cleaned_data)
        except Refusal as refusal:
            form.refuse(Refusal(refusal.code, refusal.sentence, refusal.field or "password"))
        else:
            messages.success(request, "Your mail address is changed. For 24 hours your account signs nothing.")
            return redirect("account")
    return render(request, "accounts/own_address.html", {"form": form}, status=form.status)


def guarded(request: HttpRequest, pk: int) -> tuple[User, User]:
    """Who asks, and the account whose credentials they look after."""
    return allowed(request, "accounts.manage_credentials"), seen(request, pk)


@sensitive_variables("text")
def sent(
    request: HttpRequest, pk: int, send: Callable[..., str], link: Callable[[str], str], title: str, lead: str
) -> HttpResponse:
    """The page on which an administrator sends a one-time link, or without mail is shown it to hand it over."""
    (user, account), form = guarded(request, pk), ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            text = send(by=user, account=account, reason=form.cleaned_data["reason"])
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            if text:
                return render(request, "accounts/reset_made.html", {"account": account, "link": link(text)})
            messages.success(request, f"A link is on its way to {account.name}.")
            return redirect("person", pk)
    return about(request, account, form, {"title": title.format(account.name), "act": "Send link", "lead": lead})


@never_cache
@require_http_methods(FORM)
def send_link(request: HttpRequest, pk: int) -> HttpResponse:
    lead = "A link by which they set a new password, once, within a day. You set no password for anybody."
    return sent(request, pk, services.send_reset_link, reset_link, "Send {} a link", lead)


@never_cache
@require_http_methods(FORM)
def send_for_factors(request: HttpRequest, pk: int) -> HttpResponse:
    lead = (
        "A link by which they remove their lost second factors, once, within a day, and only with their password. "
        "Their account then signs nothing for 24 hours. Ask them first, in person or by telephone, whether it is they."
    )
    return sent(request, pk, send_factor_link, factors_link, "Lost second factors of {}", lead)


@require_http_methods(FORM)
def change_address(request: HttpRequest, pk: int) -> HttpResponse:
    (user, account), form = guarded(request, pk), AddressForm(request.POST or None)
    if form.is_valid():
        try:
            services.change_address(by=user, account=account, **form.cleaned_data)
            told = ", and the old one was told" if settings.MAIL_ON else ""
            messages.success(request, f"The mail address is changed{told}.")
            return redirect("person", pk)
        except Refusal as refusal:
            form.refuse(refusal)
    lead = "Whoever reads mail there can set a new password. The old address is told, and signing waits for 24 hours."
    words = {"title": f"Change the mail address of {account.name}", "act": "Change address", "lead": lead}
    return about(request, account, form, words)


@require_http_methods(FORM)
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    (user, account), form = guarded(request, pk), ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            services.confirm_credentials(by=user, account=account, reason=form.cleaned_data["reason"])
            messages.success(request, f"{account.name} may sign again.")
            return redirect("person", pk)
        except Refusal as refusal:
            form.refuse(refusal)
    lead = "Ask them first, in person or by telephone: whether they wished it themselves. Then they may sign at once."
    words = {"title": f"Confirm the credentials of {account.name}", "act": "Confirm", "lead": lead}
    return about(request, account, form, words)


def about(request: HttpRequest, account: User, form: ActForm, words: dict[str, Any]) -> HttpResponse:
    return form_page(request, {"form": form, "account": account, "back": reverse("person", args=[account.pk]), **words})


urlpatterns = [
    path("sign-in/forgot/", forgot, name="forgot-password"),
    path("sign-in/reset/<str:text>/", reset, name="password-reset"),
    path("sign-in/factors/<str:text>/", reset_factors, name="factors-reset"),
    path("account/address/", own_address, name="own-address"),
    path("people/<int:pk>/link/", send_link, name="person-link"),
    path("people/<int:pk>/factor-link/", send_for_factors, name="person-factor-link"),
    path("people/<int:pk>/address/", change_address, name="person-address"),
    path("people/<int:pk>/credentials/", confirm, name="person-credentials"),
]
