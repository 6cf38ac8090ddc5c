"""A webhook: the note is posted with a signature in the manner of standardwebhooks.com."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from ledger.anchors import http, secrets
from ledger.anchors.targets import Failed, Known, Published, Receipt, Target

SHORTEST_SECRET = 24


@dataclass(frozen=True, kw_only=True)
class Webhook(Target):
    kind: ClassVar[str] = "webhook"

    url: str
    secret_file: Path

    @property
    def place(self) -> str:
        # Path and query of a webhook are often its password.
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def take(self, what: Published, known: Known) -> Receipt:
        """Post the note. Raises Failed. The receiver must take the same id twice for one."""
        key, moment = signing_key(self.secret_file), str(int(time.time()))
        message = hashlib.sha256(f"{what.origin}\n{what.size}\n".encode() + what.note).hexdigest()
        answer = http.send("POST", self.url, body=what.note, headers={
            "Content-Type": "text/plain; charset=utf-8",
            "Idempotency-Key": message,
            "Webhook-Id": message,
            "Webhook-Timestamp": moment,
            "Webhook-Signature": signature(key, message, moment, what.note),
            "User-Agent": "countersign",
        })  # fmt: skip
        if not 200 <= answer.status < 300:
            raise http.refused(urlsplit(self.url).hostname or "", answer.status)
        return Receipt(self.place, answer.body)


def signing_key(file: Path) -> bytes:
    """The key from its file: `whsec_` and base64, or any text of 24 characters or more. Raises Failed."""
    text = secrets.read("secret_file", file)
    key = text.encode()
    if text.startswith("whsec_"):
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
    if len(key) < SHORTEST_SECRET:
        sentence = "The file that secret_file names holds no key of 24 bytes. Make one: openssl rand -base64 32 > file."
        raise Failed("secret_weak", sentence)
    return key


def signature(key: bytes, message: str, moment: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks 1.0)."""
    mac = hmac.new(key, f"{message}.{moment}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()
