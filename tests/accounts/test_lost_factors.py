"""Second factors that are lost: removed by a one-time link and the password, and no way round them to a signature."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client

from accounts.models import CredentialChange, RecoveryCode, User
from accounts.takeover.factors import accept_factor_link, make_factor_link
from accounts.takeover.services import accept_reset, confirm_credentials, make_reset_link
from approvals.services import reauthenticate
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from notifications.tasks import deliver
from portal.hiding import hide
from tests.accounts import device as devices
from tests.accounts.world import post, refused, second_admin
from tests.approvals import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def somebody(cast):
    """The approver, with a passkey, an app and recovery codes."""
    devices.add_passkey(cast.approver)
    devices.add_app(cast.approver)
    return User.objects.get(pk=cast.approver.pk)


def link_in(text):
    return re.search(r"(/sign-in/factors/[^/\s<\"]+/)", text)[1]


def link(by, account):
    return make_factor_link(by=by, account=account, reason="lost the phone")


def over(text, password, code="link_invalid"):
    with pytest.raises(Refusal) as refusal:
        accept_factor_link(text=text, password=password)
    assert refusal.value.code == code


def test_by_the_pages(cast, somebody, signed_in, client):
    theirs, browser = signed_in(somebody), signed_in(cast.platform_admin)
    path = f"/people/{somebody.pk}/factor-link/"
    assert "Lost second factors" in browser.get(f"/people/{somebody.pk}/").content.decode()
    assert browser.get(path).status_code == 200
    assert browser.post(path, {"reason": ""}).status_code == 422
    said = browser.post(path, {"reason": "lost the phone"}, follow=True).content.decode()
    assert "is on its way to Arno Weiss" in said
    assert "/sign-in/factors/" not in said
    assert "An administrator made a link" in theirs.get("/account/history/").content.decode()
    there = link_in(mail.outbox[0].body)
    assert somebody.email in client.get(there).content.decode()
    assert "password is wrong" in client.post(there, {"password": "a guess at it"}).content.decode()
    assert somebody.factors.standing().count() == 2
    assert client.post(there, {"password": cast.password})["Location"] == "/sign-in/"
    assert not somebody.factors.standing().exists()
    assert not RecoveryCode.objects.exists()
    deliver()
    assert "were removed by a one-time link" in mail.outbox[1].body
    assert client.post(there, {"password": cast.password}).status_code == 409, "it works once"
    facts = Event.objects.get(event="factors.reset").content["facts"]
    assert (facts["sent_by"], len(facts["factors"])) == (str(cast.platform_admin.opaque_id), 2)
    assert client.post("/sign-in/", {"email": somebody.email, "password": cast.password}).status_code == 302
    assert "You cannot sign for now" in client.get("/account/").content.decode()


def test_by_the_api_without_mail(cast, somebody, api, settings):
    settings.MAIL_ON = False
    made = post(api(cast.platform_admin), f"people/{somebody.pk}/factor-link/", reason="lost the phone").json()
    assert made["mailed"] is False
    assert Client().get(link_in(made["link"])).status_code == 200
    assert post(api(cast.auditor), f"people/{somebody.pk}/factor-link/", reason="x y z").status_code == 403
    assert hide(link_in(made["link"])) == "/sign-in/factors/…/"


def test_who_may_send_and_to_whom(cast, somebody):
    devices.add_app(cast.platform_admin)
    refused("own_account", make_factor_link, by=cast.platform_admin, account=cast.platform_admin, reason="lost it")
    refused("no_factor", make_factor_link, by=cast.platform_admin, account=cast.validator, reason="lost it")
    refused("reason_needed", make_factor_link, by=cast.platform_admin, account=somebody, reason="")
    for who in (cast.risk_officer, cast.auditor, cast.validator):
        with pytest.raises(Denied):
            link(who, somebody)


def test_a_link_ends_with_another_factor_and_opens_no_other_door(cast, somebody):
    text = link(cast.platform_admin, somebody)
    over(text.replace(f"-{cast.platform_admin.pk}-", "-0-"), cast.password)
    over(text.replace(f"{somebody.pk}-", f"{cast.validator.pk}-", 1), cast.password)
    with pytest.raises(Refusal):
        accept_reset(text=text, new="a much better phrase")
    over(make_reset_link(by=cast.platform_admin, account=somebody, reason="forgot it"), cast.password)
    devices.add_app(somebody, "another app")
    over(text, cast.password)


def test_it_is_no_way_to_sign_at_once(cast, somebody):
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    accept_factor_link(text=link(cast.platform_admin, somebody), password=cast.password)
    asked = {"request": request, "digest": request.latest.digest, "password": cast.password, "session_key": "s"}
    with pytest.raises(Refusal) as refusal:
        world.sign(somebody, request, "approval", nonce=reauthenticate(by=somebody, **asked), session_key="s")
    assert refusal.value.code == "credentials_changed"
    wish = {"account": somebody, "reason": "called him"}
    refused("same_person", confirm_credentials, by=cast.platform_admin, **wish)
    confirm_credentials(by=second_admin(cast), **wish)


def test_nobody_replaces_both_password_and_factors(cast, somebody):
    """Neither at once, with the link of whoever else, nor alone, after a day."""
    admin, second = cast.platform_admin, second_admin(cast)
    changed = "a much better phrase"
    accept_reset(text=make_reset_link(by=admin, account=somebody, reason="forgot it"), new=changed)
    somebody.refresh_from_db()
    over(link(second, somebody), changed, "credentials_changed")
    refused("same_person", make_factor_link, by=admin, account=somebody, reason="lost the phone")
    confirm_credentials(by=second, account=somebody, reason="called him")
    refused("same_person", make_factor_link, by=admin, account=somebody, reason="lost the phone")
    accept_factor_link(text=link(second, somebody), password=changed)
    refused("same_person", make_reset_link, by=second, account=somebody, reason="forgot it")
    assert CredentialChange.objects.filter(account=somebody).count() == 2


def test_guesses_at_the_password_lock(cast, somebody):
    text = link(cast.platform_admin, somebody)
    for code in ("wrong_credentials", "wrong_credentials", "account_locked", "account_locked"):
        over(text, "a guess at it", code)
    over(text, cast.password, "account_locked")
    assert somebody.factors.standing().count() == 2
