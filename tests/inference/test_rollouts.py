"""Trying a version beside another, promotion, withdrawal and rollback: by service, page and API."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from approvals.services import revoke
from inference.models import Binding, Endpoint, Rollout
from inference.rollouts.services import add_compared, change_share, promote, roll_back, start_rollout, withdraw_rollout
from inference.services import bind_endpoint
from ledger.models import Event, Record
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.approvals import policies
from tests.approvals import world as approvals
from tests.inference import counting, world
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def champion(cast):
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    return approved(cast, worlds.a_version(cast))


@pytest.fixture
def challenger(cast, champion):
    return approved(cast, worlds.a_version(cast, model=champion.model, weight=2.0))


def approved(cast, version):
    approvals.sign(cast.approver, approvals.a_request(cast, version), "approval")
    return version


@pytest.fixture
def endpoint(cast, champion):
    return world.an_endpoint(cast, champion)


def refused(code, event, act):
    before = Binding.objects.count(), list(Rollout.objects.values()), list(Endpoint.objects.values())
    with pytest.raises(Refusal) as told:
        act()
    assert told.value.code == code
    assert (Binding.objects.count(), list(Rollout.objects.values()), list(Endpoint.objects.values())) == before
    assert Event.objects.latest("id").event == f"{event}.refused"


def served(endpoint):
    endpoint.refresh_from_db()
    return endpoint.version


def test_a_canary_grows_and_is_promoted(cast, endpoint, champion, challenger):
    rollout = world.a_rollout(cast, endpoint, challenger, share=5)
    started = Event.objects.get(event="rollout.started").content["facts"]
    assert (started["kind"], started["share"], started["gate"]["allowed"]) == ("canary", 5, True)
    assert started["challenger"]["version"] == str(challenger.pk)
    assert change_share(by=cast.model_owner, endpoint=endpoint, share=50).share == 50
    assert Event.objects.get(event="rollout.share_changed").content["facts"]["before"] == 5
    assert served(endpoint) == champion, "until it is promoted"
    promote(by=cast.model_owner, endpoint=endpoint)
    rollout.refresh_from_db()
    assert (served(endpoint), rollout.outcome, rollout.ended_by) == (challenger, "promoted", cast.model_owner)
    facts = Event.objects.get(event="rollout.promoted").content["facts"]
    assert (facts["from"]["version"], facts["to"]["version"]) == (str(champion.pk), str(challenger.pk))
    assert Record.objects.filter(event__event="rollout.promoted", object_type="inference.rollout").exists()
    assert [row.how for row in endpoint.bindings.all()] == ["promoted", "bound"]


def test_a_promotion_asks_the_gate_again(cast, endpoint, challenger):
    world.a_rollout(cast, endpoint, challenger, share=5)
    revoke(by=cast.risk_officer, request=challenger.requests.get(), reason="The data were wrong.")
    refused("not_approved", "rollout.promoted", lambda: promote(by=cast.model_owner, endpoint=endpoint))


def test_a_shadow_is_withdrawn_and_another_may_follow(cast, endpoint, champion, challenger):
    rollout = world.a_rollout(cast, endpoint, challenger)
    refused("no_canary", "rollout.share_changed", lambda: change_share(by=cast.model_owner, endpoint=endpoint, share=9))
    refused(
        "reason_needed", "rollout.withdrawn",
        lambda: withdraw_rollout(by=cast.model_owner, endpoint=endpoint, reason=" "),
    )  # fmt: skip
    withdraw_rollout(by=cast.model_owner, endpoint=endpoint, reason="It declines too many.")
    rollout.refresh_from_db()
    assert (served(endpoint), rollout.outcome) == (champion, "withdrawn")
    for event, act in (
        ("rollout.promoted", lambda: promote(by=cast.model_owner, endpoint=endpoint)),
        ("rollout.withdrawn", lambda: withdraw_rollout(by=cast.model_owner, endpoint=endpoint, reason="Twice.")),
    ):
        refused("no_rollout", event, act)
    assert world.a_rollout(cast, endpoint, challenger, share=1).share == 1


def test_what_cannot_be_tried(cast, endpoint, champion, challenger):
    def start(version=challenger, kind="canary", share=5, at=endpoint):
        return lambda: start_rollout(by=cast.model_owner, endpoint=at, version=version, kind=kind, share=share)

    for code, act in {
        "other_model": start(worlds.a_version(cast)),
        "already_bound": start(champion),
        "unknown_kind": start(kind="blue-green"),
        "share_invalid": start(share=100),
        "nothing_bound": start(at=world.an_endpoint(cast, model=champion.model)),
        "bytes_not_here": start(worlds.a_pinned_version(cast, model=champion.model)),
    }.items():
        refused(code, "rollout.started", act)
    refused("share_invalid", "rollout.started", start(share=0))
    world.a_rollout(cast, endpoint, challenger, share=5)
    refused("rollout_standing", "rollout.started", start())
    with pytest.raises(DatabaseError), transaction.atomic():
        Rollout.objects.create(endpoint=endpoint, champion=champion, version=challenger, kind="shadow")


def test_binding_ends_what_is_tried(cast, endpoint, challenger):
    rollout = world.a_rollout(cast, endpoint, challenger)
    bind_endpoint(by=cast.model_owner, endpoint=endpoint, version=None)
    rollout.refresh_from_db()
    assert rollout.outcome == "replaced"


def test_rolling_back_takes_the_latest_that_the_gate_allows(cast, endpoint, champion, challenger):
    unapproved = worlds.a_version(cast, model=champion.model, weight=3.0)
    for version in (unapproved, challenger):
        bind_endpoint(by=cast.model_owner, endpoint=endpoint, version=version)
    rollout = world.a_rollout(cast, endpoint, unapproved, share=5)
    roll_back(by=cast.developer, endpoint=endpoint, reason="It declines too many.")
    rollout.refresh_from_db()
    assert (served(endpoint), rollout.outcome) == (champion, "replaced"), "the one between them is not approved"
    event = Event.objects.get(event="endpoint.rolled_back").content
    assert (event["facts"]["to"]["version"], event["facts"]["ended"]) == (str(champion.pk), [rollout.pk])
    assert endpoint.bindings.first().how == "rolled_back"
    revoke(by=cast.risk_officer, request=challenger.requests.get(), reason="The data were wrong.")
    refused(
        "nothing_to_roll_back_to", "endpoint.rolled_back",
        lambda: roll_back(by=cast.developer, endpoint=endpoint, reason="Again."),
    )  # fmt: skip
    with pytest.raises(Denied):
        roll_back(by=cast.validator, endpoint=endpoint, reason="I would rather.")


def test_history_cannot_be_rewritten(cast, endpoint):
    row = endpoint.bindings.get()
    for act in (row.delete, lambda: Binding.objects.update(how="promoted")):
        with pytest.raises(DatabaseError, match=r"append-only|permission denied"), transaction.atomic():
            act()


def test_the_pages_lead_from_trial_to_rollback(cast, endpoint, champion, challenger, signed_in):
    browser, where = signed_in(cast.model_owner), f"/endpoints/{endpoint.pk}/"
    assert f"{where}rollout/new/" in browser.get(where).content.decode()
    assert "May serve now" in text_of(browser.get(f"{where}rollout/new/")).replace("may", "May")
    wrong = browser.post(f"{where}rollout/new/", {"version": challenger.pk, "kind": "canary", "share": ""})
    assert (wrong.status_code, "between 1 and 99" in text_of(wrong)) == (422, True)
    sent = browser.post(
        f"{where}rollout/new/", {"version": challenger.pk, "kind": "canary", "share": "5"}, follow=True
    )  # fmt: skip
    assert "5 of a hundred" in text_of(sent)
    assert "is tried here already" in text_of(browser.get(f"{where}rollout/new/"))
    assert "20 of a hundred" in text_of(browser.post(f"{where}rollout/share/", {"share": "20"}, follow=True))
    assert "Promote version 2" in text_of(browser.get(f"{where}rollout/promote/"))
    done = browser.post(f"{where}rollout/promote/", follow=True)
    assert "Serves version 2" in text_of(done)
    late = browser.post(f"{where}rollout/promote/")
    assert (late.status_code, "promoted or withdrawn meanwhile" in text_of(late)) == (409, True)
    assert "Nothing is tried here" in text_of(browser.get(f"{where}rollout/withdraw/"))
    assert "There is no canary here" in text_of(browser.get(f"{where}rollout/share/"))
    assert "answered by version 1" in text_of(browser.get(f"{where}roll-back/"))
    back = browser.post(f"{where}roll-back/", {"reason": "It declines too many."}, follow=True)
    assert "Serves version 1" in text_of(back)
    assert "Rolled back" in text_of(back)
    for page in ("rollout/new/", "rollout/promote/", "rollout/withdraw/", "rollout/share/"):
        assert signed_in(cast.developer).get(f"{where}{page}").status_code == 403
    assert signed_in(cast.developer).get(f"{where}roll-back/").status_code == 200
    fresh = world.an_endpoint(cast, model=champion.model)
    assert "There is nothing to go back to" in text_of(browser.get(f"/endpoints/{fresh.pk}/roll-back/"))
    assert "Nothing is served here" in text_of(browser.get(f"/endpoints/{fresh.pk}/rollout/new/"))


def test_a_shadows_page_says_how_often_it_agreed(cast, endpoint, challenger, signed_in, api):
    rollout = world.a_rollout(cast, endpoint, challenger)
    page = f"/rollouts/{rollout.pk}/"
    assert "Nothing was compared yet" in text_of(signed_in(cast.auditor).get(page))
    counts = {"requests": 10, "both": 30, "neither": 15, "champion_only": 4, "challenger_only": 1}
    for _ in range(2):
        add_compared({rollout.pk: counts})
    add_compared({rollout.pk: {"failed": 2, "skipped": 1}})
    text = text_of(signed_in(cast.auditor).get(page)).replace("\u2009", " ")
    assert "10.00 % of 100 rows would have been decided otherwise" in text
    assert "2 requests it could not answer, 1 were not given to it" in text
    found = api(cast.auditor).get(f"/api/v1{page}").json()
    assert found["agreement"]["share"] == 0.1
    assert found["agreement"]["low"] == pytest.approx(0.0552291, abs=1e-6), "Wilson's interval of 10 in 100"
    assert found["agreement"]["counts"]["both"] == 60
    assert signed_in(cast.outsider).get(page).status_code == 404


def test_the_api_tries_compares_and_goes_back(cast, endpoint, champion, challenger, api):
    def send(who, path, body=None, method="post"):
        call = getattr(api(who), method)
        return call(f"{where}/{path}/", body or {}, content_type="application/json")

    owner, where = cast.model_owner, f"/api/v1/endpoints/{endpoint.pk}"
    made = send(owner, "rollouts", {"version": challenger.pk, "kind": "canary", "share": 10})
    assert (made.status_code, made.json()["share"]) == (201, 10)
    key, _ = world.a_key(cast, endpoint)
    counting.some(endpoint, key)
    found = api(owner).get(made["Location"]).json()
    assert [(each["part"], each["answered"], each["allowed"]) for each in found["sides"]] == [
        ("champion", 3, True), ("challenger", 0, True),
    ]  # fmt: skip
    assert (found["sides"][0]["positives"], found["agreement"]) == (3, None)
    again = send(owner, "rollouts", {"version": challenger.pk, "kind": "shadow"})
    assert (again.status_code, again.json()["code"]) == (409, "rollout_standing")
    unknown = send(owner, "rollouts", {"version": 10**6, "kind": "shadow"})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "version")
    changed = send(owner, "rollouts", {"share": 20}, "patch")
    assert changed.json()["share"] == 20
    assert send(owner, "rollouts/promotion").json()["version"] == challenger.pk
    assert api(owner).get(f"{where}/rollouts/").json()["results"][0]["outcome"] == "promoted"
    back = send(cast.developer, "rollback", {"reason": "It declines too many."})
    assert (back.status_code, back.json()["how"]) == (200, "rolled_back")
    rows = api(cast.auditor).get(f"{where}/bindings/").json()["results"]
    assert [row["version"] for row in rows] == [champion.pk, challenger.pk, champion.pk]
    assert send(cast.validator, "rollback", {"reason": "I would rather."}).status_code == 403
    send(owner, "rollouts", {"version": challenger.pk, "kind": "shadow"})
    gone = send(owner, "rollouts/withdrawal", {"reason": "Enough seen."})
    assert (gone.status_code, gone.json()["outcome"]) == (200, "withdrawn")
