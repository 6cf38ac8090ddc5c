"""Taking an account over: one-time links, mail addresses, and what is held back afterwards."""

from __future__ import annotations

import io
import logging
import re
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from accounts.models import CredentialChange, User
from accounts.services import deactivate_account, revoke_grant
from accounts.takeover.holding import credential_changed
from accounts.takeover.services import (
    accept_reset,
    ask_for_reset,
    change_address,
    change_own_address,
    confirm_credentials,
    make_reset_link,
    reset_password,
    send_reset_link,
)
from accounts.tasks import mail_reset_link
from approvals.findings.acceptances import draft
from approvals.publishing import publish
from approvals.services import sign as sign_decision
from ledger.actors import ANONYMOUS
from ledger.models import Disclosure, Event
from ledger.refusals import Denied, Refusal
from notifications.tasks import deliver
from portal.hiding import HideLinks, hide
from tests.accounts.world import CONSOLE, post, refused, second_admin
from tests.approvals import policies
from tests.approvals import world as approvals
from tests.approvals.findings_world import REASON, a_finding, in_days

NEW = "a much better phrase"
FORM = {"new_password": NEW, "again": NEW}


def link_in(text: str) -> str:
    found = re.search(r"(/sign-in/reset/[^/\s<\"]+/)", text)
    assert found
    return found[1]


def reset(by, account):
    return accept_reset(text=make_reset_link(by=by, account=account, reason="forgot it"), new=NEW)


@pytest.mark.django_db
class TestLinks:
    def test_an_administrator_sends_one_and_never_sees_it(self, cast, signed_in, client):
        theirs, browser = signed_in(cast.approver), signed_in(cast.platform_admin)
        path = f"/people/{cast.approver.pk}/link/"
        assert browser.get(path).status_code == 200
        assert browser.post(path, {"reason": ""}).status_code == 422
        answer = browser.post(path, {"reason": "forgot it on holiday"}, follow=True).content.decode()
        assert "is on its way to Arno Weiss" in answer
        assert "/sign-in/reset/" not in answer
        (sent,) = mail.outbox
        assert sent.to == [cast.approver.email]
        link = link_in(sent.body)
        assert cast.approver.email in client.get(link).content.decode()
        assert client.post(link, {**FORM, "again": "another phrase"}).status_code == 422
        assert client.post(link, FORM)["Location"] == "/sign-in/"
        deliver()
        assert "was reset" in mail.outbox[1].body
        assert client.post(link, FORM).status_code == 409, "it works once"
        assert theirs.get("/account/").status_code == 302, "signed out everywhere"
        assert client.post("/sign-in/", {"email": cast.approver.email, "password": NEW}).status_code == 302
        facts = Event.objects.get(event="password.reset").content["facts"]
        assert facts["sent_by"] == str(cast.platform_admin.opaque_id)

    def test_without_mail_it_is_handed_over_once(self, cast, api, signed_in, settings):
        settings.MAIL_ON = False
        page = signed_in(cast.platform_admin).post(f"/people/{cast.approver.pk}/link/", {"reason": "forgot it"})
        assert link_in(page.content.decode())
        answer = post(api(cast.platform_admin), f"people/{cast.validator.pk}/reset-link/", reason="forgot it").json()
        assert (answer["mailed"], mail.outbox) == (False, [])
        assert Client().get(link_in(answer["link"])).status_code == 200
        assert "sends no mail" in Client().get("/sign-in/forgot/").content.decode()
        assert "sends no mail" in Client().post("/sign-in/forgot/", {"email": "a@example.org"}).content.decode()

    def test_who_may_send_and_to_whom(self, cast, api):
        wish = {"reason": "forgot it"}
        refused("own_account", send_reset_link, by=cast.platform_admin, account=cast.platform_admin, **wish)
        refused("not_resettable", send_reset_link, by=cast.platform_admin, account=cast.ci_bot, **wish)
        for somebody in (cast.risk_officer, cast.auditor, cast.approver):
            with pytest.raises(Denied):
                send_reset_link(by=somebody, account=cast.developer, **wish)
        assert mail.outbox == []
        assert post(api(cast.platform_admin), f"people/{cast.approver.pk}/reset-link/", **wish).json() == {
            "mailed": True, "link": None,
        }  # fmt: skip

    def test_a_link_ends_with_the_sender_the_address_the_day_and_the_account(self, cast, settings):
        second = second_admin(cast)

        def link():
            return make_reset_link(by=second, account=cast.approver, reason="forgot it")

        def over(text):
            with pytest.raises(Refusal) as refusal:
                accept_reset(text=text, new=NEW)
            assert refusal.value.code == "link_invalid"

        text = link()
        over(text.replace(f"-{second.pk}-", f"-{cast.platform_admin.pk}-"))  # who sent it cannot be altered
        over(text.replace(f"-{second.pk}-", "-0-"))
        over(text.replace(f"{cast.approver.pk}-", f"{cast.validator.pk}-", 1))
        change_address(by=cast.platform_admin, account=cast.approver, email="arno@example.org", reason="new domain")
        over(text)
        text = link()
        settings.PASSWORD_RESET_TIMEOUT = -1
        over(text)
        settings.PASSWORD_RESET_TIMEOUT = 60
        revoke_grant(by=cast.platform_admin, grant=second.grants.get(), reason="moves on")
        over(text)
        for nonsense in ("", "1-0-x", "x-0-y", "²-0-x", "9" * 30 + "-0-x", "1--x", "-"):
            over(nonsense)
        assert User.objects.get(pk=cast.approver.pk).check_password(cast.password)

    def test_a_link_of_a_deactivated_account_and_of_another(self, cast):
        text = make_reset_link(by=cast.platform_admin, account=cast.approver, reason="forgot it")
        refused("link_invalid", reset_password, by=ANONYMOUS, account=cast.validator, text=text, new=NEW)
        refused("weak_password", reset_password, by=ANONYMOUS, account=cast.approver, text=text, new="arno weiss 12")
        deactivate_account(by=cast.platform_admin, account=cast.approver, reason="left us")
        refused("link_invalid", reset_password, by=ANONYMOUS, account=cast.approver, text=text, new=NEW)

    def test_the_secret_is_in_no_event_and_no_log(self, cast, caplog, client):
        text = make_reset_link(by=cast.platform_admin, account=cast.approver, reason="forgot it")
        secret = text.rpartition("-")[2]
        with caplog.at_level(logging.DEBUG):
            caplog.handler.addFilter(HideLinks())
            client.post(f"/sign-in/reset/{text}/", {**FORM, "again": "x"})  # an error that Django logs with its path
            client.get(f"/sign-in/reset/{text}x/")
        assert "/sign-in/reset/…/" in caplog.text
        assert secret not in caplog.text
        assert not any(secret.encode() in bytes(event.bytes) for event in Event.objects.all())
        assert not Disclosure.objects.filter(value__contains=secret).exists()
        from django.conf import settings

        assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["links"]

    def test_the_access_log_hides_it_too(self):
        from datetime import timedelta as duration
        from types import SimpleNamespace

        from gunicorn.config import Config

        from portal.access_log import AccessLog

        path = "/sign-in/invitation/5-c0ffee/"
        environ = {"REQUEST_METHOD": "GET", "RAW_URI": path, "SERVER_PROTOCOL": "HTTP/1.1", "PATH_INFO": path,
                   "HTTP_REFERER": f"https://portal{path}"}  # fmt: skip
        response = SimpleNamespace(status="200 OK", sent=5, headers=[])
        request = SimpleNamespace(headers=[("REFERER", f"https://portal{path}")])
        atoms = AccessLog(Config()).atoms(response, request, environ, duration(seconds=1))
        assert "c0ffee" not in str(atoms)
        assert atoms["r"] == "GET /sign-in/invitation/…/ HTTP/1.1"
        assert hide("/sign-in/forgot/") == "/sign-in/forgot/"


@pytest.mark.django_db
class TestForgotten:
    def test_known_and_unknown_addresses_look_the_same(self, cast, client, signed_in):
        answers = [
            client.post("/sign-in/forgot/", {"email": email}, follow=True).content.decode()
            for email in (cast.approver.email.upper(), "nobody@example.org", cast.ci_bot.email)
        ]
        assert all("If this address has an account" in answer for answer in answers)
        facts = [event.content["facts"] for event in Event.objects.filter(event="reset_link.requested").order_by("id")]
        assert facts == [{"account": str(cast.approver.opaque_id)}, {"account": None}, {"account": None}]
        assert signed_in(cast.approver).get("/sign-in/forgot/")["Location"] == "/account/password/"

    def test_the_worker_mails_the_link_to_who_has_a_password(self, cast, client):
        mail_reset_link(cast.approver.pk)
        mail_reset_link(cast.ci_bot.pk)
        mail_reset_link(0)
        (sent,) = mail.outbox
        assert sent.to == [cast.approver.email]
        assert client.post(link_in(sent.body), FORM).status_code == 302
        assert CredentialChange.objects.get().caused_by is None

    def test_asking_is_limited(self, cast, settings):
        settings.SIGN_IN_ATTEMPTS_PER_ADDRESS_AND_MINUTE = 1
        ask_for_reset(email="nobody@example.org")
        with pytest.raises(Refusal) as refusal:
            ask_for_reset(email=cast.approver.email)
        assert refusal.value.code == "rate_limited"


@pytest.mark.django_db
class TestAddresses:
    def test_ones_own_with_the_password(self, cast, signed_in):
        browser = signed_in(cast.approver)
        assert browser.get("/account/address/").status_code == 200
        form = {"email": "arno@example.org", "password": "not this one"}
        assert "not your password" in browser.post("/account/address/", form).content.decode()
        form["password"] = cast.password
        taken = browser.post("/account/address/", {**form, "email": cast.validator.email.upper()})
        assert "has an account already" in taken.content.decode()
        assert browser.post("/account/address/", form)["Location"] == "/account/"
        assert "You cannot sign for now" in browser.get("/account/").content.decode()
        deliver()
        (told,) = mail.outbox
        assert told.to == ["approver@example.org"]
        assert "changed it yourself" in told.body
        event = Event.objects.get(event="mail_address.changed")
        assert event.disclosures.get(label="old_email").value == "approver@example.org"
        assert b"arno@example.org" not in bytes(event.bytes)

    def test_by_an_administrator_with_a_reason(self, cast, signed_in, api):
        browser, path = signed_in(cast.platform_admin), f"/people/{cast.approver.pk}/address/"
        assert browser.get(path).status_code == 200
        assert browser.post(path, {"email": "arno@example.org", "reason": ""}).status_code == 422
        assert browser.post(path, {"email": "arno@example.org", "reason": "new domain"}).status_code == 302
        deliver()
        assert "Petra Sand, an administrator" in mail.outbox[0].body
        assert "Signing is held back" in browser.get(f"/people/{cast.approver.pk}/").content.decode()
        answer = post(api(cast.platform_admin), f"people/{cast.validator.pk}/mail-address/",
                      email="vera@example.org", reason="new domain").json()  # fmt: skip
        assert answer["email"] == "vera@example.org"
        assert api(cast.platform_admin).get(f"/api/v1/people/{cast.validator.pk}/").json()["signing_held_until"]

    def test_what_is_refused(self, cast, api):
        admin = cast.platform_admin
        wish = {"email": "new@example.org", "reason": "new domain"}
        refused("own_account", change_address, by=admin, account=admin, **wish)
        refused("address_unchanged", change_address, by=admin, account=cast.approver,
                **{**wish, "email": cast.approver.email})  # fmt: skip
        refused("invalid_email", change_address, by=admin, account=cast.approver, **{**wish, "email": "x"})
        refused("humans_only", change_own_address, by=cast.ci_bot, email="new@example.org", password="x")
        with pytest.raises(Denied):
            change_address(by=cast.auditor, account=cast.approver, **wish)
        answers = [
            post(api(cast.developer), "me/mail-address/", email="a@example.org", password="wrong").json()["code"]
            for _ in range(3)
        ]
        assert answers == ["wrong_credentials", "wrong_credentials", "account_locked"]
        assert CredentialChange.objects.count() == 0
        deliver()
        assert mail.outbox == []


@pytest.mark.django_db
class TestHeldBack:
    @pytest.fixture
    def request_(self, cast):
        request = approvals.a_request(cast)
        approvals.sign(cast.validator, request, "validation")
        return request

    def arguments(self, cast, request_):
        return {"request": request_, "requirement": "approval", "outcome": "approve", "comment": "fine by me",
                "digest": request_.latest.digest, "nonce": "none", "session_key": "s"}  # fmt: skip

    def test_signing_waits_until_a_second_administrator_confirms_and_the_decision_shows_it(
        self, cast, request_, signed_in, api
    ):
        admin, second = cast.platform_admin, second_admin(cast)
        reset(admin, cast.approver)
        browser = signed_in(User.objects.get(pk=cast.approver.pk))
        page = browser.get(f"/requests/{request_.pk}/sign/?requirement=approval").content.decode()
        assert "You cannot sign this" in page
        assert "the password was reset by a link" in page
        refused("credentials_changed", sign_decision, by=cast.approver, **self.arguments(cast, request_))
        confirm = {"account": cast.approver, "reason": "called him"}
        refused("same_person", confirm_credentials, by=admin, **confirm)
        path = f"/people/{cast.approver.pk}/credentials/"
        assert signed_in(admin).post(path, {"reason": "called him"}).status_code == 409
        assert signed_in(second).get(path).status_code == 200
        assert signed_in(second).post(path, {"reason": "called him"}).status_code == 302
        answer = post(api(second), f"people/{cast.approver.pk}/credentials-confirmation/", reason="called him")
        assert answer.json()["code"] == "nothing_to_confirm"
        User.objects.filter(pk=cast.approver.pk).update(password=cast.validator.password)
        decision = approvals.sign(User.objects.get(pk=cast.approver.pk), request_, "approval")
        change = CredentialChange.objects.get()
        assert decision.credentials_changed_at == change.at
        assert "mail address was replaced" in browser_page(signed_in(cast.auditor), request_)

    def test_a_day_frees_a_month_forgets_and_the_old_password_vouches(self, cast, request_, signed_in):
        CredentialChange.objects.create(
            account=cast.approver, kind="mail_address", held_until=Now() - timedelta(seconds=1)
        )
        assert approvals.sign(cast.approver, request_, "approval").judged_by["credentials_changed_at"]
        other = approvals.a_request(cast, environment="staging", use="other-use", version=request_.version)
        browser = signed_in(cast.validator)
        change = {"old_password": cast.password, "new_password": NEW, "again": NEW}
        assert browser.post("/account/password/", change).status_code == 302
        assert not CredentialChange.objects.filter(account=cast.validator).exists()
        User.objects.filter(pk=cast.validator.pk).update(password=cast.approver.password)
        CredentialChange.objects.create(
            account=cast.validator, kind="mail_address", at=Now() - timedelta(days=31), held_until=Now()
        )
        decision = approvals.sign(User.objects.get(pk=cast.validator.pk), other, "validation")
        assert "credentials_changed_at" not in decision.judged_by

    def test_policies_and_accepted_risks_wait_too(self, cast, request_):
        proposal, finding = policies.a_proposal(cast), a_finding(cast, request_.version)
        credential_changed(cast.risk_officer, CredentialChange.Kind.MAIL_ADDRESS, caused_by=None)
        refused("credentials_changed", publish, by=cast.risk_officer, proposal=proposal, digest=proposal.digest)
        with pytest.raises(Refusal) as refusal:
            draft(cast.risk_officer, request_, f"finding:{finding.pk}", REASON, in_days(9))
        assert refusal.value.code == "credentials_changed"

    def test_an_earlier_change_by_the_confirmer_counts_too(self, cast):
        """Change the address, wait, let a link come by mail: whoever did that confirms nothing."""
        admin, second = cast.platform_admin, second_admin(cast)
        CredentialChange.objects.create(
            account=cast.approver, kind="mail_address", caused_by=admin, at=Now() - timedelta(days=9), held_until=Now()
        )
        credential_changed(cast.approver, CredentialChange.Kind.SECOND_FACTOR, caused_by=None)
        wish = {"account": cast.approver, "reason": "called him"}
        refused("same_person", confirm_credentials, by=admin, **wish)
        reset(admin, second)
        refused("credentials_changed", confirm_credentials, by=second, **wish)
        refused("own_account", confirm_credentials, by=second, account=second, reason="it is me")
        third = second_admin(cast, "Dora Dritt")
        refused("reason_needed", confirm_credentials, by=third, account=cast.approver, reason="")
        confirm_credentials(by=third, **wish)
        with pytest.raises(Denied):
            confirm_credentials(by=cast.risk_officer, **wish)


def browser_page(browser, request):
    return browser.get(f"/requests/{request.pk}/").content.decode()


def test_a_link_opened_twice_at_once_sets_one_password(committing_db, cast):
    text = make_reset_link(by=cast.platform_admin, account=cast.approver, reason="forgot it")
    answers, start = [], threading.Barrier(4)

    def use(number):
        start.wait()
        try:
            accept_reset(text=text, new=f"{NEW} {number}")
            answers.append("set")
        except Refusal as refusal:
            answers.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=use, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["link_invalid"] * 3 + ["set"]
    assert CredentialChange.objects.count() == 1


@pytest.mark.django_db
class TestConsole:
    def test_django_s_own_ways_to_set_a_password_are_closed(self, cast):
        for command in ("changepassword", "createsuperuser"):
            with pytest.raises(CommandError, match=r"make_reset_link|create_administrator"):
                call_command(command, cast.approver.email)

    def test_the_last_administrator_gets_a_link_there(self, cast, client):
        said = io.StringIO()
        call_command("make_reset_link", cast.platform_admin.email, stdout=said)
        assert client.post(link_in(said.getvalue()), FORM).status_code == 302
        assert Event.objects.get(event="reset_link.made").actor_kind == "system"
        for email, sentence in (("nobody@example.org", "Nobody has"), (cast.ci_bot.email, "Only a person")):
            with pytest.raises(CommandError, match=sentence):
                call_command("make_reset_link", email)

    def test_a_role_of_the_console_confirms_nothing(self, cast):
        credential_changed(cast.approver, CredentialChange.Kind.MAIL_ADDRESS, caused_by=CONSOLE)
        from accounts.management.commands.make_reset_link import CONSOLE as LINKS

        refused("humans_only", confirm_credentials, by=LINKS, account=cast.approver, reason="no one")
