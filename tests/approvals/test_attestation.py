"""The Statement and its envelope as plain values, against the formats' own examples."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from approvals.workflow import attestation
from approvals.workflow.attestation import LIVES, Resource, expires

AT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
ANSWER = {"allowed": True, "state": "active", "reasons": [], "environment": "production", "use": "cards"}


def statement(answer=ANSWER, until=None):
    return attestation.statement(
        answer, subject=DIGEST, name="model.onnx", verifier="https://portal.example", version="1.0",
        question="https://portal.example/api/v1/gate?version=1", policy=Resource("https://portal.example/p", DIGEST),
        inputs=[Resource("https://portal.example/m", DIGEST)], at=AT, until=until,
    )  # fmt: skip


def test_a_yes_has_every_field_that_the_predicate_requires():
    made = json.loads(statement())
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["subject"] == [{"name": "model.onnx", "digest": {"sha256": "ab" * 32}}]
    assert made["predicateType"] == "https://slsa.dev/verification_summary/v1"
    predicate = made["predicate"]
    assert predicate["verifier"] == {"id": "https://portal.example", "version": {"countersign": "1.0"}}
    assert predicate["timeVerified"] == "2026-11-28T09:30:00.000000Z"
    assert predicate["policy"] == {"uri": "https://portal.example/p", "digest": {"sha256": "ab" * 32}}
    assert predicate["inputAttestations"] == [{"uri": "https://portal.example/m", "digest": {"sha256": "ab" * 32}}]
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("PASSED", ["COUNTERSIGN_APPROVED"])
    assert predicate[attestation.EXTENSION] == {**ANSWER, "expires_at": "2026-11-28T09:45:00.000000Z"}


@pytest.mark.parametrize("allowed", [False, None, 1, "yes"])
def test_whatever_is_no_plain_yes_fails(allowed):
    predicate = json.loads(statement({**ANSWER, "allowed": allowed}))["predicate"]
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("FAILED", ["FAILED"])


def test_an_answer_is_short_lived_and_a_yes_never_outlives_its_approval():
    soon, late = AT + timedelta(minutes=1), AT + timedelta(days=300)
    assert expires(True, AT, None) == expires(True, AT, late) == AT + LIVES
    assert expires(True, AT, soon) == soon
    assert expires(False, AT, AT - timedelta(days=1)) == AT + LIVES, "a no for an old approval still holds now"


def test_what_is_signed_is_the_pre_authentication_encoding_of_dsse():
    assert attestation.pae(b"{}") == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"
    assert attestation.pae("ü".encode()) == b"DSSEv1 28 application/vnd.in-toto+json 2 \xc3\xbc"


def test_a_key_is_written_as_rfc_8037_does():
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    made = attestation.jwk(public)
    assert (made["kty"], made["crv"], made["x"]) == ("OKP", "Ed25519", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert set(made) == {"kty", "crv", "x", "kid", "use", "alg"}, "and nothing of the private key"


def test_a_key_is_called_by_its_fingerprint_as_openssh_makes_it():
    public = Ed25519PrivateKey.from_private_bytes(b"1" * 32).public_key()
    wire = base64.b64decode(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).decode().rstrip("=")
    assert attestation.key_id(public.public_bytes_raw()) == fingerprint
    assert attestation.envelope(b"", public.public_bytes_raw(), b"")["signatures"][0]["keyid"] == fingerprint
