"""Codes from an app (TOTP, RFC 6238) and recovery codes, as plain rules: no clock, no database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import struct
from urllib.parse import quote, urlencode

PERIOD = 30
DIGITS = 6
# How many steps a phone's clock may be off, either way.
DRIFT = 1
RECOVERY_CODES = 10
# Crockford's alphabet in small letters: nothing in it can be taken for something else in it.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RECOVERY_LENGTH = 12
LOOKS_LIKE = str.maketrans({"i": "1", "l": "1", "o": "0"})
CODE = re.compile(r"^[0-9]{6}$")


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 recommends."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int) -> str:
    """The six digits of one step of time (RFC 4226 with SHA-1, the only hash that every app knows)."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = mac[-1] & 0xF
    (value,) = struct.unpack(">I", mac[at : at + 4])
    return f"{(value & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}}"


def step_of(secret: str, code: str, now: float) -> int | None:
    """The step of time whose code this is, among those near enough to now (seconds since 1970); the newest of them."""
    if not CODE.match(code):
        return None
    current, found = int(now) // PERIOD, None
    for step in range(current - DRIFT, current + DRIFT + 1):
        if hmac.compare_digest(code_at(secret, step), code):
            found = step
    return found


def address(secret: str, *, issuer: str, account: str) -> str:
    """What the QR code says: `otpauth://totp/…`."""
    label = quote(f"{issuer}:{account}", safe="")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer}, quote_via=quote)}"


def in_groups(text: str, size: int = 4) -> str:
    """`JBSW Y3DP …`: easier to type from a page."""
    return " ".join(text[at : at + size] for at in range(0, len(text), size))


def without_gaps(code: str) -> str:
    """What somebody typed, without the gaps that they saw."""
    return re.sub(r"[\s-]", "", code)


def new_recovery_code() -> str:
    """60 random bits, shown as `x7kq-03mz-9wfe`."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH))
    return in_groups(letters).replace(" ", "-")


def recovery_code(typed: str) -> str | None:
    """A recovery code as it is hashed, or None for what cannot be one."""
    plain = without_gaps(typed).lower().translate(LOOKS_LIKE)
    return plain if len(plain) == RECOVERY_LENGTH and set(plain) <= set(ALPHABET) else None
