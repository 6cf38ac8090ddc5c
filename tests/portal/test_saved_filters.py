"""Filters of the inventory, kept under a name."""

from __future__ import annotations

import json

import pytest

from ledger.models import Event
from ledger.refusals import Denied, Refusal
from portal.inventory.filters import InventoryFilter
from registry.models import SavedFilter
from registry.saved.models import KNOWN
from registry.saved.services import change_filter, remove_filter, save_filter
from tests import worlds
from tests.approvals.test_pages import text_of
from tests.forms import fields_of

pytestmark = pytest.mark.django_db
HIGH = {"tier": "high"}


def refused(code, act, **named):
    before = (list(SavedFilter.objects.values()), Event.objects.count())
    with pytest.raises(Refusal) as caught:
        act(**named)
    assert caught.value.code == code, caught.value.sentence
    assert (list(SavedFilter.objects.values()), Event.objects.count() - 1) == before
    return caught.value


def kept(by, name="High", **changes):
    return save_filter(by=by, account=by, name=name, query=changes.pop("query", HIGH), **changes)


def test_from_the_filtered_page_to_its_removal(cast, signed_in):
    assert set(KNOWN) == set(InventoryFilter.get_filters()), "all that the inventory filters by, and nothing else"
    worlds.a_model(cast, "Limits")
    browser, colleague = signed_in(cast.developer), signed_in(cast.validator)
    plain = browser.get("/models/").content.decode()
    assert "Save this filter" not in plain
    assert "You have saved no filter" in text_of(browser.get("/models/filters/"))
    address = f"/models/?tier=high&q=lim&owner={cast.developer.pk}&next=//evil.example&before=9"
    page = browser.get(address).content.decode()
    save = f"/models/filters/new/?q=lim&amp;owner={cast.developer.pk}&amp;tier=high"
    assert f'href="{save}"' in page
    shown = browser.get(save.replace("&amp;", "&"))
    assert "filtered by: with “lim”, owner Dev Anand, risk tier high." in text_of(shown)
    typed = fields_of(shown.content.decode(), "name")
    assert typed["team"] == [""]
    again = browser.post(f"{save.replace('&amp;', '&')}&next=x", {"name": "x" * 81})
    assert (again.status_code, "x" * 81 in again.content.decode()) == (422, True)
    made = browser.post(save.replace("&amp;", "&"), {"name": " My  limits ", "team": cast.team.pk})
    row = SavedFilter.objects.get()
    assert made["Location"] == row.get_absolute_url() == f"/models/?q=lim&owner={cast.developer.pk}&tier=high"
    assert (row.name, row.team, row.user) == ("My limits", cast.team, cast.developer)
    event = Event.objects.get(event="saved_filter.added")
    assert event.content["facts"] == {"parameters": ["owner", "q", "tier"], "shared": True}
    assert 'aria-current="page">My limits' in browser.get(made["Location"]).content.decode()
    for path in ("/models/", "/models/filters/"):
        assert row.get_absolute_url().replace("&", "&amp;") in colleague.get(path).content.decode()
    assert "My limits" not in text_of(signed_in(cast.outsider).get("/models/filters/"))
    edit = f"/models/filters/{row.pk}/"
    for who, status in [(colleague, 403), (signed_in(cast.outsider), 404)]:
        assert who.get(edit).status_code == who.post(f"{edit}remove/").status_code == status
    form = fields_of(browser.get(edit).content.decode(), "name")
    assert browser.post(edit, {**form, "name": "Mine", "team": ""})["Location"] == "/models/filters/"
    row.refresh_from_db()
    assert (row.name, row.team) == ("Mine", None)
    assert "Mine" not in text_of(colleague.get("/models/filters/")), "it is shared no more"
    assert "Nobody can open this filter any more" in text_of(browser.get(f"{edit}remove/"))
    browser.post(f"{edit}remove/")
    assert not SavedFilter.objects.exists()
    assert Event.objects.get(event="saved_filter.removed").object_id == str(row.pk)
    assert "Nothing is filtered yet" in text_of(browser.post("/models/filters/new/?page=2", {"name": "All"}))


def test_what_cannot_be_kept(cast):
    given = {"by": cast.developer, "account": cast.developer, "name": "High", "query": HIGH}
    other = kept(cast.developer, "Low", query={"tier": "low"})
    for code, changes, field in [
        ("parameter_unknown", {"query": {"next": "//evil.example"}}, "query.next"),
        ("filter_empty", {"query": {"q": " "}}, "query"), ("filter_empty", {"query": {}}, "query"),
        ("too_long", {"query": {"q": "x" * 201}}, "query.q"), ("text_missing", {"name": " "}, "name"),
        ("name_taken", {"name": "low"}, "name"), ("team_unknown", {"team": cast.other_team}, "team"),
    ]:  # fmt: skip
        assert refused(code, save_filter, **given | changes).field == field
    mine = kept(cast.developer)
    refused("name_taken", change_filter, by=cast.developer, saved=mine, name="LOW", team=None)
    refused("team_unknown", change_filter, by=cast.developer, saved=mine, name="High", team=cast.other_team)
    assert change_filter(by=cast.developer, saved=mine, name="HIGH", team=None).name == "HIGH", "but its own is free"
    for act in (
        lambda: change_filter(by=cast.validator, saved=mine, name="Theirs", team=None),
        lambda: remove_filter(by=cast.validator, saved=mine),
        lambda: save_filter(by=cast.validator, account=cast.developer, name="Theirs", query=HIGH),
    ):
        with pytest.raises(Denied):
            act()
    SavedFilter.objects.bulk_create(
        SavedFilter(user=cast.developer, name=f"{place}", query=HIGH) for place in range(28)
    )
    refused("too_many_filters", save_filter, **given | {"name": "One more"})
    remove_filter(by=cast.developer, saved=other)
    kept(cast.developer, "One more")
    kept(cast.validator, "Low")


def test_in_the_api(cast, api):
    client, path = api(cast.developer), "/api/v1/saved-filters/"
    body = {"name": "High", "query": {"tier": "high", "team": str(cast.team.pk)}, "team": cast.team.pk}
    made = client.post(path, body, "application/json")
    assert made.status_code == 201
    told = made.json()
    assert (told["query"], told["team"]["id"]) == (body["query"], cast.team.pk)
    assert told["url"] == f"/models/?team={cast.team.pk}&tier=high"
    for changes, code in [
        ({"query": {"tier": "purple"}}, "filter_invalid"), ({"query": {"url": "//x"}}, "parameter_unknown"),
        ({"team": cast.other_team.pk}, "team_unknown"), ({"team": 10**9}, "team_unknown"),
        ({"query": {"q": ["a"]}}, "invalid"), ({"query": "tier=high"}, "not_a_dict"),
    ]:  # fmt: skip
        answer = client.post(path, {**body, "name": "Other", **changes}, "application/json")
        assert answer.status_code == 422
        assert code in (answer.json()["code"], *(each["code"] for each in answer.json()["errors"]))
    one, other = f"{path}{told['id']}/", api(cast.validator)
    assert other.get(one).json()["owner"]["name"] == "Dev Anand"
    assert other.patch(one, json.dumps({"name": "Theirs"}), "application/json").status_code == 403
    assert other.post(f"{one}removal/").status_code == 403
    assert api(cast.outsider).get(one).status_code == 404
    renamed = client.patch(one, json.dumps({"name": "Risky"}), "application/json").json()
    assert (renamed["name"], renamed["team"]["id"]) == ("Risky", cast.team.pk)
    assert client.patch(one, json.dumps({"team": None}), "application/json").json()["team"] is None
    assert (other.get(path).json()["results"], len(client.get(path).json()["results"])) == ([], 1)
    assert client.post(f"{one}removal/").status_code == 204
    assert not SavedFilter.objects.exists()


def test_of_what_one_does_not_see_no_name_is_told(cast, signed_in):
    """Somebody who sees every team shares a filter that names another team's owner."""
    worlds.a_model(cast, "Hidden", by=cast.outsider, team=cast.other_team)
    query = {"owner": str(cast.outsider.pk), "team": str(cast.other_team.pk)}
    kept(cast.risk_officer, query=query, team=cast.team)
    shown = text_of(signed_in(cast.developer).get("/models/filters/"))
    assert "owner one that you do not see" in shown
    assert cast.outsider.name not in shown
    assert f"owner {cast.outsider.name}" in text_of(signed_in(cast.risk_officer).get("/models/filters/"))
