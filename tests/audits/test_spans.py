"""Spans of time: whichever length is taken, all of what was asked for lies in them and nothing twice; and words are
found over them as they are without."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.filters import first_id
from audits.search import Found, Reach, saying
from audits.spans import LENGTHS, Spans, between, covering
from bench.filling import fill, rows
from ledger.models import Event

DAY = 86_400_000


def event(ms: int) -> UUID:
    return UUID(int=ms << 80 | 7 << 76)


@pytest.mark.parametrize(
    ("days", "bits", "count"), [(1, 26, 2), (90, 26, 116), (127, 28, 41), (400, 30, 33), (36_500, 32, 735)]
)
def test_the_shortest_spans_are_taken_of_which_there_are_not_too_many(days, bits, count):
    spans = between(event(0), event(days * DAY), 128)
    assert (spans.bits, spans.last - spans.first + 1) == (bits, count)


def test_one_event_lies_in_one_span_of_each_length():
    assert [between(event(7 << one), event(7 << one), 1) for one in LENGTHS] == [
        Spans(26, 7 << one - 26, 7 << one - 26) for one in LENGTHS
    ]  # fmt: skip
    assert Spans(28, 6, 5).words() == ""
    assert covering(event(3 << 28), event((9 << 28) - 1)) == "@28/3 | @30/1 | @28/8"


@settings(max_examples=30)
@given(st.integers(0, 1 << 44), st.integers(0, 1 << 40), st.integers(1, 300))
def test_words_of_spans_are_the_same_time_in_fewer_pieces(begin, length, most):
    spans = between(event(begin), event(begin + length), most)
    at, words = spans.first << spans.bits, spans.words().split(" | ")
    for word in words:
        bits, number = map(int, word.removeprefix("@").split("/"))
        assert (number << bits, bits in LENGTHS) == (at, True)
        at = number + 1 << bits
    assert at == spans.last + 1 << spans.bits
    assert spans.first << spans.bits <= begin <= begin + length < at
    assert len(words) <= 6 * len(LENGTHS) + (spans.last - spans.first + 1 >> 32 - spans.bits) + 1


def test_words_are_found_over_months_in_either_direction(committing_db, cast):
    """Four days of it, far enough apart to lie in several spans of each length."""
    url = urlsplit(os.environ["ADMIN_DATABASE_URL"])._replace(path=f"/{committing_db}").geturl()
    starts = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days) for days in (0, 1, 30, 200)]
    for number, start in enumerate(starts):
        fill(url, rows(140, [(str(number), "Ada")], [number + 1], start))
    days = [first_id(start) for start in starts]
    everything = Event.objects.all()
    for events, hints in [
        (everything, []), (everything.filter(pk__gte=days[1], pk__lt=days[3]), []), (everything.filter(team_id=1), []),
        (everything.filter(actor_id__in=["1", "3"]), [["1", "3"]]), (everything.filter(pk__gt=days[3]), []),
        (everything.filter(outcome="done"), [["done"]]), (everything.filter(event__startswith="model"), [["mod*"]]),
    ]:  # fmt: skip
        for text in ("predecessor", "disparity quarter", "dis"):
            newest = list(saying(events, text).order_by("-pk"))
            for reach in (Reach(3, 0), Reach(50, 0)):
                found = Found(events, text, hints, reach)
                assert found.order_by("-pk")[:7] == newest[:7]
                assert found.order_by("pk")[:20] == newest[::-1][:20]
