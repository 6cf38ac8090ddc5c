"""Canonical bytes and digests. What these functions return is written into the log and can never change."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """JSON Canonicalization Scheme bytes (RFC 8785) of plain JSON values.

    Raises ValueError for what JSON cannot hold exactly: NaN, infinities, integers beyond 2**53, other types.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"not canonical JSON: {error}") from error


def sha256(data: bytes) -> str:
    """Digest in the form used everywhere: `sha256:` and 64 lower-case hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical bytes of a plain JSON value."""
    return sha256(canonical(value))


def disclosure_bytes(salt: bytes, label: str, value: str) -> bytes:
    """Canonical `[salt, label, value]`, the salt in unpadded base64url (RFC 9901, section 4.2.1)."""
    return canonical([base64.urlsafe_b64encode(salt).rstrip(b"=").decode(), label, value])


def timestamp(at: datetime) -> str:
    """UTC with microseconds, always 27 characters: `2026-11-24T09:30:00.000000Z`. Raises ValueError if naive."""
    if at.tzinfo is None:
        raise ValueError("a time in the log needs its zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid7(at: datetime, random: bytes) -> uuid.UUID:
    """UUID version 7 (RFC 9562, section 5.7) of a time, with its sub-millisecond part in rand_a and 8 random bytes."""
    micros = int(at.timestamp()) * 1_000_000 + at.microsecond
    millis, rest = divmod(micros, 1000)
    rand_a = rest * 4096 // 1000
    rand_b = int.from_bytes(random, "big") & (2**62 - 1)
    return uuid.UUID(int=(millis << 80) | (7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)
