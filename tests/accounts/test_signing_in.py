"""Signing in and out: who gets in, who is kept out, and what the log keeps of it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts.models import User
from accounts.services import add_account, invite, sign_in
from ledger.actors import SystemActor
from ledger.models import Disclosure, Event
from ledger.refusals import Refusal

pytestmark = pytest.mark.django_db
WRONG = "wrong horse battery"


def enter(client, email, password, **more):
    return client.post("/sign-in/", {"email": email, "password": password, **more})


def test_the_right_password_opens_a_session_under_a_new_key(client, cast):
    client.get("/sign-in/")
    client.session["planted"] = "by somebody else"
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    before = client.session.session_key
    response = enter(client, cast.developer.email.upper(), cast.password)
    assert response.status_code == 302
    assert client.session.session_key != before
    event = Event.objects.order_by("-id")[0]
    assert (event.event, event.actor_kind, event.outcome) == ("session.opened", "anonymous", "done")
    assert event.content["facts"] == {"account": str(cast.developer.opaque_id), "method": "password"}


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/account/?x=1", "/account/?x=1"),
        ("https://evil.example/", None),
        ("//evil.example/", None),
        ("/\\evil.example/", None),
        ("javascript:alert(1)", None),
        ("account/", None),
        ("", None),
    ],
)
def test_only_paths_of_this_site_are_followed_after_signing_in(client, cast, wanted, reached):
    there = enter(client, cast.developer.email, cast.password, next=wanted)["Location"]
    assert there == (reached or "/")


def test_the_address_asked_for_survives_the_sign_in_page(client, cast):
    response = client.get("/account/tokens/new/?a=b")
    assert response["Location"] == "/sign-in/?next=%2Faccount%2Ftokens%2Fnew%2F%3Fa%3Db"
    page = client.get(response["Location"]).content.decode()
    assert 'name="next" value="/account/tokens/new/?a=b"' in page


def test_a_wrong_password_and_an_unknown_address_look_the_same(client, cast):
    known = enter(client, cast.developer.email, WRONG)
    unknown = enter(client, "nobody@example.org", WRONG)
    assert known.status_code == unknown.status_code == 409
    sentence = "Mail address or password is wrong. Check both and try again."
    assert sentence in known.content.decode()
    assert sentence in unknown.content.decode()
    assert WRONG not in known.content.decode()
    assert cast.developer.email in known.content.decode()  # what was typed stays


def test_three_wrong_passwords_lock_and_the_right_one_does_not_open(client, cast):
    pages = [enter(client, cast.developer.email, WRONG).content.decode() for _ in range(3)]
    assert "Too many wrong passwords" not in pages[1]
    assert "Too many wrong passwords. Signing in is locked for 15 minutes" in pages[2]
    response = enter(client, cast.developer.email, cast.password)
    assert response.status_code == 409
    assert "locked for 15 minutes" in response.content.decode()
    refused = Event.objects.filter(event="session.opened.refused").order_by("id")
    assert [event.content["facts"]["code"] for event in refused] == [
        "wrong_credentials",
        "wrong_credentials",
        "account_locked",
        "account_locked",
    ]


def test_a_lock_runs_out_by_the_database_clock(client, cast):
    for _ in range(3):
        enter(client, cast.developer.email, WRONG)
    User.objects.filter(pk=cast.developer.pk).update(locked_until=Now() - timedelta(seconds=1))
    assert enter(client, cast.developer.email, cast.password).status_code == 302
    account = User.objects.get(pk=cast.developer.pk)
    assert (account.failed_sign_ins, account.locked_until) == (0, None)


def test_after_a_lock_three_new_tries_are_counted(client, cast):
    for _ in range(4):
        enter(client, cast.developer.email, WRONG)
    User.objects.filter(pk=cast.developer.pk).update(locked_until=Now() - timedelta(seconds=1))
    answers = ["locked" in enter(client, cast.developer.email, WRONG).content.decode() for _ in range(3)]
    assert answers == [False, False, True]


def test_an_address_may_try_only_so_often_in_a_minute(client, cast, settings):
    settings.SIGN_IN_ATTEMPTS_PER_ADDRESS_AND_MINUTE = 2
    events = Event.objects.count()
    answers = [enter(client, f"nobody{number}@example.org", WRONG) for number in range(3)]
    assert "Too many attempts from your network" in answers[2].content.decode()
    assert Event.objects.count() == events + 2, "a flood must not fill the log"


def test_without_the_counter_nobody_signs_in(cast, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    with pytest.raises(Refusal) as refusal:
        sign_in(email=cast.developer.email, password=cast.password)
    assert refusal.value.code == "service_unavailable"


def test_a_deactivated_account_and_a_service_account_cannot_sign_in(client, cast):
    User.objects.filter(pk=cast.developer.pk).update(is_active=False)
    for email in (cast.developer.email, cast.ci_bot.email):
        assert "is wrong" in enter(client, email, cast.password).content.decode()


def test_demo_accounts_stay_out_of_production(cast, settings):
    User.objects.filter(pk=cast.developer.pk).update(is_demo=True)
    settings.TESTING = settings.EMBEDDED = False
    with pytest.raises(Refusal) as refusal:
        sign_in(email=cast.developer.email, password=cast.password)
    assert refusal.value.code == "demo_account"


def test_signing_out_needs_a_post_and_ends_the_session(signed_in, cast):
    browser = signed_in(cast.developer)
    assert browser.get("/sign-out/").status_code == 405
    assert browser.post("/sign-out/")["Location"] == "/sign-in/"
    assert browser.get("/account/").status_code == 302
    assert Event.objects.order_by("-id")[0].event == "session.closed"
    assert browser.post("/sign-out/")["Location"].startswith("/sign-in/")


def test_who_is_signed_in_is_not_asked_again(signed_in, cast):
    assert signed_in(cast.developer).get("/sign-in/?next=/account/")["Location"] == "/account/"


def test_forms_need_their_token(cast):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    assert enter(strict, cast.developer.email, cast.password).status_code == 403
    page = strict.get("/sign-in/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    assert enter(strict, cast.developer.email, cast.password, csrfmiddlewaretoken=token).status_code == 302


class TestChangingThePassword:
    def change(self, browser, old, new, again=None):
        return browser.post("/account/password/", {"old_password": old, "new_password": new, "again": again or new})

    def test_it_signs_out_elsewhere_and_keeps_this_browser(self, signed_in, cast):
        here, elsewhere = signed_in(cast.developer), signed_in(cast.developer)
        assert self.change(here, cast.password, "a much better phrase").status_code == 302
        assert here.get("/account/").status_code == 200
        assert elsewhere.get("/account/").status_code == 302
        account = User.objects.get(pk=cast.developer.pk)
        assert account.check_password("a much better phrase")
        assert account.password_changed_at is not None

    @pytest.mark.parametrize(
        ("old", "new", "again", "sentence"),
        [
            (WRONG, "a much better phrase", None, "password is wrong"),
            (None, "short", None, "at least 12 characters"),
            (None, "password1234", None, "too common"),
            (None, "dev anand 12", None, "too similar"),
            (None, "a much better phrase", "a much worse phrase", "not the same"),
        ],
    )
    def test_it_is_refused_with_a_sentence(self, signed_in, cast, old, new, again, sentence):
        response = self.change(signed_in(cast.developer), old or cast.password, new, again)
        assert response.status_code in (409, 422)
        assert sentence in response.content.decode()
        assert User.objects.get(pk=cast.developer.pk).check_password(cast.password)

    def test_guessing_the_old_one_locks_too(self, signed_in, cast):
        browser = signed_in(cast.developer)
        for _ in range(3):
            response = self.change(browser, WRONG, "a much better phrase")
        assert "locked" in response.content.decode()
        assert "locked" in self.change(browser, cast.password, "a much better phrase").content.decode()


class TestInvitations:
    @pytest.fixture
    def newcomer(self, cast):
        admin = SystemActor("console", frozenset({"accounts.add_account"}))
        return add_account(by=admin, name="Nina Neu", email="nina@example.org")

    def test_a_newcomer_sets_the_first_password_once(self, client, cast, newcomer):
        link = f"/sign-in/invitation/{invite(by=cast.platform_admin, account=newcomer)}/"
        form = {"new_password": "a much better phrase", "again": "a much better phrase"}
        assert "nina@example.org" in client.get(link).content.decode()
        assert client.post(link, form)["Location"] == "/sign-in/"
        assert client.post(link, form).status_code == 409
        assert enter(client, "nina@example.org", "a much better phrase").status_code == 302

    def test_a_weak_first_password_is_refused(self, client, cast, newcomer):
        link = f"/sign-in/invitation/{invite(by=cast.platform_admin, account=newcomer)}/"
        answer = client.post(link, {"new_password": "nina neu 1234", "again": "nina neu 1234"})
        assert answer.status_code == 422
        assert "too similar to the name" in answer.content.decode()

    def test_it_ends_after_a_day(self, client, cast, newcomer, settings):
        link = f"/sign-in/invitation/{invite(by=cast.platform_admin, account=newcomer)}/"
        settings.PASSWORD_RESET_TIMEOUT = -1
        assert client.get(link).status_code == 409

    @pytest.mark.parametrize("text", ["1-abc", "x", "99999999999999999999-abc-def", "-", "1-", "²-x"])
    def test_what_is_no_invitation_is_refused(self, client, cast, text):
        assert client.get(f"/sign-in/invitation/{text}/").status_code == 409

    def test_an_invitation_sets_no_password_for_another(self, cast, newcomer):
        from accounts.services import accept_invitation
        from ledger.actors import ANONYMOUS

        text = invite(by=cast.platform_admin, account=newcomer)
        with pytest.raises(Refusal):
            accept_invitation(by=ANONYMOUS, account=cast.developer, text=text, new="a much better phrase")
        assert User.objects.get(pk=cast.developer.pk).check_password(cast.password)

    def test_who_has_a_password_is_not_invited(self, cast):
        for account in (cast.developer, cast.ci_bot):
            with pytest.raises(Refusal) as refusal:
                invite(by=cast.platform_admin, account=account)
            assert refusal.value.code == "not_invitable"

    def test_the_link_is_nowhere_in_the_log(self, cast, newcomer):
        text = invite(by=cast.platform_admin, account=newcomer)
        secret = text.partition("-")[2].encode()
        assert not any(secret in bytes(event.bytes) for event in Event.objects.all())
        assert not Disclosure.objects.filter(value__contains=secret.decode()).exists()
