"""Keys with quota and networks, those that were given a successor, and lists of those that want looking after."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta

import pytest

from inference import services
from inference.models import KEY_STATES, InferenceKey
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests.inference.test_pages import text_of
from tests.inference.test_services import Log, refused
from tests.inference.world import a_key, an_endpoint, terms

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(api, cast):
    client = api(cast.model_owner)
    return lambda path, body: client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")


def rotated(cast, key, **changes):
    given = {"by": cast.model_owner, "key": key, "hours": 24, "reason": "A quarter is over.", **changes}
    return services.rotate_key(**given)


def set_back(key, **times):
    """As if things had happened so long ago."""
    now = database_time()
    InferenceKey.objects.filter(pk=key.pk).update(**{name: now - ago for name, ago in times.items()})


def test_a_key_with_a_quota_and_networks(cast, owner, api):
    endpoint = an_endpoint(cast)
    log, path = Log(), f"endpoints/{endpoint.pk}/keys/"
    wanted = {"quota_per_day": 10_000, "networks": [" 192.0.2.0/24", "2001:DB8::/32", "192.0.2.0/24", "10.1.2.3"]}
    made = owner(path, terms(**wanted))
    assert made.status_code == 201, made.content
    assert made.json()["quota_per_day"] == 10_000
    assert made.json()["networks"] == ["192.0.2.0/24", "2001:db8::/32", "10.1.2.3/32"]
    content = log.last().content
    assert content["facts"]["quota_per_day"] == 10_000
    # Whose addresses they are can be forgotten, so they stand where the log can forget.
    assert "192.0.2" not in json.dumps(content)
    assert "192.0.2.0/24" in log.last().disclosures.get(label="networks").value

    before, log = InferenceKey.objects.count(), Log()
    for changes, code, field in (
        ({"quota_per_day": 0}, "quota_invalid", "quota_per_day"),
        ({"quota_per_day": 10**10}, "quota_invalid", "quota_per_day"),
        ({"networks": ["10.0.0.0/8", "10.1.2.3/8"]}, "network_invalid", "networks.1"),
        ({"networks": ["localhost"]}, "network_invalid", "networks.0"),
        ({"networks": [f"10.0.0.{n}" for n in range(51)]}, "network_invalid", "networks"),
    ):
        refused(owner(path, terms(**changes)), 422, code, field)
    assert log.names() == ["key.issued.refused"] * 5
    assert InferenceKey.objects.count() == before


def test_a_successor_has_the_same_terms_and_the_old_key_ends(cast, owner):
    wanted = {
        "quota_per_day": 500,
        "networks": ["192.0.2.0/24"],
        "actions": ["infer"],
        "holder": cast.ci_bot,
        "days": 90,
    }
    key, old_text = a_key(cast, **wanted)
    set_back(key, created_at=timedelta(days=80))
    InferenceKey.objects.filter(pk=key.pk).update(expires_at=database_time() + timedelta(days=10))
    log, now = Log(), database_time()
    made = owner(f"keys/{key.pk}/rotation/", {"hours": 24, "reason": "A quarter is over."})
    assert made.status_code == 201, made.content
    told = made.json()
    assert told["secret"].startswith(f"cs_live_{told['key_id']}_")
    assert told["secret"] != old_text
    assert (told["succeeds"], told["successor"]) == (key.pk, None)
    old, new = InferenceKey.objects.with_parts().get(pk=key.pk), InferenceKey.objects.with_parts().get(pk=told["id"])
    for name in ("name", "team", "holder", "rate_per_minute", "quota_per_day", "networks"):
        assert getattr(new, name) == getattr(old, name)
    assert [(each.endpoint, each.actions) for each in new.scopes.all()] == [
        (each.endpoint, each.actions) for each in old.scopes.all()
    ]
    assert abs(new.expires_at - now - timedelta(days=90)) < timedelta(minutes=1)
    assert abs(old.expires_at - now - timedelta(hours=24)) < timedelta(minutes=1)
    assert old.replaced_by == new
    assert set(InferenceKey.objects.usable()) == {old, new}
    assert log.names() == ["key.rotated"]
    facts = log.last().content["facts"]
    assert (facts["key"], facts["successor"]) == (old.key_id, new.key_id)
    assert told["secret"].rpartition("_")[2] not in json.dumps(log.last().content)

    # Once only; its successor is the one that goes on. An end that is nearer stays.
    refused(owner(f"keys/{key.pk}/rotation/", {"hours": 24, "reason": "Once more."}), 409, "already_rotated")
    InferenceKey.objects.filter(pk=new.pk).update(expires_at=now + timedelta(hours=1))
    third, _ = rotated(cast, new, hours=300)
    assert InferenceKey.objects.get(pk=new.pk).expires_at == now + timedelta(hours=1)
    rotated(cast, third, hours=0)
    assert third not in InferenceKey.objects.usable()


def test_rotations_that_are_refused(cast, owner, api):
    key, _ = a_key(cast)
    validator, path, good = (
        api(cast.validator),
        f"keys/{key.pk}/rotation/",
        {"hours": 24, "reason": "A quarter is over."},
    )
    log = Log()
    refused(owner(path, good | {"hours": -1}), 422, "overlap_invalid", "hours")
    refused(owner(path, good | {"hours": 337}), 422, "overlap_invalid", "hours")
    refused(owner(path, good | {"reason": "no"}), 422, "reason_needed", "reason")
    refused(owner(path, {"reason": "A quarter is over."}), 422, "invalid", "hours")
    refused(validator.post(f"/api/v1/{path}", good, "application/json"), 403, "permission_denied")
    with pytest.raises(Denied):
        rotated(cast, key, by=cast.outsider)
    assert log.names() == ["key.rotated.refused"] * 5
    revoked, _ = a_key(cast)
    services.revoke_key(by=cast.model_owner, key=revoked, reason="No longer used.")
    refused(owner(f"keys/{revoked.pk}/rotation/", good), 409, "key_ended")
    ended, _ = a_key(cast)
    set_back(ended, expires_at=timedelta(hours=1))
    refused(owner(f"keys/{ended.pk}/rotation/", good), 409, "key_ended")
    # The secret is shown to whoever rotates: of somebody else's key it would be theirs.
    theirs, _ = a_key(cast)
    InferenceKey.objects.filter(pk=theirs.pk).update(holder=cast.developer)
    refused(owner(f"keys/{theirs.pk}/rotation/", good), 409, "holder_invalid")
    ticket = uuid.uuid4()
    rotated(cast, key, ticket=ticket)
    count = InferenceKey.objects.count()
    with pytest.raises(Refusal, match="sent already"):
        rotated(cast, key, ticket=ticket)
    assert InferenceKey.objects.count() == count
    theirs.refresh_from_db()
    assert theirs.expires_at > database_time() + timedelta(days=80)


def test_no_key_lives_longer_than_the_operator_allows(cast, owner, signed_in, settings):
    endpoint = an_endpoint(cast)
    key, _ = a_key(cast, endpoint, days=90)
    settings.INFERENCE_KEY_DAYS = 60
    refused(owner(f"endpoints/{endpoint.pk}/keys/", terms(days=61)), 422, "expiry_invalid", "days")
    form = signed_in(cast.model_owner).get(f"/endpoints/{endpoint.pk}/keys/new/").content.decode()
    offered = re.findall(r'<option value="(\d+)"( selected)?>\d+ days', form)
    assert offered == [("7", ""), ("30", ""), ("60", " selected")]
    successor, _ = rotated(cast, key)
    assert abs(successor.expires_at - database_time() - timedelta(days=60)) < timedelta(minutes=1)


def test_lists_say_the_same_as_the_keys_themselves(cast, api, django_assert_max_num_queries):
    endpoint, other = an_endpoint(cast), an_endpoint(cast)
    made = {state: a_key(cast, endpoint, name=f"Is {state}")[0] for state in KEY_STATES}
    services.revoke_key(by=cast.model_owner, key=made["revoked"], reason="No longer used.")
    set_back(made["expired"], expires_at=timedelta(days=1))
    InferenceKey.objects.filter(pk=made["inactive"].pk).update(holder=cast.ci_bot)
    cast.ci_bot.__class__.objects.filter(pk=cast.ci_bot.pk).update(is_active=False)
    set_back(made["expiring"], expires_at=-timedelta(days=13))
    set_back(made["stale"], created_at=timedelta(days=31))
    set_back(made["active"], created_at=timedelta(days=31), last_used_at=timedelta(days=29))
    now = database_time()
    for state, key in made.items():
        assert [each.pk for each in InferenceKey.objects.in_state(state, now)] == [key.pk]
        assert InferenceKey.objects.with_parts().get(pk=key.pk).state(now) == state
    client = api(cast.auditor)
    a_key(cast, other, name="Elsewhere")
    rotated(cast, made["stale"])

    def listed(query):
        answer = client.get(f"/api/v1/{query}")
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    assert listed(f"endpoints/{endpoint.pk}/keys/?state=inactive") == ["Is inactive"]
    assert listed("keys/?state=expired") == ["Is expired"]
    assert listed(f"keys/?endpoint={other.pk}") == ["Elsewhere"]
    assert listed(f"keys/?holder={cast.ci_bot.pk}") == ["Is inactive"]
    assert client.get("/api/v1/keys/?state=lost").status_code == 422
    with django_assert_max_num_queries(25):
        client.get("/api/v1/keys/")


def test_from_an_old_key_to_its_successor_by_pages(cast, signed_in):
    endpoint = an_endpoint(cast)
    key, _ = a_key(cast, endpoint, quota_per_day=900, networks=["192.0.2.0/24"])
    idle, _ = a_key(cast, endpoint, name="Idle")
    set_back(idle, created_at=timedelta(days=40))
    owner, auditor = signed_in(cast.model_owner), signed_in(cast.auditor)
    page = text_of(owner.get(key.get_absolute_url()))
    for words in ("900 requests", "192.0.2.0/24", "Rotate", "Revoke", "Key issued", endpoint.name):
        assert words in page
    assert "Rotate" not in text_of(auditor.get(key.get_absolute_url())).replace("rotate", "")
    assert signed_in(cast.outsider).get(key.get_absolute_url()).status_code == 404
    assert signed_in(cast.outsider).get(f"/keys/{key.pk}/rotate/").status_code == 404
    assert auditor.get(f"/keys/{key.pk}/rotate/").status_code == 403

    path = f"/keys/{key.pk}/rotate/"
    form = owner.get(path).content.decode()
    ticket = re.search(r'name="ticket" value="([^"]+)"', form)[1]
    wrong = owner.post(path, {"hours": "24", "reason": "no", "ticket": ticket})
    assert wrong.status_code == 422
    given = {"hours": "72", "reason": "A quarter is over.", "ticket": ticket}
    made = owner.post(path, given)
    assert made.status_code == 200
    assert "no-store" in made.headers["Cache-Control"]
    assert f"The old key, cs_live_{key.key_id}… , works until" in text_of(made)
    again = owner.post(path, given)
    assert again.status_code == 409
    assert "cs_live_" not in re.sub(r"cs_live_\w{8}…", "", again.content.decode())
    new = InferenceKey.objects.get(succeeds=key)
    (secret,) = re.findall(r'data-copy="(cs_live_[^"]+)"', made.content.decode())
    assert secret.startswith(f"cs_live_{new.key_id}_")
    old_page, new_page = text_of(owner.get(key.get_absolute_url())), text_of(owner.get(new.get_absolute_url()))
    assert f"cs_live_{new.key_id}… was issued in its place" in old_page
    assert "Key rotated" in old_page
    assert f"Issued in place of cs_live_{key.key_id}…" in new_page

    mine = owner.get("/keys/?state=stale")
    assert "Idle" in text_of(mine)
    assert "Loan desk" not in text_of(mine)
    assert f"/keys/{idle.pk}/revoke/" in mine.content.decode()
    expiring = text_of(owner.get("/keys/?state=expiring"))
    assert "Loan desk" in expiring
    assert "has a successor" in expiring
    assert "No key fits" in text_of(owner.get("/keys/?state=revoked"))
    assert "No key fits" in text_of(owner.get("/keys/?state=lost"))
    there = text_of(auditor.get(f"/keys/?tab=team&endpoint={endpoint.pk}"))
    assert "900 a day" in there
    assert "Idle" in there
    assert Event.objects.filter(event="key.rotated").count() == 1


def test_an_endpoint_shows_its_newest_keys_and_where_the_others_are(cast, signed_in):
    endpoint = an_endpoint(cast)
    key, _ = a_key(cast, endpoint)
    owner = signed_in(cast.model_owner)
    assert "All keys to" not in text_of(owner.get(endpoint.get_absolute_url()))
    copies = [
        InferenceKey(
            key_id=f"copy{n:04}", digest=b"", name="Copy", team=key.team, holder=key.holder, rate_per_minute=1,
            reason="-", expires_at=key.expires_at,
        )
        for n in range(50)
    ]  # fmt: skip
    for copy in InferenceKey.objects.bulk_create(copies):
        copy.scopes.create(endpoint=endpoint, actions=["infer"])
    page = owner.get(endpoint.get_absolute_url())
    assert text_of(page).count("Copy cs_live_") == 50
    assert f'href="/keys/?tab=team&amp;endpoint={endpoint.pk}"' in page.content.decode()
