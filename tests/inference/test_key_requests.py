"""Keys that take two people: asked for, decided about and taken, over the API and by pages; and what each refuses."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta

import pytest

from accounts.models import Grant, Role, User
from inference import services
from inference.keyrequests import services as acts
from inference.keyrequests.duties import duties
from inference.models import Endpoint, InferenceKey, KeyRequest
from ledger.events import database_time
from ledger.refusals import Denied, Refusal
from notifications.models import Notification
from registry.services import set_risk_tier
from tests import worlds
from tests.inference.test_pages import a_form, text_of
from tests.inference.test_services import Log, refused
from tests.inference.world import a_key, a_key_request, an_approved_one, an_endpoint, for_one_person, terms
from tests.notifications.world import told

pytestmark = pytest.mark.django_db
WHY = {"reason": "The desk needs it."}


@pytest.fixture
def ask(api):
    """`ask(cast.approver)("POST", "key-requests/1/approval/", {…})`"""

    def asker(who):
        client = api(who)
        return lambda method, path, body=None: client.generic(
            method, f"/api/v1/{path}", json.dumps(body or {}), content_type="application/json"
        )

    return asker


def refuses(code, act, **given):
    with pytest.raises(Refusal) as refusal:
        act(**given)
    assert refusal.value.code == code, refusal.value.sentence


def lapse(request):
    KeyRequest.objects.filter(pk=request.pk).update(open_until=database_time() - timedelta(seconds=1))


def test_from_asking_to_the_secret(cast, ask):
    endpoint, log = an_endpoint(cast, two=True), Log()
    owner, approver = ask(cast.model_owner), ask(cast.approver)
    wanted = terms(quota_per_day=500, networks=["192.0.2.0/24"], holder=cast.ci_bot.pk, days=30)
    asked = owner("POST", f"endpoints/{endpoint.pk}/keys/", wanted)
    assert asked.status_code == 202, asked.content
    row = asked.json()
    assert (row["state"], row["key"], row["endpoint"]) == ("waiting", None, endpoint.name)
    assert "secret" not in row
    assert not InferenceKey.objects.exists(), "nothing is made before somebody agreed"
    assert log.names()[-1] == "key.requested"
    content = log.last().content
    assert content["facts"]["days"] == 30
    assert "192.0.2" not in json.dumps(content), "whose addresses they are can be forgotten"
    path = f"key-requests/{row['id']}/"
    refused(owner("POST", f"{path}key/"), 409, "request_undecided")

    done = approver("POST", f"{path}approval/", WHY)
    assert done.status_code == 200, done.content
    told = done.json()
    assert (told["state"], told["decided_by"]["name"], told["answer"]) == ("approved", "Arno Weiss", WHY["reason"])
    assert log.last().event == "key_request.approved"
    assert not InferenceKey.objects.exists()

    taken = owner("POST", f"{path}key/")
    assert taken.status_code == 201, taken.content
    key = taken.json()
    assert key["secret"].startswith(f"cs_live_{key['key_id']}_")
    assert key["request"] == row["id"]
    assert (key["quota_per_day"], key["networks"], key["holder"]["name"]) == (500, ["192.0.2.0/24"], "CI bot")
    made = InferenceKey.objects.usable().get()
    assert abs(made.expires_at - database_time() - timedelta(days=30)) < timedelta(minutes=1)
    assert [(each.endpoint, each.actions) for each in made.scopes.all()] == [(endpoint, ["infer", "metadata"])]
    event = log.last()
    assert event.event == "key.issued"
    assert event.content["facts"]["approved_by"] == str(cast.approver.opaque_id)
    secret = key["secret"].rpartition("_")[2]
    assert not any(secret in json.dumps(each.content) for each in type(event).objects.all())
    refused(owner("POST", f"{path}key/"), 409, "already_issued")
    assert InferenceKey.objects.count() == 1
    assert owner("GET", path).json()["state"] == "taken"
    assert owner("GET", "key-requests/?state=taken").json()["results"][0]["key"] == made.pk
    assert owner("GET", "key-requests/?state=waiting").json()["results"] == []


def test_there_is_no_way_round(cast, ask):
    """What the page and the API leave out, the service refuses; and no act of one person opens the way."""
    endpoint, owner = an_endpoint(cast, two=True), ask(cast.model_owner)
    log = Log()
    refuses("second_person_needed", services.issue_key, by=cast.model_owner, endpoint=endpoint, **terms())
    assert log.names() == ["key.issued.refused"]
    refused(owner("PUT", f"endpoints/{endpoint.pk}/key-rule/", {"rule": "never", **WHY}), 403, "permission_denied")
    assert Endpoint.objects.get().keys_take_two
    easy = an_endpoint(cast)
    refuses("no_second_person_needed", acts.request_key, by=cast.model_owner, endpoint=easy, **terms())
    with pytest.raises(Denied):
        acts.request_key(by=cast.developer, endpoint=endpoint, **terms())
    for changes, code in (({"days": 0}, "expiry_invalid"), ({"actions": []}, "unknown_action")):
        refused(owner("POST", f"endpoints/{endpoint.pk}/keys/", terms(**changes)), 422, code)
    ticket = uuid.uuid4()
    a_key_request(cast, endpoint, ticket=ticket)
    refuses("already_requested", a_key_request, cast=cast, endpoint=endpoint, ticket=ticket)
    assert not InferenceKey.objects.exists()


def test_nobody_decides_about_their_own(cast, ask):
    """Also who holds both roles, and who would hold the key."""
    for who in (cast.model_owner, cast.ci_bot):
        Grant.objects.create(user=who, role=Role.objects.get(slug="approver"), team=cast.team, reason="both")
    request = a_key_request(cast, holder=cast.ci_bot)
    for act in (acts.approve_key, acts.decline_key):
        refuses("own_request", act, by=cast.model_owner, request=request, **WHY)
        refuses("humans_only", act, by=cast.ci_bot, request=request, **WHY)
        with pytest.raises(Denied):
            act(by=cast.validator, request=request, **WHY)
    KeyRequest.objects.filter(pk=request.pk).update(holder=cast.approver)
    refuses("own_key", acts.approve_key, by=cast.approver, request=request, **WHY)
    assert "1 request for a key waits" in str(duties(cast.second_approver))
    assert duties(cast.approver) == duties(cast.model_owner) == duties(cast.ci_bot) == []
    refused(ask(cast.second_approver)("POST", f"key-requests/{request.pk}/approval/", {"reason": "no"}), 422,
        "reason_needed", "reason")  # fmt: skip


def test_an_account_that_may_have_been_taken_over_decides_nothing(cast, ask):
    from accounts.takeover.services import change_address

    request = a_key_request(cast)
    change_address(by=cast.platform_admin, account=cast.approver, email="arno.w@example.org", reason="he moved")
    refused(ask(cast.approver)("POST", f"key-requests/{request.pk}/approval/", WHY), 409, "credentials_changed")


def test_what_is_over_is_over(cast, signed_in):
    owner, approver = cast.model_owner, cast.approver
    declined = a_key_request(cast)
    acts.decline_key(by=approver, request=declined, **WHY)
    late, lapsed, withdrawn = a_key_request(cast), an_approved_one(cast), an_approved_one(cast)
    lapse(late)
    lapse(lapsed)
    refuses("not_your_request", acts.withdraw_key_request, by=also_owner(cast), request=withdrawn, **WHY)
    refuses("not_your_request", acts.take_key, by=cast.second_developer, request=withdrawn)
    acts.withdraw_key_request(by=owner, request=withdrawn, **WHY)
    for request, code in (
        (declined, "request_decided"), (withdrawn, "request_decided"), (late, "request_lapsed"),
        (lapsed, "request_lapsed"),
    ):  # fmt: skip
        refuses(code, acts.take_key, by=owner, request=request)
        refuses(code, acts.approve_key, by=approver, request=request, **WHY)
        refuses(code, acts.withdraw_key_request, by=owner, request=request, **WHY)
    assert not InferenceKey.objects.exists()
    pages = signed_in(owner)
    assert "It was approved, and not taken in time." in text_of(pages.get(lapsed.get_absolute_url()))
    assert "Nobody decided in time." in text_of(pages.get(late.get_absolute_url()))
    assert "Withdrawn" in text_of(pages.get(withdrawn.get_absolute_url()))


def also_owner(cast):
    """A second person who issues keys."""
    role = Role.objects.get(slug="model_owner")
    Grant.objects.create(user=cast.second_developer, role=role, team=cast.team, reason="the deputy")
    return cast.second_developer


def test_a_grant_falls_with_what_it_rests_on(cast, settings):
    """With the asker's own right, the holder's account and the longest life; and who agreed can take it back."""
    held, granted, third = a_key_request(cast, holder=cast.ci_bot), an_approved_one(cast), an_approved_one(cast)
    User.objects.filter(pk=cast.ci_bot.pk).update(is_active=False)
    refuses("asker_gone", acts.approve_key, by=cast.approver, request=held, **WHY)
    acts.decline_key(by=cast.second_approver, request=granted, reason="Found another way.")
    refuses("request_decided", acts.take_key, by=cast.model_owner, request=granted)
    settings.INFERENCE_KEY_DAYS = 10
    key, _ = acts.take_key(by=cast.model_owner, request=third)
    assert abs(key.expires_at - database_time() - timedelta(days=10)) < timedelta(minutes=1)
    refuses("request_decided", acts.decline_key, by=cast.approver, request=third, **WHY)
    last = a_key_request(cast, days=7)
    Grant.objects.filter(user=cast.model_owner).update(revoked_at=database_time())
    refuses("asker_gone", acts.approve_key, by=cast.approver, request=last, **WHY)
    with pytest.raises(Denied):
        acts.take_key(by=cast.model_owner, request=last)


def test_a_key_is_rotated_on_the_terms_that_were_approved(cast):
    key, _ = acts.take_key(by=cast.model_owner, request=an_approved_one(cast, actions=["infer"], days=30))
    made, _ = services.rotate_key(by=cast.model_owner, key=key, hours=1, reason="A month is over.")
    assert [(each.endpoint, each.actions) for each in made.scopes.all()] == [
        (each.endpoint, each.actions) for each in key.scopes.all()
    ]
    assert made.expires_at - made.created_at <= timedelta(days=30, seconds=5)
    assert (made.rate_per_minute, made.networks, made.holder) == (key.rate_per_minute, key.networks, key.holder)


def test_who_is_told(cast):
    request = a_key_request(cast)
    assert set(told("key_requested")) == {"approver", "second-approver", "risk-officer"}
    message = Notification.objects.filter(kind="key_requested").first()
    assert (message.path, message.subject) == (
        request.get_absolute_url(), f"A key to decide about: {request.endpoint.name}"
    )  # fmt: skip
    assert request.reason not in message.body
    acts.approve_key(by=cast.approver, request=request, **WHY)
    (subject,) = told("key_decided")["model-owner"]
    assert subject == f"A key for you to take: {request.endpoint.name}"
    acts.decline_key(by=cast.risk_officer, request=request, **WHY)
    assert told("key_decided")["model-owner"][1:] == [f"No key: {request.endpoint.name}"]
    assert all(WHY["reason"] not in each.body for each in Notification.objects.all()), "why stays in the portal"


def test_it_is_in_the_inbox_and_the_digest(cast, signed_in):
    from inference.tasks import send_digests
    from tests.notifications.world import text_for

    waiting, ready = a_key_request(cast), an_approved_one(cast, name="Night batch")
    page = signed_in(cast.approver).get("/")
    assert "1 request for a key waits for your decision." in text_of(page)
    assert '/key-requests/?state=waiting"' in page.content.decode()
    mine = text_of(signed_in(cast.model_owner).get("/"))
    assert f"The key “Loan desk” to {waiting.endpoint}" in mine
    assert "You wait for nobody" not in mine
    assert "Take the key “Night batch” to" in mine
    assert send_digests() >= 2
    assert "1 request for a key waits for your decision." in text_for(cast.second_approver, "digest")
    assert ready.get_absolute_url() in text_for(cast.model_owner, "digest")
    acts.decline_key(by=cast.approver, request=waiting, **WHY)
    assert duties(cast.risk_officer) == []


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_the_tier_decides_until_somebody_says_otherwise(cast, environment):
    model = worlds.a_model(cast)
    endpoint = an_endpoint(cast, model=model, environment=environment, two=True)
    assert endpoint.keys_take_two == (environment == "production"), "a tier that nobody set is the highest"
    set_risk_tier(by=cast.risk_officer, model=model, tier="medium", reason="Small sums.")
    assert not Endpoint.objects.get().keys_take_two
    refuses("not_high_risk", acts.set_key_rule, by=cast.risk_officer, endpoint=endpoint, rule="never", **WHY)
    acts.set_key_rule(by=cast.model_owner, endpoint=endpoint, rule="always", reason="Others read along.")
    assert Endpoint.objects.get().keys_take_two
    with pytest.raises(Denied):
        acts.set_key_rule(by=cast.validator, endpoint=endpoint, rule="tier", **WHY)
    acts.set_key_rule(by=cast.risk_officer, endpoint=endpoint, rule="tier", **WHY)
    a_key(cast, endpoint)


def test_taking_the_second_person_away_is_for_the_second_line(cast, ask):
    endpoint, risk = an_endpoint(cast, two=True), ask(cast.risk_officer)
    path = f"endpoints/{endpoint.pk}/key-rule/"
    assert ask(cast.auditor)("GET", path).json() == {"rule": "tier", "high_risk": True, "keys_take_two": True}
    refused(risk("PUT", path, {"rule": "never", "reason": "no"}), 422, "reason_needed", "reason")
    refused(risk("PUT", path, {"rule": "tier", **WHY}), 409, "nothing_changed")
    refused(risk("PUT", path, {"rule": "perhaps", **WHY}), 422, "invalid", "rule")
    refuses("key_rule_unknown", acts.set_key_rule, by=cast.risk_officer, endpoint=endpoint, rule="perhaps", **WHY)
    for who in (cast.approver, cast.developer):
        refused(ask(who)("PUT", path, {"rule": "never", **WHY}), 403, "permission_denied")
    log = Log()
    assert risk("PUT", path, {"rule": "never", **WHY}).json()["keys_take_two"] is False
    facts = log.last().content["facts"]
    assert (facts["from"], facts["to"], facts["second_person"]) == ("tier", "never", {"before": True, "after": False})
    assert log.last().event == "endpoint.key_rule_set"
    assert endpoint.__class__.objects.get().as_record()["key_rule"] == "never"
    a_key(cast, endpoint)
    # Asking for it again is for whoever governs keys; a model of one's own is not.
    acts.set_key_rule(by=cast.model_owner, endpoint=endpoint, rule="tier", **WHY)
    refuses("second_person_needed", a_key, cast=cast, endpoint=endpoint)
    type(endpoint.model).objects.filter(pk=endpoint.model_id).update(owner=cast.risk_officer)
    refuses("own_model", acts.set_key_rule, by=cast.risk_officer, endpoint=endpoint, rule="never", **WHY)


def test_from_asking_to_the_secret_by_pages(cast, signed_in):
    endpoint = an_endpoint(cast, two=True)
    owner, approver, auditor = signed_in(cast.model_owner), signed_in(cast.approver), signed_in(cast.auditor)
    assert "Nothing was asked for" in text_of(owner.get("/key-requests/"))
    new = f"/endpoints/{endpoint.pk}/keys/new/"
    assert "Keys to it take two people, because much hangs on what it decides" in text_of(owner.get(new))
    wrong = owner.post(new, a_form(cast, rate_per_minute="0", name="Night batch"))
    assert wrong.status_code == 422
    assert 'value="Night batch"' in wrong.content.decode()
    form = a_form(cast)
    first, second = owner.post(new, form), owner.post(new, form)
    where = first.headers["Location"]
    assert second.headers["Location"] == where, "a double click asks once"
    request = KeyRequest.objects.get()
    mine = text_of(owner.get(where))
    assert "Somebody else decides" in mine
    assert "Withdraw" in mine
    assert "Take the key" not in mine
    early = owner.post(f"{where}take/")
    assert early.status_code == 409
    assert "Nobody has approved this request yet." in text_of(early)
    for page in (f"/endpoints/{endpoint.pk}/", "/key-requests/?state=waiting"):
        assert "Loan desk" in text_of(auditor.get(page))
    assert "No request fits" in text_of(auditor.get("/key-requests/?state=lost"))
    looked = text_of(auditor.get(where))
    assert "Approve" not in looked.replace("An approver", "")
    assert auditor.get(f"{where}approve/").status_code == 403
    assert signed_in(cast.outsider).get(where).status_code == 404
    assert approver.get(f"{where}withdraw/").status_code == 403

    assert "Decline" in text_of(approver.get(where))
    assert approver.post(f"{where}approve/", {"reason": ""}).status_code == 422
    assert "600 requests" in text_of(approver.get(f"{where}approve/")), "what is approved stands where it is approved"
    assert approver.post(f"{where}approve/", WHY).headers["Location"] == where
    assert "The desk needs it." in text_of(owner.get(where))
    assert "It is yours to take" in text_of(owner.get(where))
    taken = owner.post(f"{where}take/")
    (secret,) = re.findall(r'data-copy="(cs_live_[^"]+)"', taken.content.decode())
    assert "no-store" in taken.headers["Cache-Control"]
    again = owner.post(f"{where}take/")
    assert again.status_code == 409
    assert secret not in again.content.decode()
    request.refresh_from_db()
    page = text_of(owner.get(request.key.get_absolute_url()))
    assert "Key request approved Arno Weiss" in page
    assert "What was asked for" in page
    assert "Keys asked for" not in text_of(owner.get(endpoint.get_absolute_url()))

    other = a_key_request(cast, endpoint)
    assert approver.post(f"{other.get_absolute_url()}decline/", WHY).status_code == 302
    mine = a_key_request(cast, endpoint)
    assert owner.post(f"{mine.get_absolute_url()}withdraw/", WHY).status_code == 302
    assert [row.outcome for row in KeyRequest.objects.order_by("pk")] == ["approved", "declined", "withdrawn"]


def test_the_rule_by_its_page(cast, signed_in):
    endpoint = for_one_person(cast, an_endpoint(cast, two=True))
    path, owner = f"/endpoints/{endpoint.pk}/key-rule/", signed_in(cast.model_owner)
    assert "one person, who issues it, though the risk is high" in text_of(owner.get(endpoint.get_absolute_url()))
    assert signed_in(cast.developer).get(path).status_code == 403
    assert "the risk is high, as nobody set a risk tier" in text_of(owner.get(path))
    low = an_endpoint(cast, environment="staging")
    assert 'value="never"' not in owner.get(f"/endpoints/{low.pk}/key-rule/").content.decode()
    assert owner.post(f"/endpoints/{low.pk}/key-rule/", {"rule": "never", **WHY}).status_code == 422
    assert owner.post(path, {"rule": "always", **WHY}).headers["Location"] == endpoint.get_absolute_url()
    assert owner.post(path, {"rule": "always", **WHY}).status_code == 409
    assert owner.post(path, {"rule": "never", **WHY}).status_code == 403
    assert "two people: one asks, another approves" in text_of(owner.get(endpoint.get_absolute_url()))
