"""The second step of signing in, for whoever has a second factor."""

from __future__ import annotations

import json
import time
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import sessions
from accounts.factors import passkeys, services
from accounts.factors.checking import Answer
from accounts.factors.forms import SecondForm
from accounts.models import Factor, User
from ledger.refusals import Refusal

HALFWAY = "signing_in"
LASTS = 300  # seconds between the password and the second factor


def begin(request: HttpRequest, account: User, wanted: str) -> HttpResponse:
    """Keep in the session, which opens nothing yet, whose password was right."""
    request.session.cycle_key()
    begun = account.get_session_auth_hash()
    request.session[HALFWAY] = {"account": account.pk, "begun": begun, "at": time.time(), "next": wanted}
    return redirect("sign-in-second")


def halfway(request: HttpRequest) -> tuple[User, dict[str, Any]] | None:
    """Who has given their password in this session, lately."""
    kept = request.session.get(HALFWAY)
    if not kept or time.time() - kept["at"] > LASTS:
        request.session.pop(HALFWAY, None)
        return None
    account: User | None = User.objects.filter(pk=kept["account"], is_active=True).first()
    return (account, kept) if account else None


def session_of(request: HttpRequest) -> str:
    """What a passkey's answer is bound to in a browser."""
    return f"session:{request.session.session_key}"


def enter(request: HttpRequest, account: User, wanted: str) -> HttpResponse:
    """Open the session: its event has just been written."""
    request.session.pop(HALFWAY, None)
    login(request, account)
    sessions.note(account, request.session.session_key or "")
    return redirect(wanted)


def given(request: HttpRequest, data: dict[str, Any]) -> Answer:
    """What a form with `code`, `passkey` and `ticket` says of a second factor."""
    told = {name: data.get(name) or "" for name in ("code", "passkey", "ticket")}
    return Answer(**told, origin=passkeys.origin_of(request), session=session_of(request))


def browser_of(request: HttpRequest) -> str:
    return sessions.family(request.headers.get("User-Agent", ""))


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def second(request: HttpRequest) -> HttpResponse:
    found = halfway(request)
    if request.user.is_authenticated or found is None:
        if request.method == "POST" and found is None:
            messages.warning(request, "That took too long. Sign in with your password again.")
        return redirect("sign-in")
    account, kept = found
    form = SecondForm(request.POST or None)
    if form.is_valid():
        try:
            answer = given(request, form.cleaned_data)
            services.finish(account=account, begun=kept["begun"], answer=answer, browser=browser_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            return enter(request, account, kept["next"])
    return render(request, "accounts/second.html", asked(request, account, form), status=form.status)


def asked(request: HttpRequest, account: User, form: SecondForm) -> dict[str, Any]:
    """The page: a field for a code, and for whoever has a passkey what their browser is to ask it."""
    known = [bytes(one.attested) for one in account.factors.standing().filter(kind=Factor.Kind.PASSKEY)]
    challenge = passkeys.issue("sign in", account, session_of(request))
    options = json.dumps(passkeys.to_ask(passkeys.origin_of(request), challenge, known)) if known else ""
    form.carry(challenge.ticket)
    return {"form": form, "options": options}
