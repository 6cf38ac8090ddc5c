"""Secrets of second factors as they rest in the database: sealed with a key that is not in it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken

from ledger import boxes
from ledger.refusals import Refusal


def box(use: str) -> Fernet:
    return boxes.box(f"factors: {use}")


def seal(secret: str) -> bytes:
    return box("secrets").encrypt(secret.encode())


def unseal(sealed: bytes) -> str:
    """Raises Refusal `factor_unreadable` where FACTOR_KEY is no longer the one it was sealed with."""
    try:
        return box("secrets").decrypt(sealed).decode()
    except InvalidToken as error:
        sentence = (
            "Codes of this app can no longer be checked, because the portal's key was changed. Use a passkey or a "
            "recovery code, then add the app again."
        )
        raise Refusal("factor_unreadable", sentence) from error


def offer(text: str) -> str:
    """A secret that travels through a form and back, which only the portal can read."""
    return box("offers").encrypt(text.encode()).decode()


def taken(offered: str, lives: timedelta) -> str | None:
    """What was offered, or None where the portal did not offer it, or too long ago."""
    try:
        return box("offers").decrypt(offered.encode(), ttl=int(lives.total_seconds())).decode()
    except (InvalidToken, ValueError):
        return None


def digest_of(code: str) -> bytes:
    """How a recovery code is kept. Its 60 bits are random, so a keyed hash is enough; without the key none can try."""
    return hmac.new(boxes.key("factors: recovery codes"), code.encode(), hashlib.sha256).digest()
