"""Second factors: adding and removing them, and getting in with them; every way that should not work."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from accounts.factors import passkeys, services
from accounts.factors.checking import Answer
from accounts.models import Factor, RecoveryCode, User
from ledger.events import database_time
from ledger.models import Disclosure, Event
from ledger.refusals import Refusal
from tests.accounts import device as devices
from tests.accounts.device import HOST, SECOND, Device, code, halfway, is_in, options_of, value_of

pytestmark = pytest.mark.django_db


def newest():
    return Event.objects.order_by("-id")[0]


def refused(act, expected, /, **named):
    """The act is refused with this code, and leaves its refusal alone."""
    events = Event.objects.count()
    with pytest.raises(Refusal) as caught:
        act(**named)
    assert caught.value.code == expected, caught.value.sentence
    assert Event.objects.count() == events + 1
    assert (newest().outcome, newest().content["facts"]["code"]) == ("refused", expected)


def no_secret_in_the_log(*secrets):
    told = b"".join(bytes(event.bytes) for event in Event.objects.all())
    told += "".join(Disclosure.objects.values_list("value", flat=True)).encode()
    assert not [secret for secret in secrets if secret.encode() in told]


class TestAnApp:
    def test_it_is_added_from_the_page_and_then_asked_for(self, cast, signed_in):
        browser = signed_in(cast.validator)
        page = browser.get("/account/factors/apps/new/").content.decode()
        secret = re.search(r"<code>([A-Z2-7 ]{39})</code>", page)[1].replace(" ", "")
        assert '<path d="M' in page, "the QR code"
        form = {"name": "phone", "password": cast.password, "offered": value_of(page, "offered")}
        wrong = browser.post("/account/factors/apps/new/", {**form, "code": "000000"})
        assert "The app shows another code" in wrong.content.decode()
        assert secret[:4] in wrong.content.decode(), "the same secret is shown again"
        made = browser.post("/account/factors/apps/new/", {**form, "code": code(secret, -1)}).content.decode()
        codes = re.findall(r"<code>([0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4})</code>", made)
        assert len(codes) == 10
        facts = Event.objects.filter(event="factor.added").get().content["facts"]
        assert facts["kind"] == "totp"
        browser, _ = halfway(cast.validator)
        assert not is_in(browser)
        assert newest().event == "sign_in.begun"
        assert browser.post(SECOND, {"code": code(secret)})["Location"] == "/"
        assert is_in(browser)
        assert newest().content["facts"]["method"] == "password+totp"
        factor = Factor.objects.get()
        assert secret not in bytes(factor.secret).decode()
        assert not RecoveryCode.objects.filter(digest__in=[one.replace("-", "").encode() for one in codes]).exists()
        no_secret_in_the_log(secret, *codes, cast.password)

    def test_a_code_lets_in_once(self, cast):
        secret, _ = devices.add_app(cast.validator)
        first, _ = halfway(cast.validator)
        again, _ = halfway(cast.validator)
        used = code(secret)
        assert first.post(SECOND, {"code": used}).status_code == 302
        answer = again.post(SECOND, {"code": used})
        assert "This code was used already" in answer.content.decode()
        assert not is_in(again)
        assert "This code was used already" in again.post(SECOND, {"code": code(secret, -1)}).content.decode()
        assert again.post(SECOND, {"code": code(secret, 1)}).status_code == 302

    def test_wrong_codes_lock_and_the_right_password_does_not_clear_them(self, cast):
        secret, _ = devices.add_app(cast.validator)
        for count in (1, 2, 3):
            browser, _ = halfway(cast.validator)
            browser.post(SECOND, {"code": "000000"})
            assert User.objects.get(pk=cast.validator.pk).failed_sign_ins == count
        answer = browser.post(SECOND, {"code": code(secret)})
        assert "Too many wrong" in answer.content.decode()
        late = Client(**HOST).post("/sign-in/", {"email": cast.validator.email, "password": cast.password})
        assert "Too many wrong" in late.content.decode()
        User.objects.filter(pk=cast.validator.pk).update(locked_until=database_time() - timedelta(seconds=1))
        browser, _ = halfway(cast.validator)
        assert browser.post(SECOND, {"code": code(secret)}).status_code == 302
        assert User.objects.get(pk=cast.validator.pk).failed_sign_ins == 0

    def test_a_secret_that_the_portal_did_not_offer_is_not_taken(self, cast):
        act = {"by": cast.validator, "account": cast.validator, "name": "x", "password": cast.password}
        secret, theirs = services.offer_app(cast.approver)
        refused(services.add_app, "offer_ended", **act, offered=theirs, code=code(secret))
        refused(services.add_app, "offer_ended", **act, offered="A" * 20, code=code(secret))
        secret, mine = services.offer_app(cast.validator)
        wrong = {**act, "password": "wrong horse battery"}
        refused(services.add_app, "wrong_credentials", **wrong, offered=mine, code=code(secret))
        assert not Factor.objects.exists()

    def test_another_key_of_the_portal_reads_no_secret(self, cast, settings):
        secret, _ = devices.add_app(cast.validator)
        settings.FACTOR_KEY = "another key than that which sealed it"
        browser, _ = halfway(cast.validator)
        assert "can no longer be checked" in browser.post(SECOND, {"code": code(secret)}).content.decode()


class TestAPasskey:
    def test_it_is_added_from_the_page_and_then_lets_in(self, cast, signed_in):
        browser, device = signed_in(cast.validator), Device()
        page = browser.get("/account/factors/passkeys/new/", **HOST).content.decode()
        form = {"name": "laptop", "password": cast.password, "ticket": value_of(page, "ticket")}
        assert "did not make a passkey" in browser.post("/account/factors/passkeys/new/", form, **HOST).content.decode()
        form["passkey"] = device.create(options_of(page))
        made = browser.post("/account/factors/passkeys/new/", form, **HOST)
        assert "Your recovery codes" in made.content.decode()
        facts = Event.objects.filter(event="factor.added").get().content["facts"]
        assert facts["credential"].startswith("sha256:")
        assert facts["public_key"]
        again = browser.post("/account/factors/passkeys/new/", {**form, "name": "again"}, **HOST)
        assert "has answered this already" in again.content.decode()
        browser, page = halfway(cast.validator)
        answer = {"ticket": value_of(page, "ticket"), "passkey": device.get(options_of(page))}
        assert browser.post(SECOND, answer)["Location"] == "/"
        assert is_in(browser)
        assert newest().content["facts"]["method"] == "password+passkey"
        assert Factor.objects.get().last_used_at is not None

    @pytest.mark.parametrize(
        "lie",
        [
            {"origin": "https://evil.example"}, {"origin": "http://localhost:8001"}, {"rp": "evil.example"},
            {"verified": False},
        ],
        ids=["origin", "port", "relying party", "nobody verified"],
    )  # fmt: skip
    def test_one_that_was_asked_elsewhere_counts_for_nothing(self, cast, lie):
        device = devices.add_passkey(cast.validator)
        with pytest.raises(Refusal) as caught:
            devices.add_passkey(cast.approver, Device(**lie))
        assert caught.value.code == "wrong_passkey"
        for name, value in lie.items():
            setattr(device, name, value)
        browser, page = halfway(cast.validator)
        answer = {"ticket": value_of(page, "ticket"), "passkey": device.get(options_of(page))}
        assert "did not prove that it is yours" in browser.post(SECOND, answer).content.decode()
        assert not is_in(browser)

    def test_an_answer_counts_once_for_its_purpose_person_and_session(self, cast):
        device, begun = devices.add_passkey(cast.validator), cast.validator.get_session_auth_hash()
        act = {"account": cast.validator, "begun": begun}

        def answer(who=cast.validator, purpose="sign in", session="session:a"):
            return devices.assertion(who, device, purpose, session)

        for wrong in (
            answer(who=cast.approver), answer(purpose="add"), answer(purpose="signature"), answer(session="session:b"),
        ):  # fmt: skip
            here = Answer(wrong.code, wrong.passkey, wrong.ticket, wrong.origin, "session:a")
            refused(services.finish, "challenge_ended", **act, answer=here)
            User.objects.update(failed_sign_ins=0, locked_until=None)
        good = answer()
        services.finish(**act, answer=good)
        device.signed += 5
        Factor.objects.update(sign_count=0)
        refused(services.finish, "challenge_used", **act, answer=good)
        other = answer()
        mixed = Answer(passkey=good.passkey, ticket=other.ticket, origin=good.origin, session="session:a")
        refused(services.finish, "wrong_passkey", **act, answer=mixed)

    def test_a_copy_whose_count_lags_behind_is_noticed(self, cast):
        device = devices.add_passkey(cast.validator)
        Factor.objects.update(sign_count=50)
        given = devices.assertion(cast.validator, device, "sign in", "session:a")
        begun = cast.validator.get_session_auth_hash()
        refused(services.finish, "wrong_passkey", account=cast.validator, begun=begun, answer=given)

    @pytest.mark.parametrize("text", ["x", "[]", "{}", '{"id": 1}', '{"rawId": "AA", "response": {}}', "9" * 20000])
    def test_what_is_no_answer_is_refused(self, cast, text):
        devices.add_passkey(cast.validator)
        challenge = passkeys.issue("sign in", cast.validator, "session:a")
        answer = Answer(passkey=text, ticket=challenge.ticket, origin=devices.ORIGIN, session="session:a")
        begun = cast.validator.get_session_auth_hash()
        refused(services.finish, "wrong_passkey", account=cast.validator, begun=begun, answer=answer)

    def test_the_same_one_is_not_added_for_two(self, cast):
        device = devices.add_passkey(cast.validator)
        with pytest.raises(Refusal) as caught:
            devices.add_passkey(cast.approver, device)
        assert caught.value.code == "passkey_known"

    def test_where_browsers_have_none_the_page_says_so(self, cast, signed_in):
        page = signed_in(cast.validator).get("/account/factors/passkeys/new/", HTTP_HOST="127.0.0.1:8000")
        assert "Not at this address" in page.content.decode()
        assert passkeys.possible("https://countersign.example.org")
        for origin in ("http://countersign.example.org", "https://10.0.0.1", "https://[::1]:8000", "http://127.0.0.1"):
            assert not passkeys.possible(origin)

    def test_in_production_only_the_public_address_counts(self, cast, rf, settings):
        settings.PRODUCTION, settings.PUBLIC_URL = True, "https://countersign.example.org/x"
        assert passkeys.origin_of(rf.get("/", **HOST)) == "https://countersign.example.org"


class TestRecoveryCodes:
    def test_one_lets_in_once(self, cast):
        _, codes = devices.add_app(cast.validator)
        browser, _ = halfway(cast.validator)
        assert browser.post(SECOND, {"code": codes[0].upper()}).status_code == 302
        assert newest().content["facts"]["method"] == "password+recovery_code"
        assert newest().content["facts"]["recovery_codes_left"] == "9"
        browser, _ = halfway(cast.validator)
        assert "was used already" in browser.post(SECOND, {"code": codes[0]}).content.decode()
        assert "none of your recovery codes" in browser.post(SECOND, {"code": "0000-0000-0000"}).content.decode()
        assert not is_in(browser)

    def test_new_ones_end_the_old(self, cast, signed_in):
        _, codes = devices.add_app(cast.validator)
        page = signed_in(cast.validator)
        assert page.post("/account/recovery-codes/new/", {"password": "wrong horse battery"}).status_code == 409
        made = page.post("/account/recovery-codes/new/", {"password": cast.password}).content.decode()
        fresh = re.findall(r"<code>([0-9a-z-]{14})</code>", made)
        assert len(fresh) == 10
        assert not set(fresh) & set(codes)
        browser, _ = halfway(cast.validator)
        assert "none of your" in browser.post(SECOND, {"code": codes[1]}).content.decode()
        assert browser.post(SECOND, {"code": fresh[1]}).status_code == 302

    def test_without_a_factor_there_are_none(self, cast):
        who = cast.validator
        refused(services.make_recovery_codes, "no_factor", by=who, account=who, password=cast.password)


class TestRemoving:
    def test_it_takes_the_password_and_ends_with_the_codes(self, cast, signed_in):
        devices.add_app(cast.validator)
        browser, factor = signed_in(cast.validator), Factor.objects.get()
        path = f"/account/factors/{factor.pk}/remove/"
        assert "It is your last one" in browser.get(path).content.decode()
        assert browser.post(path, {"password": "wrong horse battery"}).status_code == 409
        assert browser.post(path, {"password": cast.password})["Location"] == "/account/"
        assert browser.get(path).status_code == 404
        factor.refresh_from_db()
        assert factor.removed_at
        assert bytes(factor.secret) == b""
        assert not RecoveryCode.objects.exists()
        answer = Client().post("/sign-in/", {"email": cast.validator.email, "password": cast.password})
        assert answer["Location"] == "/", "the password is enough again"
        who = {"by": cast.validator, "account": cast.validator, "password": cast.password}
        refused(services.remove_factor, "already_removed", **who, factor=factor)

    def test_a_removed_passkey_lets_nobody_in(self, cast):
        device = devices.add_passkey(cast.validator)
        devices.add_app(cast.validator)
        browser, page = halfway(cast.validator)
        who = {"by": cast.validator, "account": cast.validator, "password": cast.password}
        services.remove_factor(**who, factor=Factor.objects.get(kind="passkey"))
        answer = {"ticket": value_of(page, "ticket"), "passkey": device.get(options_of(page))}
        assert "did not prove" in browser.post(SECOND, answer).content.decode()

    def test_nobody_touches_anothers(self, cast, signed_in):
        devices.add_app(cast.validator)
        factor = Factor.objects.get()
        assert signed_in(cast.approver).get(f"/account/factors/{factor.pk}/remove/").status_code == 404
        act = {"by": cast.approver, "account": cast.approver, "password": cast.password}
        refused(services.remove_factor, "already_removed", **act, factor=factor)
        from ledger.refusals import Denied

        with pytest.raises(Denied):
            services.remove_factor(**{**act, "account": cast.validator}, factor=factor)


def test_names_and_numbers_of_factors_are_limited(cast):
    devices.add_app(cast.validator)
    Factor.objects.bulk_create(Factor(user=cast.validator, kind="totp", name=f"{number}") for number in range(9))
    for name, expected in (("app", "factor_name_taken"), (" ", "name_needed"), ("eleventh", "too_many_factors")):
        with pytest.raises(Refusal) as caught:
            devices.add_app(cast.validator, name)
        assert caught.value.code == expected


class TestHalfway:
    def test_a_wrong_password_never_reaches_the_second_step(self, cast):
        devices.add_app(cast.validator)
        browser = Client(**HOST)
        answer = browser.post("/sign-in/", {"email": cast.validator.email, "password": "wrong horse battery"})
        assert "password is wrong" in answer.content.decode()
        assert browser.get(SECOND)["Location"] == "/sign-in/"
        assert browser.post(SECOND, {"code": "000000"})["Location"] == "/sign-in/"

    def test_it_lasts_five_minutes_and_not_beyond_a_new_password(self, cast):
        secret, _ = devices.add_app(cast.validator)
        browser, _ = halfway(cast.validator)
        session = browser.session
        session["signing_in"] = {**session["signing_in"], "at": session["signing_in"]["at"] - 301}
        session.save()
        assert browser.post(SECOND, {"code": code(secret)})["Location"] == "/sign-in/"
        browser, _ = halfway(cast.validator)
        account = User.objects.get(pk=cast.validator.pk)
        account.set_password("a much better phrase")
        account.save()
        assert "was changed meanwhile" in browser.post(SECOND, {"code": code(secret)}).content.decode()

    def test_the_page_asked_for_is_reached_in_the_end(self, cast):
        secret, _ = devices.add_app(cast.validator)
        browser = Client(**HOST)
        form = {"email": cast.validator.email, "password": cast.password, "next": "/account/history/"}
        browser.post("/sign-in/", form)
        assert browser.post(SECOND, {"code": code(secret)})["Location"] == "/account/history/"


def test_a_password_alone_opens_nothing_where_a_factor_came_in_this_moment(cast):
    from accounts.services import open_session
    from ledger.actors import ANONYMOUS

    devices.add_app(cast.validator)
    refused(
        open_session, "second_factor_needed", by=ANONYMOUS, account=cast.validator, password=cast.password
    )  # fmt: skip
