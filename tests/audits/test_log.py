"""The log page, its filters and pages, one entry, and who may read what."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from accounts.models import Role, Team
from accounts.services import add_team, create_own_token, grant_role
from audits import reading, timeline
from ledger.actors import SystemActor
from ledger.canonical import sha256
from ledger.models import Disclosure, Event
from ledger.refusals import Denied

pytestmark = pytest.mark.django_db
CONSOLE = SystemActor("console", frozenset({"accounts.add_team", "accounts.grant_role"}))


@pytest.fixture
def story(cast):
    """A few acts: one in each team's name, one refused, one with a name of its own."""
    role = Role.objects.get(slug="reviewer")
    with pytest.raises(Denied):
        add_team(by=cast.developer, name="Fraud", slug="fraud")
    grant_role(by=CONSOLE, account=cast.developer, role=role, team=cast.team, reason="stands in for the sick reviewer")
    team = add_team(by=CONSOLE, name="Äpfel & Birnen", slug="fruit")
    create_own_token(by=cast.auditor, account=cast.auditor, name="nightly <b>", scopes=["audits.view_log"], days=1)
    return team


@pytest.fixture
def team_auditor(cast):
    """The outsider reads the log of team Claims, and of no other."""
    grant_role(
        by=CONSOLE, account=cast.outsider, role=Role.objects.get(slug="auditor"), team=cast.other_team, reason="audit"
    )
    return cast.outsider


def text_of(response):
    return html.unescape(response.content.decode())


def links(response):
    return re.findall(r'href="/audit/([0-9a-f-]{36})/"', response.content.decode())


def test_the_log_is_shown_newest_first(signed_in, cast, story):
    page = signed_in(cast.auditor).get("/audit/")
    assert page.status_code == 200
    shown = links(page)
    assert shown == sorted(shown, reverse=True)
    assert [sentence in text_of(page) for sentence in ("Refused: team added", "Token created", "Role granted")] == [
        True
    ] * 3


@pytest.mark.parametrize(
    ("query", "events"),
    [
        ("event=team.added", {"team.added", "team.added.refused"}),
        ("event=token.created", {"token.created"}),
        ("outcome=refused", {"team.added.refused"}),
        ("actor=Dev+Anand", {"team.added.refused"}),
        ("actor=auditor@example.org", {"token.created"}),
        ("actor=console&event=team", {"team.added"}),
        ("text=sick+reviewer", {"role.granted"}),
        ("text=NIGHTLY", {"token.created"}),
        ("text=fruit", {"team.added"}),
        ("object_type=accounts.apitoken", {"token.created"}),
        ("until=2020-01-01T00:00:00", set()),
        ("since=2099-01-01T00:00:00Z", set()),
    ],
)
def test_filters_narrow(api, signed_in, cast, story, query, events):
    made = Event.objects.order_by("-id")[:4].values_list("id", flat=True)
    known = {str(pk): Event.objects.get(pk=pk).event for pk in made}
    shown = links(signed_in(cast.auditor).get(f"/audit/?{query}"))
    assert {known[pk] for pk in shown if pk in known} == events
    given = api(cast.auditor).get(f"/api/v1/events/?{query}").json()["results"]
    assert {known[row["id"]] for row in given if row["id"] in known} == events


def test_a_filter_by_team_and_object(signed_in, cast, story):
    page = signed_in(cast.auditor).get(f"/audit/?object_type=accounts.team&object_id={story.pk}")
    assert len(links(page)) == 1
    of_team = links(signed_in(cast.auditor).get(f"/audit/?team={story.pk}"))
    assert {str(event.pk) for event in Event.objects.filter(team_id=story.pk)} == set(of_team)


@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ("since=yesterday", "since", "Enter a valid date/time."),
        ("text=%3F!", "text", "Type at least one letter or digit."),
        ("seal=perhaps", "seal", "Select a valid choice."),
    ],
)
def test_what_cannot_be_read_as_a_filter_is_said(signed_in, api, cast, query, field, sentence):
    page = signed_in(cast.auditor).get(f"/audit/?{query}")
    assert page.status_code == 422
    assert sentence in text_of(page)
    answer = api(cast.auditor).get(f"/api/v1/events/?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_a_span_of_time_is_exact_to_the_microsecond(signed_in, cast, story):
    browser, event = signed_in(cast.auditor), Event.objects.latest("id")
    at, after = (moment.isoformat() for moment in (event.time, event.time + timedelta(microseconds=1)))
    assert links(browser.get("/audit/", {"since": at, "until": after})) == [str(event.pk)]
    assert links(browser.get("/audit/", {"since": after})) == []
    assert str(event.pk) not in links(browser.get("/audit/", {"until": at}))
    assert links(browser.get("/audit/", {"until": "0001-01-01T00:00:00"})) == []
    assert links(browser.get("/audit/", {"since": "0001-01-01T00:00:00"}))[0] == str(event.pk)


def test_pages_go_back_and_forth_without_gap_or_repeat(cast, story):
    everything = [str(pk) for pk in Event.objects.order_by("-id").values_list("id", flat=True)]
    events, seen, place = Event.objects.all(), [], {}
    while True:
        page = reading.page(events, size=4, **place)
        seen += [str(entry.event.pk) for entry in page.entries]
        if not page.older:
            break
        place = {"before": page.older}
    assert seen == everything
    back = list(page.entries)
    while page.newer:
        page = reading.page(events, size=4, after=page.newer)
        back = page.entries + back
    assert [str(entry.event.pk) for entry in back] == everything
    assert reading.page(events, after=everything[0]).entries == []


def test_a_place_in_the_log_that_is_none_is_passed_over(signed_in, cast):
    assert signed_in(cast.auditor).get("/audit/?before=x&after='").status_code == 200


def test_an_entry_shows_its_exact_bytes(signed_in, cast, story):
    event = Event.objects.filter(event="role.granted").latest("id")
    browser = signed_in(cast.auditor)
    page = browser.get(f"/audit/{event.pk}/")
    assert bytes(event.bytes).decode() in text_of(page)
    assert sha256(bytes(event.bytes)) in text_of(page)
    given = browser.get(f"/audit/{event.pk}/bytes/")
    assert given.content == bytes(event.bytes)
    assert given["Content-Type"] == "application/json"
    assert "attachment" in given["Content-Disposition"]


def test_names_are_checked_against_the_entry(signed_in, cast, story):
    event = Event.objects.filter(event="role.granted").latest("id")
    told = {one.label: one for one in reading.disclosures(event)}
    assert told["reason"].value == "stands in for the sick reviewer"
    assert {one.state for one in told.values()} == {"verified"}


def test_an_altered_and_an_erased_name_are_told_apart(cast, story):
    event = Event.objects.filter(event="token.created", actor_id=str(cast.auditor.opaque_id)).latest("id")
    rows = {row.label: row for row in event.disclosures.all()}
    rows["actor_name"].value = "Somebody Else"
    planted = Disclosure(event=event, label="planted", salt=b"0" * 16, value="x")
    event._prefetched_objects_cache = {"disclosures": _Rows([rows["actor_name"], rows["token_name"], planted])}
    states = {one.label: one.state for one in reading.disclosures(event)}
    assert states == {"actor_name": "altered", "actor_email": "erased", "token_name": "verified", "planted": "altered"}


class _Rows(list[Disclosure]):
    def all(self):
        return self


def test_the_log_is_for_those_who_may_read_it(signed_in, api, cast, story):
    event = Event.objects.latest("id")
    for person in (cast.developer, cast.platform_admin, cast.outsider):
        browser = signed_in(person)
        assert browser.get("/audit/").status_code == 403
        assert browser.get("/audit/export/").status_code == 403
        assert browser.get(f"/audit/{event.pk}/").status_code == 404
        assert browser.get(f"/audit/{event.pk}/bytes/").status_code == 404
        assert api(person).get("/api/v1/events/").json()["code"] == "permission_denied"
        assert api(person).get(f"/api/v1/events/{event.pk}/").status_code == 404


def test_a_team_auditor_sees_that_team_only(signed_in, api, team_auditor, cast, story):
    own = Event.objects.filter(team_id=cast.other_team.pk)
    assert own.exists()
    assert set(links(signed_in(team_auditor).get("/audit/"))) == {str(event.pk) for event in own}
    rows = api(team_auditor).get("/api/v1/events/").json()["results"]
    assert {row["team_id"] for row in rows} == {cast.other_team.pk}
    elsewhere = Event.objects.filter(team_id=None).latest("id")
    assert signed_in(team_auditor).get(f"/audit/{elsewhere.pk}/").status_code == 404


def test_one_entry_by_the_api(api, cast, story):
    event = Event.objects.filter(event="role.granted").latest("id")
    given = api(cast.auditor).get(f"/api/v1/events/{event.pk}/").json()
    assert sha256(given["bytes"].encode()) == given["sha256"]
    assert given["seal"] == {"state": "pending", "entry": None, "checkpoint": None}
    assert given["content"] == event.content
    assert {"label": "reason", "state": "verified"}.items() <= given["disclosures"][-1].items()


def test_a_timeline_hides_what_was_refused_and_the_way_to_the_log(cast, story):
    team = Team.objects.get(pk=story.pk)
    with pytest.raises(Denied):
        grant_role(
            by=cast.developer,
            account=cast.second_developer,
            role=Role.objects.get(slug="reviewer"),
            team=team,
            reason="x x",
        )
    about = cast.second_developer
    plain, full = timeline.of(about, cast.developer), timeline.of(about, cast.auditor)
    assert full[0].text == "Refused: role granted"
    assert all(entry.event.outcome == "done" for entry in plain)
    assert all(entry.url == "" for entry in plain)
    assert full[0].url == f"/audit/{full[0].event.pk}/"
    assert full[0].who.name == cast.developer.name
    assert len(timeline.of(about, cast.auditor, team)) > len(full)


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ("model.risk_tier_set", "Model risk tier set"),
        ("model.risk_tier_set.refused", "Refused: model risk tier set"),
    ],
)
def test_events_are_sentences(event, sentence):
    assert reading.sentence(event) == sentence


def test_reading_a_page_costs_the_same_however_long_it_is(signed_in, cast, story, django_assert_max_num_queries):
    browser = signed_in(cast.auditor)
    for query in ("", "?text=reviewer", "?text=nowhere", "?seal=sealed&outcome=refused"):
        with django_assert_max_num_queries(18):  # three of them ask how the log stands, every two seconds
            browser.get(f"/audit/{query}")
