"""The gate's answer as others can check it: an in-toto Statement with a verification summary, in a DSSE envelope.

Plain values in, plain values out: whoever holds the key signs what `pae` gives.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ledger.canonical import canonical, timestamp

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/verification_summary/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
# The predicate takes further fields under names that are URIs.
EXTENSION = "urn:countersign:gate-result:v1"
# Nobody takes a signed answer back, and a revocation binds at once: so it has to be asked for again soon.
LIVES = timedelta(minutes=15)


@dataclass(frozen=True)
class Resource:
    """What an answer refers to: where it is, and the SHA-256 of its bytes."""

    uri: str
    digest: str

    def as_dict(self) -> dict[str, Any]:
        return {"uri": self.uri, "digest": digest_set(self.digest)}


def digest_set(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}


def expires(allowed: bool, at: datetime, until: datetime | None) -> datetime:
    """When an answer given at `at` stops counting; a yes not after its approval, which holds `until`."""
    end = at + LIVES
    return min(end, until) if allowed and until else end


def statement(
    answer: Mapping[str, Any], *, subject: str, name: str, verifier: str, version: str, question: str,
    policy: Resource, inputs: Sequence[Resource], at: datetime, until: datetime | None,
) -> bytes:  # fmt: skip
    """Canonical bytes of the Statement that `answer` (the gate's plain JSON) was given about the bytes `subject`.

    `question` is the address at which it was asked, so that an answer cannot be passed off as one to another question.
    """
    allowed = answer["allowed"] is True
    return canonical({
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": digest_set(subject)}],
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {"id": verifier, "version": {"countersign": version}},
            "timeVerified": timestamp(at),
            "resourceUri": question,
            "policy": policy.as_dict(),
            "inputAttestations": [each.as_dict() for each in inputs],
            "verificationResult": "PASSED" if allowed else "FAILED",
            "verifiedLevels": ["COUNTERSIGN_APPROVED" if allowed else "FAILED"],
            EXTENSION: {**answer, "expires_at": timestamp(expires(allowed, at, until))},
        },
    })  # fmt: skip


def pae(body: bytes) -> bytes:
    """What is signed: the payload with its type and both lengths, so that no payload reads as one of another type."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def envelope(body: bytes, public: bytes, signature: bytes) -> dict[str, Any]:
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(body).decode(),
        "signatures": [{"keyid": key_id(public), "sig": base64.b64encode(signature).decode()}],
    }


def key_id(public: bytes) -> str:
    """The fingerprint of an Ed25519 key as OpenSSH writes it: cosign skips a signature that names its key otherwise."""
    parts = (b"ssh-ed25519", public)
    wire = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return "SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).rstrip(b"=").decode()


def jwk(public: bytes) -> dict[str, str]:
    """An Ed25519 public key as a JSON Web Key (RFC 8037); `kid` is what envelopes call it."""
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": key_id(public), "use": "sig", "alg": "EdDSA"}
