"""Signing with a second factor: a passkey's assertion is over the digest, and only over that, once."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.utils import sha256, websafe_decode

from accounts.factors import services as factors
from accounts.factors.checking import Answer
from accounts.models import Factor, User
from approvals import gate, services
from approvals.models import Decision, Reauthentication
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal
from tests.accounts import device as devices
from tests.accounts.device import HOST, code, value_of
from tests.approvals import policies, world
from tests.approvals.findings_world import REASON, a_finding, in_days

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_(cast):
    return world.a_request(cast)


def proof(who, request, answer=None, password="", **changes):
    """A nonce; `answer` is a second factor."""
    given = {"digest": request.latest.digest, "session_key": world.SESSION, **changes}
    second = {} if answer is None else {"second": answer}
    return services.reauthenticate(by=who, request=request, password=password, **given, **second)


def refused(code, *arguments, **named):
    events, proofs = Event.objects.count(), Reauthentication.objects.count()
    with pytest.raises(Refusal) as caught:
        proof(*arguments, **named)
    assert caught.value.code == code, caught.value.sentence
    assert Event.objects.count() == events + 1
    assert Event.objects.latest("id").content["facts"]["code"] == code
    assert Reauthentication.objects.count() == proofs
    User.objects.update(failed_sign_ins=0, locked_until=None)


def a_day_passes():
    Factor.objects.update(added_at=database_time() - timedelta(days=1))


def post(client, path, **body):
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", **HOST)


def verify(added, proved, digest):
    """What a stranger with two entries of the log does, and nothing from the portal's tables."""
    told = proved["assertion"]
    data, client = websafe_decode(told["authenticator_data"]), websafe_decode(told["client_data"])
    assert told["credential"] == added["credential"]
    expected = sha256(f"countersign signature v1\n{digest}\n{told['salt']}".encode())
    if websafe_decode(json.loads(client)["challenge"]) != expected:
        raise InvalidSignature("over something else")
    key = CoseKey.parse(cbor.decode(websafe_decode(added["public_key"])))
    key.verify(data + sha256(client), websafe_decode(told["signature"]))


def test_a_passkey_signs_the_digest_through_the_api_and_a_stranger_can_check_it(cast, request_, api):
    device, client, digest = devices.add_passkey(cast.validator), api(cast.validator), request_.latest.digest
    asked = client.get(f"/api/v1/requests/{request_.pk}/challenge/", {"digest": digest}, **HOST)
    assert asked["Cache-Control"] == "no-store"
    challenge = asked.json()
    answer = json.loads(device.get(challenge["options"]))
    proof = {"request": request_.pk, "digest": digest, "ticket": challenge["ticket"], "passkey": answer}
    nonce = post(client, "reauthentications/", **proof)
    assert nonce.status_code == 201, nonce.content
    decision = {
        "requirement": "validation", "outcome": "approve", "comment": world.REASONING, "digest": digest,
        "nonce": nonce.json()["nonce"],
    }  # fmt: skip
    assert post(client, f"requests/{request_.pk}/decisions/", **decision).status_code == 201
    event = Event.objects.get(pk=Decision.objects.get().authentication)
    told, added = event.content["facts"], Event.objects.get(event="factor.added").content["facts"]
    assert told["method"] == "passkey"
    assert Reauthentication.objects.get().assertion == told["assertion"]
    verify(added, told, digest)
    with pytest.raises(InvalidSignature):
        verify(added, told, digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    other = {**told["assertion"], "signature": told["assertion"]["signature"][:-4] + "AAAA"}
    with pytest.raises(InvalidSignature):
        verify(added, {"assertion": other}, digest)
    again = post(client, "reauthentications/", **proof)
    assert (again.status_code, again.json()["code"]) == (403, "wrong_passkey"), "its count did not rise"


def test_an_assertion_is_for_one_digest_person_session_and_time(cast, request_):
    device, digest = devices.add_passkey(cast.validator), request_.latest.digest

    def answer(who=cast.validator, purpose="signature", session=world.SESSION, subject=digest):
        return devices.assertion(who, device, purpose, session, subject)

    other = world.a_request(cast, world.a_complete_version(cast))
    refused("challenge_ended", cast.validator, request_, answer(subject=other.latest.digest))
    refused("challenge_ended", cast.validator, request_, answer(who=cast.approver))
    refused("challenge_ended", cast.validator, request_, answer(purpose="sign in", subject=""))
    refused("challenge_ended", cast.validator, request_, answer(session="session:other"))
    refused("challenge_ended", cast.validator, request_, answer(), session_key="session:other")
    refused("wrong_passkey", cast.approver, request_, devices.assertion(
        cast.approver, device, "signature", world.SESSION, digest,
    ))  # fmt: skip
    over_other = answer(subject=other.latest.digest)
    refused("wrong_passkey", cast.validator, request_, replace(over_other, ticket=answer().ticket))
    refused("changed_while_reading", cast.validator, request_, over_other, digest=other.latest.digest)
    good = answer()
    assert proof(cast.validator, request_, good)
    Factor.objects.update(sign_count=0)
    refused("challenge_used", cast.validator, request_, good)
    for lie in ({"origin": "https://evil.example"}, {"rp": "evil.example"}, {"verified": False}):
        liar = replace(device, **lie)
        refused("wrong_passkey", cast.validator, request_, devices.assertion(
            cast.validator, liar, "signature", world.SESSION, digest,
        ))  # fmt: skip


def test_a_ticket_ends_after_two_minutes(cast, request_, monkeypatch):
    import time

    device = devices.add_passkey(cast.validator)
    late = devices.assertion(cast.validator, device, "signature", world.SESSION, request_.latest.digest)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 121)
    refused("challenge_ended", cast.validator, request_, late)


def test_a_removed_passkey_signs_nothing_and_what_it_signed_counts_on(cast, request_):
    device, digest = devices.add_passkey(cast.validator), request_.latest.digest
    nonce = proof(cast.validator, request_, devices.assertion(
        cast.validator, device, "signature", world.SESSION, digest,
    ))  # fmt: skip
    world.sign(cast.validator, request_, "validation", nonce=nonce)
    factors.remove_factor(
        by=cast.validator, account=cast.validator, factor=Factor.objects.get(), password=cast.password
    )
    late = devices.assertion(cast.validator, device, "signature", world.SESSION, digest)
    refused("wrong_passkey", cast.validator, request_, late)
    world.sign(cast.approver, request_, "approval")
    assert gate.evaluate(request_.version, request_.environment, request_.use).allowed


def test_a_password_with_a_code_signs_once(cast, request_):
    secret, codes = devices.add_app(cast.validator)
    now = Answer(code=code(secret))
    refused("wrong_credentials", cast.validator, request_, now, password="wrong horse battery")
    refused("wrong_code", cast.validator, request_, Answer(code="000000"), password=cast.password)
    refused("wrong_code", cast.validator, request_, Answer(code=codes[0]), password=cast.password)
    nonce = proof(cast.validator, request_, now, cast.password)
    refused("code_used", cast.validator, request_, now, password=cast.password)
    world.sign(cast.validator, request_, "validation", nonce=nonce)
    event = Event.objects.get(pk=Decision.objects.get().authentication)
    assert event.content["facts"]["method"] == "password+totp"
    assert "assertion" not in event.content["facts"]


def test_wrong_codes_at_signing_lock_though_the_password_is_right(cast, request_):
    secret, _ = devices.add_app(cast.validator)
    for expected in ("wrong_code", "wrong_code", "wrong_code", "account_locked"):
        given = Answer(code="000000" if expected == "wrong_code" else code(secret))
        with pytest.raises(Refusal) as caught:
            proof(cast.validator, request_, given, cast.password)
        assert caught.value.code == expected
    with pytest.raises(Refusal) as caught:
        proof(cast.validator, request_, Answer(passkey="{}"))
    assert caught.value.code == "account_locked"


def test_the_sign_page_takes_a_passkey_or_a_code(cast, request_, signed_in):
    browser, device = signed_in(cast.validator), devices.add_passkey(cast.validator)
    devices.add_app(cast.validator)
    path, digest = f"/requests/{request_.pk}/sign/", request_.latest.digest
    page = browser.get(path, **HOST).content.decode()
    assert "with a passkey" in page
    challenge = browser.get(f"/api/v1/requests/{request_.pk}/challenge/?digest={digest}", **HOST).json()
    form = {"requirement": "validation", "outcome": "approve", "digest": digest, "comment": world.REASONING}
    wrong = browser.post(path, {**form, "password": cast.password, "code": "000000"}, **HOST)
    assert wrong.status_code == 403
    assert "This code is wrong" in wrong.content.decode()
    old = browser.get(f"/api/v1/requests/{request_.pk}/challenge/?digest=sha256:other", **HOST)
    assert old.json()["code"] == "changed_while_reading"
    lie = {**form, "ticket": challenge["ticket"], "passkey": replace(device, rp="evil").get(challenge["options"])}
    again = browser.post(path, lie, **HOST).content.decode()
    assert "did not prove" in again
    assert '"rawId' not in again.replace("&quot;", '"'), "an answer that failed is not sent again"
    signed = browser.post(path, {**lie, "passkey": device.get(challenge["options"])}, **HOST)
    assert signed.status_code == 302, signed.content.decode()
    assert Reauthentication.objects.get().method == "passkey"


def test_a_policy_that_wants_two_factors_takes_no_mere_password(cast, signed_in):
    policies.a_policy(cast, policies.a_document(factor="second_factor"), everywhere=True)
    request = world.a_request(cast)
    browser, path = signed_in(cast.approver), f"/requests/{request.pk}/sign/"
    page = browser.get(path, **HOST).content.decode()
    assert "You cannot sign this" in page
    assert "you add either on your account page" in page
    for password in (cast.password, "wrong horse battery"):
        with pytest.raises(Refusal) as caught:
            proof(cast.approver, request, password=password)
        assert caught.value.code == "second_factor_needed", "whether the password is right is not told"
    assert User.objects.get(pk=cast.approver.pk).failed_sign_ins == 0
    assert Event.objects.latest("id").content["facts"]["code"] == "second_factor_needed"
    secret, _ = devices.add_app(cast.approver)
    assert "was added less than a day ago" in browser.get(path, **HOST).content.decode()
    refused("factor_too_new", cast.approver, request, Answer(code=code(secret)), password=cast.password)
    a_day_passes()
    form = {"requirement": "approval", "outcome": "approve", "digest": request.latest.digest}
    form |= {"comment": world.REASONING, "password": cast.password}
    assert browser.post(path, form, **HOST).status_code == 422, "the code is asked for"
    assert browser.post(path, {**form, "code": code(secret)}, **HOST).status_code == 302
    assert Reauthentication.objects.get().method == "password+totp"


def test_whoever_has_a_passkey_alone_is_asked_for_nothing_else(cast, signed_in):
    policies.a_policy(cast, policies.a_document(factor="second_factor"), everywhere=True)
    request, device, browser = world.a_request(cast), devices.add_passkey(cast.approver), signed_in(cast.approver)
    path = f"/requests/{request.pk}/sign/"
    a_day_passes()
    page = browser.get(path, **HOST).content.decode()
    assert "Under this policy a password alone does not sign." in page
    assert not re.search(r'name="(password|code)"', page)
    form = {"requirement": "approval", "outcome": "approve", "digest": request.latest.digest}
    form["comment"] = world.REASONING
    assert "Under this policy a password alone" in browser.post(path, form, **HOST).content.decode()
    challenge = browser.get(f"/api/v1/requests/{request.pk}/challenge/", **HOST).json()
    form |= {"ticket": challenge["ticket"], "passkey": device.get(challenge["options"])}
    assert browser.post(path, form, **HOST).status_code == 302


def test_a_risk_is_accepted_with_a_passkey_over_its_text(cast, signed_in):
    policies.a_policy(cast, policies.a_document(factor="second_factor"), everywhere=True)
    request, device, browser = (
        world.a_request(cast),
        devices.add_passkey(cast.risk_officer),
        signed_in(cast.risk_officer),
    )
    a_day_passes()
    finding, path = a_finding(cast, request.version), f"/requests/{request.pk}/risk-acceptances/new/"
    form = {"target": f"finding:{finding.pk}", "until": in_days(30).isoformat(), "reason": REASON}
    page = browser.post(path, form, **HOST).content.decode()
    form["digest"] = value_of(page, "digest")
    assert "Sign with a passkey" in page
    assert not re.search(r'name="password"', page)
    assert "a password alone does not sign" in browser.post(path, form, **HOST).content.decode()
    asked = browser.get(unescape(re.search(r'data-challenge="([^"]*)"', page)[1]), **HOST).json()
    assert asked["digest"] == form["digest"]
    form |= {"ticket": asked["ticket"], "passkey": device.get(asked["options"])}
    assert browser.post(path, form, **HOST).status_code == 302
    told = Event.objects.filter(event="signer.reauthenticated").latest("id").content["facts"]
    assert (told["method"], told["purpose"]) == ("passkey", "risk_acceptance")
    verify(Event.objects.filter(event="factor.added").latest("id").content["facts"], told, form["digest"])
    wrong = browser.get(f"/api/v1/requests/{request.pk}/challenge/?purpose=risk_acceptance&digest=x", **HOST)
    assert wrong.json()["code"] == "digest_invalid"


def test_a_proof_by_password_does_not_sign_where_two_factors_are_wanted(cast):
    """As if the proof had been given under a weaker rule: the signature asks again."""
    policies.a_policy(cast, policies.a_document(factor="second_factor"), everywhere=True)
    request = world.a_request(cast)
    secret, _ = devices.add_app(cast.approver)
    a_day_passes()
    nonce = proof(cast.approver, request, Answer(code=code(secret)), cast.password)
    Reauthentication.objects.update(method="password")
    with pytest.raises(Refusal) as caught:
        world.sign(cast.approver, request, "approval", nonce=nonce)
    assert caught.value.code == "second_factor_needed"
    assert not Decision.objects.exists()


def test_without_a_passkey_there_is_no_challenge(cast, request_, api):
    answer = api(cast.validator).get(f"/api/v1/requests/{request_.pk}/challenge/")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_passkey")
