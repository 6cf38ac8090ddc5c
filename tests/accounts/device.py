"""A passkey in software, which can also lie: about where it was asked, for whom, and what it signed."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from accounts.factors import rules
from tests.cast import PASSWORD

ORIGIN = "http://localhost:8000"
HOST: dict[str, Any] = {"HTTP_HOST": "localhost:8000"}
SECOND = "/sign-in/second/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass
class Device:
    """One passkey. `origin`, `rp` and `verified` are what it says, whatever it was asked."""

    origin: str = ORIGIN
    rp: str = "localhost"
    verified: bool = True
    signed: int = 0
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def data(self, attested: bytes = b"") -> AuthenticatorData:
        flags = AuthenticatorData.FLAG.UP | (AuthenticatorData.FLAG.UV if self.verified else 0)
        flags |= AuthenticatorData.FLAG.AT if attested else 0
        self.signed += 1
        made: AuthenticatorData = AuthenticatorData.create(sha256(self.rp.encode()), flags, self.signed, attested)
        return made

    def client(self, kind: str, challenge: str) -> CollectedClientData:
        return CollectedClientData.create(kind, challenge, self.origin)

    def create(self, options: dict[str, Any]) -> str:
        """What `navigator.credentials.create` answers, as JSON."""
        public = ES256.from_cryptography_key(self.key.public_key())
        attested = AttestedCredentialData.create(bytes(16), self.credential, public)
        made = AttestationObject.create("none", self.data(attested), {})
        client = self.client("webauthn.create", options["challenge"])
        return self.answer(clientDataJSON=client, attestationObject=made)

    def get(self, options: dict[str, Any]) -> str:
        """What `navigator.credentials.get` answers, as JSON."""
        data, client = self.data(), self.client("webauthn.get", options["challenge"])
        signature = self.key.sign(data + client.hash, ec.ECDSA(SHA256()))
        return self.answer(clientDataJSON=client, authenticatorData=data, signature=signature)

    def answer(self, **response: bytes) -> str:
        name = websafe_encode(self.credential)
        told = {key: websafe_encode(value) for key, value in response.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": told})


def options_of(page: str) -> dict[str, Any]:
    """What a page asks the browser to do."""
    found: dict[str, Any] = json.loads(read(r'data-options="([^"]*)"', page))
    return found


def read(pattern: str, page: str) -> str:
    match = re.search(pattern, page)
    assert match, pattern
    return unescape(match[1])


def value_of(page: str, name: str) -> str:
    """What stands in a hidden field of a page."""
    return read(rf'name="{name}" value="([^"]*)"', page)


def halfway(who: Any) -> tuple[Any, str]:
    """A browser in which the right password was given, and the page that asks for more."""
    from django.test import Client

    browser = Client(headers={"User-Agent": FIREFOX}, **HOST)
    answer = browser.post("/sign-in/", {"email": who.email, "password": PASSWORD})
    assert answer["Location"] == SECOND
    return browser, browser.get(SECOND).content.decode()


def is_in(browser: Any) -> bool:
    return bool(browser.get("/account/").status_code == 200)


def add_passkey(account: Any, device: Device | None = None, name: str = "phone") -> Device:
    """A passkey added through the service, as the page does it."""
    from accounts.factors import passkeys, services
    from accounts.factors.checking import Answer

    device = device or Device()
    challenge = passkeys.issue("add", account, "session:add")
    options = json.loads(passkeys.to_register(ORIGIN, account, challenge, []))
    answer = Answer(passkey=device.create(options), ticket=challenge.ticket, origin=ORIGIN, session="session:add")
    services.add_passkey(by=account, account=account, name=name, password=PASSWORD, answer=answer)
    return device


def assertion(account: Any, device: Device, purpose: str, session: str, subject: str = "") -> Any:
    """An Answer by this device to a challenge of the portal's."""
    from accounts.factors import passkeys
    from accounts.factors.checking import Answer

    challenge = passkeys.issue(purpose, account, session, subject)
    answer = device.get(passkeys.to_ask(ORIGIN, challenge, []))
    return Answer(passkey=answer, ticket=challenge.ticket, origin=ORIGIN, session=session)


def add_app(account: Any, name: str = "app") -> tuple[str, list[str]]:
    """The secret of an app added through the service, with the code of the step before this one; and the codes."""
    from accounts.factors import services

    secret, offered = services.offer_app(account)
    made = services.add_app(
        by=account, account=account, name=name, password=PASSWORD, offered=offered, code=code(secret, -1)
    )
    return secret, made.codes


def code(secret: str, steps: int = 0) -> str:
    """What the app shows now, or so many steps later."""
    from ledger.events import database_time

    return rules.code_at(secret, int(database_time().timestamp()) // rules.PERIOD + steps)
