"""An S3-compatible bucket with object lock: one object a size, which nobody can remove before its date."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlsplit

from ledger.anchors import http, secrets
from ledger.anchors.sigv4 import Credentials, signed
from ledger.anchors.targets import Failed, Known, Published, Receipt, Target

SLACK = timedelta(days=1)  # a store may round the date


@dataclass(frozen=True, kw_only=True)
class Bucket(Target):
    kind: ClassVar[str] = "s3"

    url: str  # of the bucket, and below it the prefix; what the host and the path mean is the store's business
    region: str
    days: int
    credentials_file: Path

    @property
    def place(self) -> str:
        return self.url

    def take(self, what: Published, known: Known) -> Receipt:
        """Put the note where nothing is yet, and read back that it is the one, and locked. Raises Failed."""
        url = f"{self.url}/{what.folder}/{what.size}"
        now = datetime.now(UTC)
        until = (now + timedelta(days=self.days)).replace(microsecond=0)
        credentials = self.credentials()
        answer = self.ask(credentials, "PUT", url, what.note, {
            "content-type": "text/plain; charset=utf-8",
            # Asked for with a lock, and against damage on the way only.
            "content-md5": base64.b64encode(hashlib.md5(what.note, usedforsecurity=False).digest()).decode(),
            "if-none-match": "*",
            "x-amz-object-lock-mode": "COMPLIANCE",
            "x-amz-object-lock-retain-until-date": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        })  # fmt: skip
        if answer.status not in (200, 412):
            raise self.explain(answer.status)
        version = answer.headers.get("x-amz-version-id", "")
        content = self.kept(credentials, url, version, what)
        # One that stood there already keeps the date which it was given then.
        if answer.status == 200 and datetime.fromisoformat(content["retain_until"]) < until - SLACK:
            raise unlocked(url)
        return Receipt(url, json.dumps(content).encode())

    def kept(self, credentials: Credentials, url: str, version: str, what: Published) -> dict[str, str]:
        """What the store holds and how it is locked. Raises Failed where it is another note, or none that is locked."""
        exact = f"{url}?versionId={quote(version, safe='-_.~')}" if version else url
        answer = self.ask(credentials, "GET", exact, b"", {})
        if answer.status != 200:
            raise self.explain(answer.status)
        if answer.body != what.note:
            raise Failed(
                "other_checkpoint",
                f"{url} already holds another checkpoint of this size. One of the two is from a forked or restored "
                "log: keep both, and find out which.",
            )
        mode = answer.headers.get("x-amz-object-lock-mode", "")
        until = answer.headers.get("x-amz-object-lock-retain-until-date", "")
        version = answer.headers.get("x-amz-version-id", version)
        try:
            moment = datetime.fromisoformat(until)
        except ValueError:
            raise unlocked(url) from None
        if mode.upper() != "COMPLIANCE" or not version or moment.tzinfo is None:
            raise unlocked(url)
        return {
            "object": url, "version": version, "mode": "COMPLIANCE", "retain_until": moment.isoformat(),
            "sha256": f"sha256:{what.digest}",
        }  # fmt: skip

    def ask(self, credentials: Credentials, method: str, url: str, body: bytes, headers: dict[str, str]) -> http.Answer:
        return http.send(
            method, url, body=body, headers=signed(method, url, headers, body, credentials, datetime.now(UTC))
        )

    def credentials(self) -> Credentials:
        lines = secrets.read("credentials_file", self.credentials_file).split()
        if len(lines) != 2:
            sentence = "The file that credentials_file names must hold two lines: the access key and the secret key."
            raise Failed("secret_unreadable", sentence)
        return Credentials(lines[0], lines[1], self.region)

    def explain(self, status: int) -> Failed:
        host = urlsplit(self.url).hostname or ""
        if status == 400:
            return Failed(
                "refused", f"{host} takes no locked object. Make the bucket anew with object lock, and check region "
                "and days.",
            )  # fmt: skip
        if status in (401, 403):
            return Failed(
                "refused", f"{host} denies access. The keys need s3:PutObject, s3:PutObjectRetention, s3:GetObject, "
                "s3:GetObjectVersion and s3:GetObjectRetention below this address, and the clock must be right.",
            )  # fmt: skip
        if status == 404:
            return Failed("refused", f"{host} knows no such bucket. Make it, with object lock, or check the address.")
        return http.refused(host, status)


def unlocked(url: str) -> Failed:
    return Failed(
        "not_locked", f"{url} is not locked in COMPLIANCE mode as asked. Make the bucket with object lock and "
        "versions, and let the keys read retention (s3:GetObjectRetention).",
    )  # fmt: skip
