"""An RFC 3161 time-stamp authority: its token over the note is the receipt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from ledger.anchors import http, secrets
from ledger.anchors.targets import Failed, Known, Published, Receipt, Target


@dataclass(frozen=True, kw_only=True)
class Authority(Target):
    kind: ClassVar[str] = "tsa"

    url: str
    ca_file: Path

    @property
    def place(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    def take(self, what: Published, known: Known) -> Receipt:
        """Ask for a token over SHA-256 of the note and verify it against `ca_file` and our nonce. Raises Failed."""
        # Imported where the worker asks: no other process needs it, and it may be left out.
        try:
            from cryptography import x509
            from rfc3161_client import (
                HashAlgorithm,
                TimestampRequestBuilder,
                VerificationError,
                VerifierBuilder,
                decode_timestamp_response,
            )  # fmt: skip
        except ImportError as error:
            sentence = "Time-stamps need the package rfc3161-client. Install it for the worker."
            raise Failed("library_missing", sentence) from error
        try:
            roots = x509.load_pem_x509_certificates(secrets.read("ca_file", self.ca_file).encode())
        except ValueError as error:
            raise Failed("secret_unreadable", "The file that ca_file names holds no certificates in PEM.") from error
        request = (
            TimestampRequestBuilder()
            .data(what.note).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).cert_request(cert_request=True)
            .build()
        )  # fmt: skip
        host = urlsplit(self.url).hostname or ""
        answer = http.send("POST", self.url, body=request.as_bytes(), headers={
            "Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply",
            "User-Agent": "countersign",
        })  # fmt: skip
        if answer.status != 200:
            raise http.refused(host, answer.status)
        verifier = VerifierBuilder.from_request(request)
        for root in roots:
            verifier = verifier.add_root_certificate(root)
        try:
            verifier.build().verify_message(decode_timestamp_response(answer.body), what.note)
        except (ValueError, VerificationError) as error:
            raise Failed(
                "token_invalid", f"The time-stamp from {host} does not verify. Check that ca_file holds the "
                "authority's own root certificate.",
            ) from error  # fmt: skip
        return Receipt(self.place, answer.body)
