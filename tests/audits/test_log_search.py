"""Words of the log: what one is, that none is missed before it is indexed or after, that pages of them are whole."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from accounts.services import add_team
from audits import reading
from audits.search import Found, Reach, saying
from audits.spans import LENGTHS
from ledger.actors import SystemActor
from ledger.canonical import canonical
from ledger.events import append
from ledger.models import Event, Search

pytestmark = pytest.mark.django_db
# Each makes a few events go another way: looked through, rare, beyond the first ones a span of time after the other.
REACHES = (Reach(), Reach(1, 1_000_000), Reach(1, 0), Reach(2, 0), Reach(2, 1))
CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))


def granted(cast, reason):
    """An event as a grant leaves it, which may be repeated."""
    facts = {"role": "reviewer"}
    return append(
        "role.granted", by=CONSOLE, on=cast.team, team=cast.team.pk, facts=facts, discloses={"reason": reason}
    )


def said(text):
    return list(saying(Event.objects.all(), text).order_by("-pk"))


@pytest.fixture(params=["before it is indexed", "after"])
def event(request, cast, seal):
    # The ticket's number is so long that no identifier made at random begins with a part of it.
    found = granted(cast, "Stands in for Frau Müller-Łuć (sick), see ticket 4711471147/b")
    if request.param == "after":
        seal()
        assert Search.objects.filter(event=found).exists()
    else:
        assert not Search.objects.filter(event=found).exists()
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sick", True), ("SICK stands", True), ("sta", True), ("sick sta", True), ("sta sick", False),
        ("müller", True), ("MÜLLER łu", True), ("Mu\u0308ller", True), ("muller", False), ("luć", False),
        ("4711471147", True), ("ticket 4711471147 b", True), ("711471147", False), ("role granted", True),
        ("no granted", False), ("role.granted", True), ("accounts.team", True), ("sick & healthy", False),
        ("sick' | 'x':*", False), ("console", True), ("sick\\", True),
    ],
)  # fmt: skip
def test_words_are_found_whole_and_the_last_one_by_its_beginning(event, text, found):
    assert (event in said(text)) is found
    assert (event in Found(Event.objects.all(), text)[:1000]) is found


def words(body, told=None):
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_words(%s, %s)::text", [canonical(body), told])
        return set(re.findall(r"'([^']*)'", cursor.fetchone()[0]))


def test_what_is_indexed_and_what_is_not():
    body = {"event": "a.b_c", "facts": {"from": "x\ny", "path": "C:\\new"}, "disclosures": {"reason": "sha256:12ab"}}
    assert words(body, "Told") == {"a", "b", "c", "from", "x", "y", "path", "new", "told"}


def test_the_spans_of_time_of_an_event_stand_among_its_words_and_nobody_can_ask_for_them(cast, seal):
    mine = granted(cast, "fraud")
    seal()
    with connection.cursor() as cursor:
        cursor.execute("SELECT words::text FROM ledger_search WHERE event_id = %s", [mine.pk])
        spans = set(re.findall(r"@\d+/\d+", cursor.fetchone()[0]))
    assert spans == {f"@{bits}/{mine.pk.int >> 80 >> bits}" for bits in LENGTHS}
    for span in spans:
        assert said(span) == []
    assert words({"event": "x", "id": "no id"}) == {"x"}, "an altered one has none"


def test_an_event_may_hold_what_json_can_but_no_text_column():
    assert words({"facts": {"name": "nul\x00byte"}}) >= {"name", "nul"}
    assert words({"event": "x", "facts": {}}, "w" * 60_000) == {"x", "w" * 250}
    assert words({"facts": None}) == {"null"}


def test_pages_of_words_have_no_gap_and_no_repeat(cast, seal):
    for number in range(9):
        granted(cast, f"round {number}" + (" rare" if number in (1, 2, 8) else "") + (" often" if number % 2 else ""))
        if number == 6:
            seal()
    # All events there are between two ids, and those of a filter, which stand apart.
    for events in (Event.objects.all(), Event.objects.filter(event="role.granted")):
        whole_pages_of(events)


def whole_pages_of(events):
    for text in ("round", "often", "rare", "rare often", "nowhere"):
        everything = list(saying(events, text).order_by("-pk"))
        for reach in REACHES:
            found, seen, place = Found(events, text, reach=reach), [], {}
            while page := reading.page(found, size=2, **place):
                seen += [entry.event for entry in page.entries]
                if not page.older:
                    break
                place = {"before": page.older}
            assert seen == everything
            back = page.entries[:]
            while page.newer:
                page = reading.page(found, size=2, after=page.newer)
                back = page.entries + back
            assert [entry.event for entry in back] == everything


def test_words_and_other_filters_narrow_together(cast, seal):
    add_team(by=CONSOLE, name="Fraud", slug="fraud")
    mine = granted(cast, "fraud")
    seal()
    fresh = granted(cast, "fraud again")
    for reach in REACHES:
        found = Found(Event.objects.filter(team_id=cast.team.pk), "fraud", reach=reach)
        assert found.order_by("-id")[0:5] == [fresh, mine]
        assert found.order_by("id")[1:5] == [fresh]
        assert found.filter(event="role.granted", pk__lt=fresh.pk)[:5] == [mine]
        assert Found(Event.objects.filter(pk__in=[]), "fraud", reach=reach)[:5] == []
        assert Found(Event.objects.none(), "fraud", reach=reach)[:5] == []


def test_hints_leave_out_only_what_other_filters_take_away(signed_in, cast, seal):
    mine = granted(cast, "fraud")
    add_team(by=CONSOLE, name="Fraud", slug="fraud")
    seal()
    events = Event.objects.filter(event="role.granted")
    for hints in ([["role.gran*"], ["console", "nobody"]], [["?"]], [["role", "."]]):
        for reach in REACHES:
            assert Found(events, "fraud", hints, reach)[:5] == [mine]
    assert Found(events, "fraud", [["elsewhere"]], Reach(0, 1000))[:5] == []
    for query in (
        "event=role.g",
        "actor=console",
        "outcome=done&object_type=accounts.team",
        f"object_id={cast.team.pk}",
    ):
        page = signed_in(cast.auditor).get(f"/audit/?text=fraud&{query}").content.decode()
        assert f"/audit/{mine.pk}/" in page


def test_the_api_pages_through_words(api, cast, seal):
    made = [str(granted(cast, f"seventh {number}").pk) for number in range(5)]
    seal()
    client, url, seen = api(cast.auditor), "/api/v1/events/?text=sevent&page_size=2", []
    while url:
        answer = client.get(url).json()
        seen += [row["id"] for row in answer["results"]]
        last, url = answer, answer["next"]
    assert seen == made[::-1]
    assert [row["id"] for row in client.get(last["previous"]).json()["results"]] == [made[2], made[1]]


def test_an_often_said_word_asks_no_more_of_the_database_than_a_rare_one(cast, seal, django_assert_max_num_queries):
    for number in range(4):
        granted(cast, f"often {number}")
    seal()
    for text in ("often", "3", "nowhere"):
        for reach in REACHES:
            with django_assert_max_num_queries(7):
                Found(Event.objects.all(), text, reach=reach)[:2]
