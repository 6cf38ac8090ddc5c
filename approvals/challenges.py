"""Asking a passkey to sign: the challenge is made from the digest, and the answer is read from what was sent."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest

from accounts.factors import passkeys
from accounts.factors.checking import Answer
from accounts.models import Factor, User
from ledger.refusals import Refusal


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
