"""The gate's signed answers through the public door, verified by what others verify them with."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings as configured
from django.test import Client
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # its documentation imports it so

from approvals import dossier, gate
from approvals.models import PolicyVersion
from approvals.workflow import attestation
from ledger.canonical import digest_of, sha256
from ledger.keys import portal_key, portal_name
from ledger.notes import SigningKey
from tests import worlds
from tests.approvals import world
from tests.sealing import log_key

pytestmark = pytest.mark.django_db
SIGNED = {"Accept": "application/vnd.dsse.envelope.v1+json"}
EXTENSION = "urn:countersign:gate-result:v1"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "approvals.md"


@pytest.fixture
def ask(api):
    def answer(who, expect=200, headers=SIGNED, **query):
        asked = {"environment": "production", "use": world.USE, **query}
        found = api(who).get("/api/v1/gate", asked, headers=headers)
        assert found.status_code == expect, found.content
        return found

    return answer


def published():
    return Client().get("/.well-known/jwks.json").json()["keys"]


def known():
    return [
        SSlibKey(one["kid"], "ed25519", "ed25519", {"public": base64.urlsafe_b64decode(one["x"] + "=").hex()})
        for one in published()
    ]


def opened(answer):
    """The Statement of an answer that the published keys verify."""
    envelope = Envelope.from_dict(json.loads(answer.content))  # which changes what it is given
    assert len(envelope.verify(known(), threshold=1)) == 1
    assert envelope.payload_type == "application/vnd.in-toto+json"
    return json.loads(envelope.payload)


def said(statement):
    predicate = statement["predicate"]
    return predicate["verificationResult"], [each["code"] for each in predicate[EXTENSION]["reasons"]]


def test_a_yes_is_verified_by_securesystemslib_and_says_what_it_rests_on(cast, ask):
    request = world.an_approval(cast)
    answer = ask(cast.ci_bot, version=request.version_id)
    assert answer["Content-Type"] == SIGNED["Accept"]
    assert "Accept" in answer["Vary"]
    statement = opened(answer)
    assert (statement["_type"], statement["predicateType"]) == (attestation.STATEMENT, attestation.PREDICATE)
    digest = request.version.artifact.digest
    assert statement["subject"] == [{"name": "tiny.onnx", "digest": {"sha256": digest.removeprefix("sha256:")}}]
    predicate = statement["predicate"]
    assert said(statement) == ("PASSED", [])
    assert predicate["verifier"]["id"] == configured.PUBLIC_URL
    policy = request.policy_version
    assert predicate["policy"] == {
        "uri": f"{configured.PUBLIC_URL}/policies/{policy.pk}/",
        "digest": {"sha256": policy.digest.removeprefix("sha256:")},
    }
    where = urlsplit(predicate["resourceUri"])
    assert where.path == "/api/v1/gate"
    assert parse_qs(where.query) == {
        "version": [str(request.version_id)], "environment": ["production"], "use": [world.USE],
    }  # fmt: skip
    plain = ask(cast.ci_bot, headers=None, version=request.version_id)
    assert plain["Content-Type"] == "application/json"
    told = predicate[EXTENSION]
    assert set(told) - set(plain.json()) == {"expires_at"}
    assert {name: told[name] for name in plain.json() if name != "evaluated_at"} == {
        name: value for name, value in plain.json().items() if name != "evaluated_at"
    }


def test_every_input_can_be_fetched_and_has_the_digest_that_is_told(cast, ask, api):
    request = world.an_approval(cast)
    inputs = opened(ask(cast.auditor, version=request.version_id))["predicate"]["inputAttestations"]
    auditor, seen = api(cast.auditor), []
    for each in inputs:
        digest = "sha256:" + each["digest"]["sha256"]
        path = each["uri"].removeprefix(configured.PUBLIC_URL)
        answer = auditor.get(path)
        assert answer.status_code == 200
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if path.endswith("/decisions/"):
            assert digest in {digest_of(one.as_record()) for one in request.decisions.all()}
        else:
            assert sha256(content) == digest
        seen.append(path.strip("/").split("/")[2])
    assert seen == ["requests", "evidence", "evidence", "evidence", "requests", "requests"]
    assert "sha256:" + inputs[0]["digest"]["sha256"] == request.latest.digest


def test_a_changed_byte_fails(cast, ask):
    answer = ask(cast.auditor, version=world.a_request(cast).version_id).json()
    body = bytearray(base64.b64decode(answer["payload"]))
    signature = bytearray(base64.b64decode(answer["signatures"][0]["sig"]))
    passed = bytes(body).replace(b"FAILED", b"PASSED")
    body[len(body) // 2] ^= 1
    signature[5] ^= 1
    other = {"keyid": answer["signatures"][0]["keyid"], "sig": base64.b64encode(signature).decode()}
    for change in (
        {"payload": base64.b64encode(body).decode()},
        {"payload": base64.b64encode(passed).decode()},
        {"payloadType": "application/json"},
        {"signatures": [other]},
    ):
        with pytest.raises(VerificationError):
            Envelope.from_dict(json.loads(json.dumps({**answer, **change}))).verify(known(), threshold=1)
    Envelope.from_dict(answer).verify(known(), threshold=1)


def test_a_no_is_signed_too_and_says_why(cast, ask):
    version = worlds.a_version(cast)
    nobody = opened(ask(cast.auditor, version=version.pk))
    assert said(nobody) == ("FAILED", ["no_request", *["evidence_missing"] * 3])
    assert nobody["predicate"]["verifiedLevels"] == ["FAILED"]
    assert nobody["predicate"]["inputAttestations"] == []
    assert nobody["predicate"]["policy"]["digest"]["sha256"] in PolicyVersion.objects.get().digest
    request = world.a_request(cast)
    waiting = opened(ask(cast.auditor, version=request.version_id))
    assert said(waiting) == ("FAILED", ["signature_missing", "signature_missing"])
    assert "A validator of team Credit may sign." in waiting["predicate"][EXTENSION]["reasons"][0]["sentence"]


def test_a_revocation_turns_the_next_answer(cast, ask):
    from approvals.services import revoke

    request = world.an_approval(cast)
    assert said(opened(ask(cast.auditor, version=request.version_id)))[0] == "PASSED"
    revoke(by=cast.approver, request=request, reason="Drift in the field.")
    assert said(opened(ask(cast.auditor, version=request.version_id))) == ("FAILED", ["revoked"])


def test_an_ambiguous_digest_stays_a_no_until_the_model_is_named(cast, ask):
    request = world.an_approval(cast)
    digest = request.version.artifact.digest
    assert said(opened(ask(cast.auditor, digest=digest)))[0] == "PASSED"
    worlds.a_version(cast)
    ambiguous = opened(ask(cast.auditor, digest=digest))
    assert said(ambiguous) == ("FAILED", ["ambiguous_subject"])
    assert ambiguous["subject"] == [{"name": digest, "digest": {"sha256": digest.removeprefix("sha256:")}}]
    named = opened(ask(cast.auditor, digest=digest, model=request.version.model.slug))
    assert said(named) == ("PASSED", [])
    assert named["predicate"]["resourceUri"].endswith(
        f"?digest={digest}&model={request.version.model.slug}&environment=production&use={world.USE}"
    )


def test_unknown_bytes_are_a_no_and_what_is_no_digest_is_refused(cast, ask):
    assert said(opened(ask(cast.auditor, digest="sha256:" + "0" * 64))) == ("FAILED", ["unknown_digest"])
    refused = ask(cast.auditor, 422, digest="sha256:0")
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["errors"][0]["field"] == "digest"
    assert ask(cast.auditor, headers=None, digest="sha256:0").json()["reasons"][0]["code"] == "unknown_digest"


def test_who_may_not_ask_gets_no_signature(cast, ask):
    request = world.an_approval(cast)
    for who, status in ((None, 401), (cast.outsider, 404)):
        assert ask(who, status, version=request.version_id)["Content-Type"] == "application/problem+json"
    hidden = opened(ask(cast.outsider, digest=request.version.artifact.digest))
    assert said(hidden) == ("FAILED", ["unknown_digest"])
    ask(cast.auditor, 406, headers={"Accept": "application/xml"}, version=request.version_id)
    ask(cast.auditor, headers={"Accept": "text/html, */*;q=0.8"}, version=request.version_id)


def test_the_keys_are_public_and_cacheable_and_are_the_one_that_signed(cast, ask):
    answer = Client().get("/.well-known/jwks.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/jwk-set+json")
    assert answer["Cache-Control"] == "public, max-age=300"
    assert Client().head("/.well-known/jwks.json").status_code == 200
    assert Client().post("/.well-known/jwks.json").status_code == 405
    (key,) = answer.json()["keys"]
    assert base64.urlsafe_b64decode(key["x"] + "=") == portal_key().verifier.public
    assert portal_key().verifier.public != log_key(configured.LOG_ORIGIN).verifier.public
    signed = ask(cast.auditor, version=world.a_request(cast).version_id).json()
    assert signed["signatures"][0]["keyid"] == key["kid"]


def test_a_rotation_publishes_both_keys_and_the_old_answer_still_verifies(cast, ask, settings):
    version = world.a_request(cast).version_id
    first, second = (SigningKey.generate(portal_name(settings.LOG_ORIGIN)) for _ in range(2))
    settings.PORTAL_KEY, settings.PORTAL_VKEY = first.text, f"{first.vkey} {second.vkey}"
    kids = [attestation.key_id(key.verifier.public) for key in (first, second)]
    assert [one["kid"] for one in published()] == kids
    before = ask(cast.auditor, version=version)
    settings.PORTAL_KEY = second.text
    assert [one["kid"] for one in published()] == kids[::-1], "the one that signs comes first"
    after = ask(cast.auditor, version=version)
    signers = [answer.json()["signatures"][0]["keyid"] for answer in (before, after)]
    assert signers == kids
    assert opened(before)["subject"] == opened(after)["subject"]
    settings.PORTAL_VKEY = second.vkey
    with pytest.raises(VerificationError):
        Envelope.from_dict(before.json()).verify(known(), threshold=1)


def test_no_error_shows_the_private_key(cast, api, settings, caplog):
    key = SigningKey.generate(portal_name(settings.LOG_ORIGIN))
    settings.PORTAL_KEY = key.text[:-4]
    version = world.a_request(cast).version_id
    client = api(cast.auditor)
    client.raise_request_exception = False
    query = {"version": version, "environment": "production", "use": world.USE}
    answer = client.get("/api/v1/gate", query, headers=SIGNED)
    assert answer.status_code == 500
    assert key.text[-30:-4] not in answer.content.decode() + caplog.text


@pytest.fixture
def program(tmp_path):
    """The program as the documentation prints it; gives its status and what it says."""
    printed = re.search(r"^    import hashlib.*?(?=^\S|\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "check_answer.py").write_text(printed[0].replace("\n    ", "\n").lstrip(), encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes(worlds.onnx_bytes(1.0))

    def run(envelope, question, model="model.onnx"):
        (tmp_path / "keys.json").write_text(json.dumps({"keys": published()}))
        (tmp_path / "answer.json").write_text(json.dumps(envelope))
        command = [sys.executable, "check_answer.py", "keys.json", "answer.json", model, question]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_program_in_the_documentation_tells_good_from_bad(cast, ask, program):
    request = world.an_approval(cast)
    envelope = ask(cast.auditor, version=request.version_id).json()
    statement = json.loads(base64.b64decode(envelope["payload"]))
    question = statement["predicate"]["resourceUri"]
    status, text = program(envelope, question)
    assert (status, text[:23]) == (0, "The gate says yes until"), text
    status, text = program(envelope, question.replace("production", "staging"))
    assert (status, "another question" in text) == (1, True)
    status, text = program(envelope, question, "check_answer.py")
    assert (status, "other bytes" in text) == (1, True)
    forged = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"active", b"Active")).decode()
    status, text = program({**envelope, "payload": forged}, question)
    assert (status, "None of these keys signed" in text) == (1, True)
    denied = ask(cast.auditor, version=request.version_id, use="car-loans").json()
    status, text = program(denied, question.replace(world.USE, "car-loans"))
    assert (status, "The gate says no. Nobody has asked" in text) == (1, True)


def test_an_answer_that_expired_is_seen_to_have(cast, ask, program):
    request = world.an_approval(cast)
    envelope = ask(cast.auditor, version=request.version_id).json()
    old = json.loads(base64.b64decode(envelope["payload"]))
    old["predicate"][EXTENSION]["expires_at"] = old["predicate"]["timeVerified"]
    body, key = json.dumps(old).encode(), portal_key()
    signed = attestation.envelope(body, key.verifier.public, key.private.sign(attestation.pae(body)))
    status, text = program(signed, old["predicate"]["resourceUri"])
    assert (status, "This answer expired at" in text) == (1, True)


def test_an_approval_that_ran_out_is_a_no_that_holds_now(cast):
    request = world.an_approval(cast)
    found = dossier.open_dossier(request)
    later = gate.evaluate(request.version, "production", world.USE).valid_until + timedelta(days=1)
    answer = gate.of_dossier(found, later, {})
    made = attestation.statement(
        answer.as_dict(), subject=request.version.artifact.digest, name="x", verifier="x", version="x", question="x",
        policy=attestation.Resource("x", answer.policy_digest), inputs=[], at=later, until=answer.valid_until,
    )  # fmt: skip
    statement = json.loads(made)
    assert said(statement) == ("FAILED", ["expired"])
    assert statement["predicate"][EXTENSION]["expires_at"] > statement["predicate"]["timeVerified"]


def test_the_key_for_cosign_is_made_as_the_documentation_says(cast):
    """cosign takes PEM: twelve fixed bytes and the key, which is what the line of jq puts together."""
    (head,) = set(re.findall(r"MCow\w+", PAGE.read_text(encoding="utf-8")))
    x = published()[0]["x"].replace("-", "+").replace("_", "/")
    pem = f"-----BEGIN PUBLIC KEY-----\n{head}{x}=\n-----END PUBLIC KEY-----\n"
    assert load_pem_public_key(pem.encode()).public_bytes_raw() == portal_key().verifier.public
