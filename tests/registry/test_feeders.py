"""What feeds what: recorded for a model, never in a circle, never lost, and told where an approval ends."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from approvals.notices.watching import watch
from approvals.services import revoke
from ledger.events import database_time
from ledger.models import Event, Record
from ledger.refusals import Denied, Refusal
from notifications.models import Notification
from registry.feeders.models import Feeder, FeederRemoval
from registry.feeders.services import record_feeder, remove_feeder
from tests import worlds
from tests.approvals import findings_world, policies, world
from tests.notifications.world import text_for, told
from tests.registry.test_pages import text_of
from tests.sealing import seal_now

pytestmark = pytest.mark.django_db
SAID = {"takes": "The score, as a feature.", "reason": "It says more than income."}


def fed(cast, model, source, by=None, **changes):
    return record_feeder(by=by or cast.developer, model=model, source=source, **{**SAID, **changes})


def test_on_the_pages_of_both_ends(cast, signed_in):
    limits, scores = worlds.a_model(cast, "Limits"), worlds.a_model(cast, "Scores")
    browser = signed_in(cast.developer)
    assert "No feeders recorded" in text_of(browser.get(f"/models/{limits.pk}/"))
    new = f"/models/{limits.pk}/feeders/new/"
    assert 'value="scores"' in browser.get(new).content.decode()
    wrong = browser.post(new, {**SAID, "source": "nothing-like-it"})
    assert (wrong.status_code, "You see no model with this short name" in text_of(wrong)) == (422, True)
    assert SAID["takes"] in wrong.content.decode(), "what was typed is kept"
    page = text_of(browser.post(new, {**SAID, "source": "scores"}, follow=True))
    assert "Fed by" in page
    assert "Scores nothing asked yet The score, as a feature. It says more than income." in page
    assert "Feeds" in text_of(browser.get(f"/models/{scores.pk}/"))
    row = Feeder.objects.get()
    event = Event.objects.get(event="feeder.recorded")
    assert event.content["facts"] == {"slug": "limits", "feeder": str(row.pk), "source": "scores"}
    assert Record.objects.filter(event=event, object_type="registry.feeder").exists()
    browser.post(f"/feeders/{row.pk}/remove/", {"reason": "We use another one."})
    page = text_of(browser.get(f"/models/{limits.pk}/"))
    assert "Removed by Dev Anand" in page
    assert ": We use another one." in page
    assert "Feeds" not in text_of(browser.get(f"/models/{scores.pk}/"))
    again = browser.post(f"/feeders/{row.pk}/remove/", {"reason": "We use another one."})
    assert (again.status_code, "removed already" in text_of(again)) == (409, True)
    assert Event.objects.filter(event="feeder.removed").count() == 1
    fed(cast, limits, scores)  # once it is removed it can be recorded anew


def test_what_is_refused_leaves_nothing_but_its_record(cast):
    first, second, third = (worlds.a_model(cast) for _ in range(3))
    foreign = worlds.a_model(cast, by=cast.outsider, team=cast.other_team)
    fed(cast, second, first)
    fed(cast, third, second)
    fed(cast, third, None, external="Bureau score")
    for given, code, field in [
        ({"model": first, "source": first}, "feeds_itself", "source"),
        ({"model": first, "source": second}, "feeder_cycle", "source"),
        ({"model": first, "source": third}, "feeder_cycle", "source"),
        ({"model": second, "source": first}, "feeder_exists", "source"),
        ({"model": third, "external": "bureau SCORE "}, "feeder_exists", "external"),
        ({"model": third}, "source_missing", "source"),
        ({"model": third, "source": first, "external": "Bureau"}, "source_twice", "external"),
        ({"model": third, "source": foreign}, "model_unknown", "source"),
        ({"model": first, "external": "x" * 201}, "too_long", "external"),
        ({"model": first, "external": "Bureau", "takes": " "}, "text_missing", "takes"),
    ]:
        with pytest.raises(Refusal) as refused:
            record_feeder(by=cast.developer, **{**SAID, **given})
        assert (refused.value.code, refused.value.field) == (code, field)
    with pytest.raises(Denied):
        record_feeder(by=cast.validator, model=first, external="Bureau", **SAID)
    with pytest.raises(Denied):
        remove_feeder(by=cast.outsider, feeder=Feeder.objects.first(), reason="I do not like it.")
    assert (Feeder.objects.count(), FeederRemoval.objects.count()) == (3, 0)
    assert Event.objects.filter(event="feeder.recorded.refused").count() == 11
    row = Feeder.objects.filter(source=first).get()
    remove_feeder(by=cast.second_developer, feeder=row, reason="We use another one.")
    fed(cast, first, second)  # no circle any more
    for statement in (
        "UPDATE registry_feeder SET takes = ''", "DELETE FROM registry_feeder", "DELETE FROM registry_feederremoval",
    ):  # fmt: skip
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_by_the_api_and_in_the_inventory(cast, api, signed_in):
    limits, scores = worlds.a_model(cast, "Limits"), worlds.a_model(cast, "Scores")
    client = api(cast.developer)

    def post(path, given):
        return client.post(f"/api/v1/{path}", given, content_type="application/json")

    made = post(f"models/{limits.pk}/feeders/", {**SAID, "source": scores.pk})
    assert (made.status_code, made.json()["source"]["slug"], made.json()["removal"]) == (201, "scores", None)
    outside = post(f"models/{limits.pk}/feeders/", {**SAID, "external": "Bureau"}).json()
    circle = post(f"models/{scores.pk}/feeders/", {**SAID, "source": limits.pk})
    assert (circle.status_code, circle.json()["code"]) == (422, "feeder_cycle")
    rows = {row["slug"]: row for row in client.get("/api/v1/inventory/").json()["results"]}
    assert rows["limits"]["fed_by"] == [{"model": scores.pk, "name": "Scores"}, {"model": None, "name": "Bureau"}]
    assert rows["scores"]["fed_by"] == []
    answer = signed_in(cast.auditor).get("/models/inventory.csv?q=limits")
    (line,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert line["fed_by"] == "Scores; Bureau"
    removed = post(f"feeders/{outside['id']}/removal/", {"reason": "Too dear."})
    assert (removed.status_code, removed.json()["removal"]["reason"]) == (201, "Too dear.")
    listed = client.get(f"/api/v1/feeders/?model={limits.pk}").json()["results"]
    assert [row["id"] for row in listed] == [outside["id"], made.json()["id"]]
    standing = client.get("/api/v1/feeders/?standing=true").json()["results"]
    assert [row["id"] for row in standing] == [made.json()["id"]]
    assert api(cast.outsider).get("/api/v1/feeders/").json()["results"] == []


def test_a_model_of_a_team_that_one_may_not_see_has_no_name(cast, api, signed_in):
    foreign = worlds.a_model(cast, "Secret score", by=cast.outsider, team=cast.other_team)
    limits = worlds.a_model(cast, "Limits")
    officer = api(cast.risk_officer)  # who sees all teams, and edits none: the row is made by somebody of both
    from accounts.models import Role
    from accounts.services import grant_role

    role = Role.objects.get(slug="developer")
    grant_role(by=cast.platform_admin, account=cast.outsider, role=role, team=cast.team, reason="helps out")
    fed(cast, limits, foreign, by=cast.outsider)
    page = signed_in(cast.developer).get(f"/models/{limits.pk}/").content.decode()
    assert "a model that you may not see" in page
    assert "Secret score" not in page
    (row,) = api(cast.developer).get("/api/v1/feeders/").json()["results"]
    assert row["source"] is None
    assert officer.get("/api/v1/feeders/").json()["results"][0]["source"]["name"] == "Secret score"


def test_an_ended_approval_is_shown_to_and_told_the_owner_of_what_depends_on_it(cast, signed_in):
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    request = world.a_request(cast, worlds.a_pinned_version(cast))
    source = request.version.model
    limits = worlds.a_model(cast, "Limits", by=cast.second_developer)
    fed(cast, limits, source)
    world.sign(cast.approver, request, "approval")
    browser = signed_in(cast.second_developer)
    page = browser.get(f"/models/{limits.pk}/").content.decode()
    assert "Active" in page
    assert "has lost an approval" not in page
    findings_world.a_finding(cast, request.version, "low", due=findings_world.in_days(2))
    seal_now()
    for _ in range(2):
        watch(database_time() + timedelta(days=5))
    assert told("feeder_ended") == {"second-developer": ["No longer approved: what feeds Limits"]}
    assert f"{source.name}, whose output you use, is no longer approved" in text_for(
        cast.second_developer, "feeder_ended"
    )
    newer = world.a_request(cast, worlds.a_pinned_version(cast, source, upstream_version="score-8"))
    world.sign(cast.approver, newer, "approval")
    Notification.objects.all().delete()
    revoke(by=cast.risk_officer, request=request, reason="The data were wrong.")
    assert told("feeder_ended") == {}, "the newer version holds in its place"
    assert "has lost an approval" not in browser.get(f"/models/{limits.pk}/").content.decode()
    revoke(by=cast.risk_officer, request=newer, reason="The data were wrong.")
    assert set(told("feeder_ended")) == {"second-developer"}
    page = text_of(browser.get(f"/models/{limits.pk}/"))
    assert "What feeds this model has lost an approval" in page
    assert "Revoked for mortgage-screening in production" in page


def test_a_page_asks_the_same_of_the_database_however_many_feed_it(cast, signed_in, django_assert_max_num_queries):
    from portal.health import KNOWN

    limits = worlds.a_model(cast, "Limits")
    for number in range(2):
        fed(cast, limits, world.a_request(cast, worlds.a_pinned_version(cast)).version.model)
        browser = signed_in(cast.auditor)
        KNOWN.clear()  # how the log stands is asked every two seconds: here each time
        if number == 0:
            with CaptureQueriesContext(connection) as once:
                browser.get(f"/models/{limits.pk}/")
    with django_assert_max_num_queries(len(once)):
        browser.get(f"/models/{limits.pk}/")
