"""Open sessions of one's own, ending them, and what the log tells of the door of one's account."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.models import BrowserSession
from ledger.models import Event
from tests.accounts import device as devices
from tests.accounts.device import FIREFOX, SECOND, code, halfway, is_in

pytestmark = pytest.mark.django_db


def newest():
    return Event.objects.order_by("-id")[0]


class TestSessions:
    def enter(self, cast, agent=FIREFOX):
        browser = Client(headers={"User-Agent": agent})
        browser.post("/sign-in/", {"email": cast.developer.email, "password": cast.password})
        return browser

    def test_one_whose_time_is_up_or_that_never_was_is_nobodys(self, cast):
        browser = self.enter(cast)
        assert is_in(browser)
        Session.objects.filter(session_key=browser.session.session_key).update(expire_date=timezone.now())
        assert not is_in(browser)
        for key in ("0" * 32, r'"0000\0000000"'):  # the second is unquoted to one with a NUL in it
            answer = Client(headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}"}).get("/account/")
            assert answer["Location"].startswith("/sign-in/")

    def test_one_that_is_ended_elsewhere_stops_at_once(self, cast):
        here, there = self.enter(cast), self.enter(cast)
        page = here.get("/account/").content.decode()
        assert page.count("Firefox on Linux") == 3, "twice in the table, once for screen readers"
        assert "127.0.0.1" in page
        ends = re.findall(r'action="(/account/sessions/\d+/end/)"', page)
        assert len(ends) == 1, "not the one that looks"
        assert here.post(ends[0])["Location"] == "/account/"
        assert newest().event == "session.ended"
        assert there.get("/account/")["Location"].startswith("/sign-in/")
        assert is_in(here)
        assert "has ended already" in here.post(ends[0], follow=True).content.decode()

    def test_all_others_end_together(self, cast):
        here, others = self.enter(cast), [self.enter(cast) for _ in range(2)]
        assert "2 browsers" in here.post("/account/sessions/end/", follow=True).content.decode()
        assert not any(map(is_in, others))
        assert is_in(here)

    def test_a_new_password_ends_the_others_and_keeps_this_one_in_the_list(self, cast):
        here, there = self.enter(cast), self.enter(cast)
        fresh = "a much better phrase"
        here.post("/account/password/", {"old_password": cast.password, "new_password": fresh, "again": fresh})
        assert not is_in(there)
        assert is_in(here)
        assert BrowserSession.objects.open().get().key == here.session.session_key
        assert newest().content["facts"] == {"sessions_ended": 1}

    def test_nobody_ends_anothers(self, cast, signed_in):
        there = self.enter(cast)
        other = BrowserSession.objects.get()
        signed_in(cast.approver).post(f"/account/sessions/{other.pk}/end/")
        assert is_in(there)

    def test_signing_out_takes_it_from_the_list(self, cast):
        here = self.enter(cast)
        here.post("/sign-out/")
        assert not BrowserSession.objects.open().exists()


def test_the_history_tells_of_both_outcomes_and_of_nobody_else(cast, signed_in):
    secret, _ = devices.add_app(cast.validator)
    Client().post("/sign-in/", {"email": cast.validator.email, "password": "wrong horse battery"})
    browser, _ = halfway(cast.validator)
    browser.post(SECOND, {"code": "000000"})
    browser.post(SECOND, {"code": code(secret)})
    Client().post("/sign-in/", {"email": cast.approver.email, "password": "wrong horse battery"})
    page = " ".join(re.sub(r"<[^>]+>", " ", browser.get("/account/history/").content.decode()).split())
    for line in (
        "Signed in password and a code from an app Firefox on Linux, 127.0.0.1",
        "Refused: signed in wrong code 127.0.0.1",
        "Refused: gave the password, then was asked for a second factor wrong password",
        "Second factor added authenticator app",
    ):
        assert line in page
    oldest = Event.objects.about(cast.validator).order_by("id").first()
    assert "Nothing yet" in browser.get(f"/account/history/?before={oldest.pk}").content.decode()
    assert "Signed in" in browser.get("/account/history/?before=nonsense").content.decode()
    other = signed_in(cast.developer).get("/account/history/").content.decode()
    assert "wrong password" not in other
