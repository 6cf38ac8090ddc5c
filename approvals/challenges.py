"""Who signs, on pages and in the API: what is asked for, reading what was sent, and where a refusal is said."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest

from accounts.asking import asker
from accounts.factors import passkeys
from accounts.factors.checking import Answer
from accounts.models import Factor, User
from approvals.models import ReviewRequest
from approvals.proving import wants_second_factor
from ledger.refusals import Refusal

# Refusals that say that it was not proved who signs, and the field they stand beside.
UNPROVED = {
    "wrong_credentials": "password", "account_locked": "password", "wrong_code": "code", "code_used": "code",
    "factor_unreadable": "code", "wrong_passkey": None, "challenge_ended": None, "challenge_used": None,
    "second_factor_needed": None, "factor_too_new": None,
}  # fmt: skip


def for_signing(request: HttpRequest, by: User, digest: str, session: str) -> dict[str, Any]:
    """A challenge for the digest, as the API shows it. Raises Refusal `no_passkey`."""
    known = [bytes(one.attested) for one in by.factors.standing().filter(kind=Factor.Kind.PASSKEY)]
    if not known:
        raise Refusal("no_passkey", "You have no passkey. Add one on your account page, in a browser.")
    challenge = passkeys.issue("signature", by, session, digest)
    options = passkeys.to_ask(passkeys.origin_of(request), challenge, known)
    lives = int(passkeys.LIVES["signature"].total_seconds())
    return {"digest": digest, "ticket": challenge.ticket, "options": options, "expires_in": lives}


def answer(request: HttpRequest, code: str, ticket: str, passkey: Any) -> Answer:
    """A second factor as it came: a passkey's answer is JSON, or the text of it."""
    text = passkey if isinstance(passkey, str) else json.dumps(passkey) if passkey else ""
    return Answer(code=code, passkey=text, ticket=ticket, origin=passkeys.origin_of(request))


def given(request: HttpRequest, data: dict[str, Any]) -> dict[str, Any]:
    """What a ProofForm says of who signs, as `reauthenticate` takes it."""
    second = answer(request, data.get("code", ""), data["ticket"], data["passkey"])
    return {"password": data.get("password", ""), "second": second}


def asked(request: HttpRequest, found: ReviewRequest) -> dict[str, bool]:
    """What a ProofForm has to know: which factors the signer has, and whether a password alone is too little."""
    kinds = set(asker(request).factors.standing().values_list("kind", flat=True))
    return {
        "app": Factor.Kind.TOTP in kinds, "passkeys": Factor.Kind.PASSKEY in kinds,
        "needed": wants_second_factor(found),
    }  # fmt: skip


def unproved(form: Any, refusal: Refusal) -> bool:
    """Whether a refusal is about who signs; then the form says so (and the answer's status is 403)."""
    if refusal.code not in UNPROVED:
        return False
    field = UNPROVED[refusal.code]
    form.add_error(field if field in form.fields else None, refusal.sentence)
    return True
