"""Passkeys (WebAuthn): what a browser is asked for, and whether its answer holds. Nothing is written here.

A challenge is never random bytes that only the server knows the meaning of. It is

    SHA-256("countersign <purpose> v1\\n<subject>\\n<salt>")

where the subject of a signature is the digest that is signed. So whoever has the digest, the salt, the assertion and
the passkey's public key (all four are in the log) can check that this passkey answered for exactly this digest.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from fido2 import cbor
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts.models import User
from ledger.canonical import sha256
from ledger.refusals import Refusal

ALGORITHMS = (-7, -8, -257)  # ES256, EdDSA, RS256
LONGEST = 16_384  # characters of a browser's answer
LIVES = {"add": timedelta(minutes=15), "sign in": timedelta(minutes=5), "signature": timedelta(minutes=2)}
# Not preferred but required: a passkey that asks for a finger or a PIN is two factors by itself.
VERIFIED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True)
class Challenge:
    """`ticket` travels through the browser and back, signed by us; `value` is what the passkey signs."""

    ticket: str
    purpose: str
    subject: str
    salt: str

    @property
    def value(self) -> bytes:
        return challenge_of(self.purpose, self.subject, self.salt)

    @property
    def digest(self) -> str:
        return sha256(self.value)


@dataclass(frozen=True)
class Assertion:
    """An answer that holds. `public` is what may be kept and shown: no secret is in it."""

    credential: str
    sign_count: int
    public: dict[str, str]


def challenge_of(purpose: str, subject: str, salt: str) -> bytes:
    return hashlib.sha256(f"countersign {purpose} v1\n{subject}\n{salt}".encode()).digest()


def issue(purpose: str, account: User, session: str, subject: str = "") -> Challenge:
    """A challenge for one account in one session. What is signed with it cannot serve another purpose or subject."""
    salt = secrets.token_hex(16)
    bound = {"purpose": purpose, "account": account.pk, "session": hashed(session), "subject": subject, "salt": salt}
    return Challenge(signing.dumps(bound, salt="accounts.factors.passkeys"), purpose, subject, salt)


def redeem(ticket: str, purpose: str, account: User, session: str, subject: str = "") -> Challenge:
    """The challenge of a ticket. Raises Refusal `challenge_ended` for one that was not issued for just this."""
    lives = LIVES[purpose]
    try:
        bound = signing.loads(ticket, salt="accounts.factors.passkeys", max_age=lives)
    except signing.BadSignature:
        bound = {}
    wanted = {"purpose": purpose, "account": account.pk, "session": hashed(session), "subject": subject}
    if {name: bound.get(name) for name in wanted} != wanted:
        minutes = int(lives.total_seconds() // 60)
        sentence = f"That took too long, or was for something else: the passkey has {minutes} minutes. Try again."
        raise Refusal("challenge_ended", sentence)
    return Challenge(ticket, purpose, subject, bound["salt"])


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def origin_of(request: HttpRequest) -> str:
    """The origin that passkeys must have been used at: PUBLIC_URL's, or, outside production, `localhost`.

    Browsers give passkeys to names only, so under an address such as 127.0.0.1 there are none.
    """
    if not settings.PRODUCTION and request.get_host().partition(":")[0] == "localhost":
        return f"{request.scheme}://{request.get_host()}"
    parts = urlsplit(settings.PUBLIC_URL)
    return f"{parts.scheme}://{parts.netloc}"


def possible(origin: str) -> bool:
    """Whether browsers have passkeys for this origin: https with a name, or localhost."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    named = not host.rpartition(".")[2].isdecimal() and ":" not in host
    return host == "localhost" or (parts.scheme == "https" and named)


def server(origin: str) -> Fido2Server:
    rp = PublicKeyCredentialRpEntity(id=urlsplit(origin).hostname or "", name="Countersign")
    made = Fido2Server(rp, verify_origin=lambda given: given == origin)
    kind = PublicKeyCredentialType.PUBLIC_KEY
    made.allowed_algorithms = [PublicKeyCredentialParameters(type=kind, alg=number) for number in ALGORITHMS]
    return made


def to_register(origin: str, account: User, challenge: Challenge, known: list[bytes]) -> str:
    """The options of `navigator.credentials.create`, as JSON."""
    options, _ = server(origin).register_begin(
        PublicKeyCredentialUserEntity(id=account.opaque_id.bytes, name=account.email, display_name=account.name),
        [AttestedCredentialData(one) for one in known], challenge=challenge.value, user_verification=VERIFIED,
        resident_key_requirement=ResidentKeyRequirement.PREFERRED,
    )  # fmt: skip
    return json.dumps(dict(options.public_key), default=dict)


def to_ask(origin: str, challenge: Challenge, known: list[bytes]) -> dict[str, Any]:
    """The options of `navigator.credentials.get`, as plain JSON."""
    options, _ = server(origin).authenticate_begin(
        [AttestedCredentialData(one) for one in known], challenge=challenge.value, user_verification=VERIFIED
    )
    plain: dict[str, Any] = json.loads(json.dumps(dict(options.public_key), default=dict))
    return plain


def state_of(challenge: Challenge) -> dict[str, Any]:
    return {"challenge": websafe_encode(challenge.value), "user_verification": VERIFIED}


def registered(origin: str, challenge: Challenge, answer: str) -> tuple[AttestedCredentialData, int]:
    """What a new passkey attested, and its count. Raises Refusal `wrong_passkey`."""
    data: AuthenticatorData = held(lambda: server(origin).register_complete(state_of(challenge), parsed(answer)))
    attested = data.credential_data
    assert attested is not None
    if attested.public_key.get(3) not in ALGORITHMS:
        raise wrong_passkey()
    return attested, data.counter


def asserted(origin: str, challenge: Challenge, known: list[bytes], answer: str) -> Assertion:
    """The assertion of one of the known passkeys. Raises Refusal `wrong_passkey`."""
    state, credentials = state_of(challenge), [AttestedCredentialData(one) for one in known]
    used = held(lambda: server(origin).authenticate_complete(state, credentials, parsed(answer)))
    told = AuthenticationResponse.from_dict(parsed(answer)).response
    public = {
        "credential": sha256(used.credential_id), "salt": challenge.salt,
        "authenticator_data": websafe_encode(told.authenticator_data),
        "client_data": websafe_encode(told.client_data), "signature": websafe_encode(told.signature),
    }  # fmt: skip
    return Assertion(public["credential"], told.authenticator_data.counter, public)


def public_key(attested: AttestedCredentialData) -> str:
    """A passkey's public key, as COSE in base64url."""
    return websafe_encode(cbor.encode(dict(attested.public_key)))


def parsed(answer: str) -> dict[str, Any]:
    value = json.loads(answer) if len(answer) <= LONGEST else None
    if not isinstance(value, dict):
        raise TypeError("no credential")
    return value


def held(check: Any) -> Any:
    """The outcome of a check of the library. Whatever it finds wrong is one refusal: it tells a thief nothing."""
    try:
        return check()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError) as error:
        raise wrong_passkey() from error


def wrong_passkey() -> Refusal:
    sentence = "This passkey did not prove that it is yours, here and now. Try again, or use another factor."
    return Refusal("wrong_passkey", sentence)
