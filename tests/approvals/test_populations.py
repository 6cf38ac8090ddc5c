"""Populations: whole, with a digest that anybody can compute, and a sample that anybody can draw again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.populations import drawing
from approvals.populations.services import Terms, list_population
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.approvals import world
from tests.approvals.test_pages import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def today():
    return database_time().date()


def period(today, **changes):
    return {"first": str(today - timedelta(days=1)), "last": str(today + timedelta(days=1)), **changes}


@settings(max_examples=15)
@given(seed=st.text(min_size=1, max_size=20), count=st.integers(0, 40), size=st.integers(0, 20))
def test_a_sample_is_a_part_drawn_the_same_each_time_whatever_the_order(seed, count, size):
    ids = [str(pk) for pk in range(count)]
    sample = drawing.drawn(seed, ids, size)
    assert len(set(sample)) == len(sample) == min(size, count)
    assert set(sample) <= set(ids)
    assert drawing.drawn(seed, reversed(ids), size) == sample
    assert drawing.drawn(seed, ids, size + 1)[:size] == sample, "a larger sample begins with the smaller one"


def test_a_stranger_computes_digest_and_sample_from_the_file(cast, signed_in, today):
    world.an_approval(cast)
    browser = signed_in(cast.auditor)
    query = period(today, kind="decisions", sample="1", seed="dice: 4 6 2")
    answer = browser.get("/audit/population/", {**query, "format": "json"})
    told = json.loads(answer.content)
    assert answer["Content-Disposition"].startswith('attachment; filename="decisions-')
    rows = told["results"]
    assert [row["outcome"] for row in rows] == ["approve", "approve"]
    lines = "".join(json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for row in rows)
    assert told["sha256"] == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
    assert told["count"] == 2
    ranked = sorted(rows, key=lambda row: hashlib.sha256(f"dice: 4 6 2:{row['id']}".encode()).hexdigest())
    assert told["sample"]["ids"] == [ranked[0]["id"]]
    table = list(
        csv.DictReader(io.StringIO(browser.get("/audit/population/", {**query, "format": "csv"}).content.decode()))
    )
    assert {row["id"] for row in table if row["in_sample"] == "yes"} == {ranked[0]["id"]}


def test_each_look_is_an_entry_with_terms_count_digest_and_sample(cast, signed_in, today):
    model = worlds.a_model(cast)
    browser = signed_in(cast.auditor)
    assert "Ask for a population" in text_of(browser.get("/audit/population/"))
    assert not Event.objects.filter(event="population.listed").exists(), "the form alone asks for nothing"
    page = browser.get("/audit/population/", period(today, kind="models", sample="5", team=cast.team.pk), follow=True)
    ((address, _),) = page.redirect_chain
    assert "seed=" in address, "the seed is in the address before anything is drawn"
    assert model.slug in text_of(page)
    event = Event.objects.get(event="population.listed")
    facts = event.content["facts"]
    assert (facts["kind"], facts["count"], facts["team"]) == ("models", 1, "credit")
    assert facts["sample"] == [str(model.pk)]
    assert facts["sha256"] in page.content.decode()
    assert (event.team_id, event.actor_id) == (cast.team.pk, str(cast.auditor.opaque_id))


@pytest.mark.parametrize("kind", ["models", "versions", "requests", "decisions"])
def test_the_population_is_that_of_its_days_and_team(kind, cast, api, today):
    world.an_approval(cast)
    client = api(cast.auditor)

    def count(**changes):
        answer = client.get("/api/v1/populations/", period(today, kind=kind, **changes))
        assert answer.status_code == 200, answer.content
        return answer.json()["count"]

    assert count() == (2 if kind == "decisions" else 1)
    assert count(team="credit") == count()
    assert count(team="claims") == 0
    assert count(first=str(today + timedelta(days=1))) == 0
    assert count(last=str(today)) == count()


def test_what_is_refused_writes_nothing_but_the_refusal(cast, api, signed_in, today):
    client = api(cast.auditor)
    for changes, code in [
        ({"kind": "people"}, "unknown_kind"), ({"last": str(today - timedelta(days=9))}, "period_invalid"),
        ({"sample": 501}, "sample_too_large"), ({"sample": 1, "seed": "x" * 101}, "seed_missing"),
        ({"team": "nowhere"}, "unknown_team"),
    ]:  # fmt: skip
        answer = client.get("/api/v1/populations/", period(today, **{"kind": "models", **changes}))
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not Event.objects.filter(event="population.listed").exists()
    assert Event.objects.filter(event="population.listed.refused").count() == 4
    page = signed_in(cast.auditor).get("/audit/population/", period(today, kind="models", last="2001-01-01"))
    assert (page.status_code, "Turn them round" in text_of(page)) == (422, True)
    assert signed_in(cast.developer).get("/audit/population/").status_code == 403


def test_one_teams_auditor_lists_one_team_and_nobody_takes_a_part_for_the_whole(cast, today):
    from accounts.models import Role
    from accounts.services import add_account, grant_role
    from ledger.actors import SystemActor

    console = SystemActor("console", frozenset({"accounts.grant_role"}))
    clerk = add_account(by=cast.platform_admin, name="Tea Mark", email="tea@example.org")
    grant_role(by=console, account=clerk, role=Role.objects.get(slug="auditor"), team=cast.team, reason="credit only")
    terms = Terms("models", today, today)
    with pytest.raises(Denied):
        list_population(by=clerk, team=None, terms=terms)
    mine = Terms("models", today, today, cast.team)
    assert list_population(by=clerk, team=cast.team, terms=mine).count == 0
    only = SystemActor("robot", frozenset({"audits.export_log"}))
    with pytest.raises(Denied):
        list_population(by=only, team=None, terms=terms)
    with pytest.raises(Refusal):
        list_population(by=cast.auditor, team=None, terms=Terms("models", today, today, sample=1))
