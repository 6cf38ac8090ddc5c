"""Secrets that the portal has to read again, as they rest in the database: sealed with a key that is not in it."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def key(use: str) -> bytes:
    """32 bytes for one use, from FACTOR_KEY (which is SECRET_KEY where none was set)."""
    derived = HKDF(SHA256(), length=32, salt=None, info=f"countersign {use}".encode())
    return derived.derive(settings.FACTOR_KEY.encode())


def box(use: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key(use)))
