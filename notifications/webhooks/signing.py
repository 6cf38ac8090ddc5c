"""How a message is signed, as standardwebhooks.com specifies it (version 1.0), and how its secrets are kept."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable

from ledger.anchors.webhook import signature
from ledger.boxes import box

PREFIX = "whsec_"
BYTES = 32  # the specification wants 24 to 64
USE = "webhooks: secrets"


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def seal(secret: str) -> bytes:
    return box(USE).encrypt(secret.encode())


def unseal(sealed: bytes) -> str:
    """Raises cryptography.fernet.InvalidToken where FACTOR_KEY is no longer the one it was sealed with."""
    return box(USE).decrypt(sealed).decode()


def headers(number: str, moment: int, body: bytes, texts: Iterable[str]) -> dict[str, str]:
    """With a signature by each of the secrets, so that a receiver that knows one of them can tell."""
    keys = [base64.b64decode(text.removeprefix(PREFIX)) for text in texts]
    return {
        "Webhook-Id": number,
        "Webhook-Timestamp": str(moment),
        "Webhook-Signature": " ".join(signature(key, number, str(moment), body) for key in keys),
    }
