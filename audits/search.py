"""Events that say certain words.

Most events have a row in `ledger_search`; the newest may not have one yet, and are read themselves, so that nothing is
missed. What a word is, the database says (`ledger_lexemes`), the same for rows, for questions and for what has no row.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.contrib.postgres.aggregates import StringAgg
from django.contrib.postgres.search import SearchQueryField, SearchVectorField
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models import Exists, F, Func, OuterRef, Q, Subquery, TextField, Value
from django.db.models.expressions import Col, RawSQL
from django.db.models.lookups import Lookup
from django.db.models.sql.where import AND, WhereNode

from audits.spans import Spans, between, covering
from ledger.door import mechanical
from ledger.models import Checkpoint, Disclosure, Event, EventQuerySet, Leaf, Pending, Search

BOUNDS = ("gt", "gte", "lt", "lte")
MOST_SPANS = 128  # spans of time that are asked for one after the other
MOST_BEGINNINGS = 16  # the same for the beginning of a word, all rows of which the index gathers each time
GOES_ON = "*"
# OFFSET 0 keeps the planner from turning these round: an event after the other, until there are enough.
NEAR_SQL = """
SELECT chosen.id FROM ({chosen}) AS chosen (id), LATERAL (
    SELECT FROM ledger_search WHERE event_id = chosen.id AND words @@ ledger_asked(%s) OFFSET 0
) AS said LIMIT %s
"""
# Where the events are all there are between two ids, their words stand one after the other.
ALONG_SQL = """
WITH chosen (id) AS MATERIALIZED ({chosen})
SELECT event_id FROM (
    SELECT event_id, words FROM ledger_search WHERE event_id BETWEEN
    (SELECT id FROM chosen ORDER BY id LIMIT 1) AND (SELECT id FROM chosen ORDER BY id DESC LIMIT 1)
    ORDER BY event_id {direction} OFFSET 0
) AS said WHERE words @@ ledger_asked(%s) LIMIT %s
"""
OF_SQL = """
SELECT chosen.event_id FROM ({source} OFFSET 0) AS chosen, LATERAL ({event} OFFSET 0) AS event LIMIT %s
"""
IN_ORDER_SQL = """
WITH source AS MATERIALIZED ({source}) SELECT event_id FROM source ORDER BY event_id {direction}
"""
INDEXED = "SELECT event_id FROM ledger_search WHERE words @@ ({asked})"
# The same, a span of time after the other (`ledger_spans`): the index goes past what lies in others, and nothing more
# is asked for once there are enough.
ALONG_TIME_SQL = """
SELECT said.event_id FROM generate_series(%s, %s, %s) AS span, LATERAL (
    {indexed} AND words @@ concat('@', %s, '/', span)::tsquery {beyond} ORDER BY event_id {direction} OFFSET 0
) AS said
"""
ENDS_SQL = """
SELECT ({edge}), (SELECT event_id FROM ledger_search ORDER BY event_id LIMIT 1),
    (SELECT event_id FROM ledger_search ORDER BY event_id DESC LIMIT 1)
"""
# `ledger_search` is filled in the order of the leaves.
FRESH = """
SELECT event_id FROM ledger_pending UNION ALL
SELECT event_id FROM ledger_leaf WHERE index > coalesce((
    SELECT index FROM ledger_leaf AS leaf WHERE EXISTS (SELECT FROM ledger_search WHERE event_id = leaf.event_id)
    ORDER BY index DESC LIMIT 1), -1)
"""


class Says(Func):
    """Whether words (a tsvector) hold each word asked for; the last one may be a beginning."""

    template = "(%(expressions)s)"
    arg_joiner = " @@ "
    arity = 2
    output_field = models.BooleanField()


def asked(text: str) -> Func:
    return Func(Value(text, output_field=TextField()), function="ledger_asked", output_field=SearchQueryField())


def words_of_event() -> Func:
    """The words of an event that has no row in `ledger_search`, made now."""
    told = (
        Disclosure.objects.filter(event=OuterRef("pk")).order_by().values("event")
        .annotate(all=StringAgg("value", Value(" "))).values("all")
    )  # fmt: skip
    return Func(F("bytes"), Subquery(told), function="ledger_words", output_field=SearchVectorField())


def waiting() -> Q:
    """Events under no published checkpoint."""
    newest = Checkpoint.objects.order_by("-size").values("size")[:1]
    return in_line_after(Func(Subquery(newest), Value(0), function="COALESCE") - 1)


def unindexed() -> Q:
    """Events without a row in `ledger_search`, which is filled in the order of the leaves."""
    indexed = Leaf.objects.filter(Exists(Search.objects.filter(event=OuterRef("event")))).order_by("-index")
    return in_line_after(Func(Subquery(indexed.values("index")[:1]), Value(-1), function="COALESCE"))


def in_line_after(index: Any) -> Q:
    """Events that have a later place in the tree, or none yet."""
    later = Leaf.objects.filter(index__gt=index).order_by().values("event")
    return Q(pk__in=Pending.objects.order_by().values("event").union(later, all=True))


def saying(events: EventQuerySet, text: str) -> EventQuerySet:
    """All events that say something, for reading through. For a page of them take `Found`."""
    indexed = Search.objects.filter(Says(F("words"), asked(text))).values("event")
    fresh = Event.objects.filter(unindexed()).filter(Says(words_of_event(), asked(text))).order_by().values("pk")
    return events.filter(pk__in=indexed.union(fresh, all=True))


def query_of(text: str) -> str:
    """SQL that makes a query of words of a text, which is its parameter."""
    return "ledger_asked(%s)" if text.endswith(GOES_ON) else "array_to_string(ledger_lexemes(%s), ' & ')::tsquery"


def has_a_word(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


def chosen_by_id(condition: WhereNode) -> bool:
    """Whether events are all there are between two ids."""
    return condition.connector == AND and not condition.negated and all(
        chosen_by_id(one) if isinstance(one, WhereNode)
        else isinstance(one, Lookup) and isinstance(one.lhs, Col) and one.lhs.target.primary_key
        and one.lookup_name in BOUNDS
        for one in condition.children
    )  # fmt: skip


def bounds_of(condition: WhereNode) -> tuple[uuid.UUID, uuid.UUID]:
    """The lowest and the highest id that events can have, as far as conditions say so by themselves."""
    lowest, highest = uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)
    for one in condition.children:
        if isinstance(one, Lookup) and chosen_by_id(WhereNode([one], condition.connector, condition.negated)):
            if one.lookup_name in ("gt", "gte"):
                lowest = max(lowest, one.rhs)
            else:
                highest = min(highest, one.rhs)
    return lowest, highest


@dataclass(frozen=True)
class Reach:
    """How far `Found` goes before it changes its way: events looked through at first, and rows of the index of words
    that are gathered at once. More than that are asked for by spans of time."""

    near: int = 1_000
    rare: int = 300


class Found:
    """Events that say something, to take pages of: as much of a query set as paging uses.

    The planner is told which way to go, but is asked how many rows it expects. A word that is said often is met within
    the next few events, and gathering all its rows from the index of words would take long; those of others are few.

    `hints` say what else each of `events` must say, one of the texts of each: so that the index of words leaves out
    what other filters would take away. Their words are whole; after a `*` the last one may go on.
    """

    def __init__(
        self, events: EventQuerySet, text: str, hints: Sequence[Sequence[str]] = (), reach: Reach | None = None
    ) -> None:
        self.events, self.text, self.hints, self.reach = events, text, hints, reach or Reach()
        self.newest_first = True

    def filter(self, *conditions: Q, **named: Any) -> Found:
        return self._with(events=self.events.filter(*conditions, **named))

    def order_by(self, field: str) -> Found:
        return self._with(newest_first=field.startswith("-"))

    @property
    def _direction(self) -> str:
        return "DESC" if self.newest_first else "ASC"

    def _with(self, **changes: Any) -> Found:
        other = copy(self)
        vars(other).update(changes)
        return other

    def __getitem__(self, part: slice) -> list[Event]:
        """Seven queries at most, however many events."""
        try:
            ids = self._ids(part.stop)
        except EmptyResultSet:
            return []
        rows = sorted(self.events.filter(pk__in=ids), key=attrgetter("pk"), reverse=self.newest_first)
        return rows[part.start or 0 :]

    def _ids(self, count: int) -> list[uuid.UUID]:
        indexed, given = self._indexed()
        # Where other filters are in the index too, the events that they choose may be far apart and slow to find.
        found = [] if self.hints else self._near(count)
        if len(found) < count:
            if self._expected(indexed, given) <= self.reach.rare:
                found = self._of(*self._in_order(indexed, given), self.events, count)
            else:
                found += self._beyond(count - len(found))
        return sorted({*found, *self._fresh(count)}, reverse=self.newest_first)[:count]

    @mechanical("asks the planner what it expects of a SELECT, which is not run")
    def _expected(self, indexed: str, given: list[str]) -> int:
        """Rows of the index of words, as the planner's statistics have it."""
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {indexed}", given)
            ((plan,),) = cursor.fetchall()
        return int(plan[0]["Plan"]["Plan Rows"])

    def _near(self, count: int) -> list[uuid.UUID]:
        """Among the next events by looking at the words of each."""
        chosen, given = self._next().query.sql_with_params()
        way = ALONG_SQL if chosen_by_id(self.events.query.where) else NEAR_SQL
        return self._run(way.format(chosen=chosen, direction=self._direction), [*given, self.text, count])

    def _beyond(self, count: int) -> list[uuid.UUID]:
        """By the index of words, from where `_near` ends or, with hints, from the beginning.

        For a whole word the index goes past all that lies in other spans of time, but of a beginning it gathers all
        rows first. So the whole word is looked for, and beginnings only as far as that was not enough.
        """
        edge, first, last = self._ends()
        if first is None or last is None or (edge is None and not self.hints):
            return []
        lowest, highest = bounds_of(self.events.query.where)
        first, last = max(first, lowest), min(last, highest)
        if edge is not None:
            first, last = (first, min(last, edge)) if self.newest_first else (max(first, edge), last)
        found = self._along_time(between(first, last, MOST_SPANS), edge, count, whole=True)
        if len(found) < count:
            return self._along_time(between(first, last, MOST_BEGINNINGS), edge, count, whole=False)
        first, last = (found[-1], last) if self.newest_first else (first, found[-1])
        indexed, given = self._indexed()
        beyond, after = self._past(edge)
        source = f"{indexed} AND words @@ %s::tsquery AND event_id BETWEEN %s AND %s {beyond}"
        given = [*given, covering(first, last), first, last, *after]
        return self._of(*self._in_order(source, given), self.events, count)

    @mechanical("asks for one event, and for the first and the last row of an index")
    def _ends(self) -> tuple[uuid.UUID | None, ...]:
        """Where `_near` ends, None where there is nothing after it; the first and the last id in the index."""
        edge, given = "NULL", list[Any]()
        if not self.hints:
            edge, given = self._next()[self.reach.near - 1 :].query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(ENDS_SQL.format(edge=edge), given)
            ends: tuple[uuid.UUID | None, ...] = cursor.fetchone()
        return ends

    def _along_time(self, spans: Spans, edge: uuid.UUID | None, count: int, *, whole: bool) -> list[uuid.UUID]:
        """One span after the other, beyond the edge."""
        indexed, words = self._indexed(whole=whole)
        beyond, after = self._past(edge)
        sql = ALONG_TIME_SQL.format(indexed=indexed, beyond=beyond, direction=self._direction)
        way = (spans.last, spans.first, -1) if self.newest_first else (spans.first, spans.last, 1)
        return self._of(sql, [*way, *words, spans.bits, *after], self.events, count)

    def _past(self, edge: uuid.UUID | None) -> tuple[str, list[uuid.UUID]]:
        return ("", []) if edge is None else (f"AND event_id {'<' if self.newest_first else '>'} %s", [edge])

    def _indexed(self, *, whole: bool = False) -> tuple[str, list[Any]]:
        """Ids that the index of words has for the text, its last word too only as a whole one if `whole`, and the
        hints; those with no word in them are left out."""
        text = self.text if whole else self.text + GOES_ON
        groups = [[text], *(group for group in self.hints if all(map(has_a_word, group)))]
        asked = " && ".join("(" + " || ".join(map(query_of, group)) + ")" for group in groups)
        return INDEXED.format(asked=asked), [one.removesuffix(GOES_ON) for group in groups for one in group]

    def _in_order(self, source: str, given: list[Any]) -> tuple[str, list[Any]]:
        return IN_ORDER_SQL.format(source=source, direction=self._direction), given

    def _fresh(self, count: int) -> list[uuid.UUID]:
        """Among those that have no row in the index yet."""
        return self._of(*self._in_order(FRESH, []), self.events.filter(Says(words_of_event(), asked(self.text))), count)

    def _next(self) -> Any:
        ids = self.events.order_by("-pk" if self.newest_first else "pk").values_list("pk", flat=True)
        return ids[: self.reach.near]

    def _of(self, source: str, given: list[Any], events: EventQuerySet, count: int) -> list[uuid.UUID]:
        """The first of the ids from `source`, in its order, that are of `events`."""
        one = events.filter(pk=RawSQL("chosen.event_id", [])).order_by().values("pk")
        sql, more = one.query.sql_with_params()
        return self._run(OF_SQL.format(source=source, event=sql), [*given, *more, count])

    @mechanical("runs the statements of this module, which only read")
    def _run(self, sql: str, given: list[Any]) -> list[uuid.UUID]:
        with connection.cursor() as cursor:
            cursor.execute(sql, given)
            return [pk for (pk,) in cursor.fetchall()]
