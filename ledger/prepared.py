"""Querysets that are made and planned once. Django makes the SQL anew at each asking and PostgreSQL its plan, and both
take longer than most answers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.models import QuerySet
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    ValuesListIterable,
    get_related_populators,
)

from ledger.marks import mechanical

T = TypeVar("T")
# What stands for a value of each kind while the SQL is made: never used as a value by anything that is asked here.
STAND_INS: dict[type, Callable[[int], object]] = {
    int: (-(2**31)).__add__,
    str: "\N{REPLACEMENT CHARACTER} value {}".format,
    UUID: lambda number: UUID(int=number),
}
PLACE = re.compile(r"(?<!%)%s")
NUMBERS = itertools.count(1)
# The names of what each connection of psycopg2 has prepared.
KNOWN: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class Made(NamedTuple, Generic[T]):
    """What is prepared under `name`: `statement` has `%s` for each of `constants`, which are put in at that time.

    It has `$1` and so on for what is given when it is executed; `values` says for each which of the caller's it is.
    """

    using: str
    shape: Callable[[Sequence[Any]], T]
    converters: list[tuple[int, Any, Any]]
    name: str
    statement: str
    constants: list[Any]
    execute: str
    values: list[int]


class Prepared(Generic[T]):
    """`Prepared(make, int, str)` asks what `make(number, text)` gives, for other values at each call.

    `make` gives a queryset that differs by these values alone, and puts each wherever Django takes a value. Where it
    says `name__in=[value]`, callers give a list. The rows are Django's, with what was selected beside them.
    """

    def __init__(self, make: Callable[..., QuerySet[Any, T]], *kinds: type) -> None:
        self.make, self.kinds = make, kinds
        self.made: Made[T] | None = None

    def __call__(self, *values: object) -> list[T]:
        if self.made is None:
            self.made = self.once()
        made, connection = self.made, connections[self.made.using]
        connection.ensure_connection()
        if made.name not in KNOWN.setdefault(connection.connection, set()):
            prepare(connection, made)
        rows = fetched(connection, made, [values[number] for number in made.values])
        if made.converters:
            rows = [converted(row, made.converters, connection) for row in rows]
        return [made.shape(row) for row in rows]

    def once(self) -> Made[T]:
        stand_ins = [STAND_INS[kind](number) for number, kind in enumerate(self.kinds)]
        queryset = self.make(*stand_ins)
        compiler = queryset.query.get_compiler(queryset.db)
        sql, parameters = compiler.as_sql()
        text, *rest = PLACE.split(sql)
        constants, values = list[Any](), list[int]()
        for parameter, following in zip(parameters, rest, strict=True):
            if parameter not in stand_ins:
                constants.append(parameter)
                text += "%s" + following
                continue
            values.append(stand_ins.index(parameter))
            listed = text.endswith("IN (") and following.startswith(")")
            text = f"{text.removesuffix('IN (') + '= ANY(' if listed else text}${len(values)}{following}"
        assert {*values} == {*range(len(stand_ins))}, sql
        name, places = f"asked_{next(NUMBERS)}", ", ".join("%s" for _ in values)
        return Made(
            queryset.db, shape_of(queryset, compiler), converters_of(compiler), name, text, constants,
            f"EXECUTE {name} ({places})" if values else f"EXECUTE {name}", values,
        )  # fmt: skip


SHAPES: dict[Any, Callable[[Any], Any]] = {ValuesListIterable: tuple, FlatValuesListIterable: itemgetter(0)}
POPULATORS: Any = get_related_populators


def shape_of(queryset: QuerySet[Any, T], compiler: Any) -> Callable[[Sequence[Any]], T]:
    """What Django makes of a row: an instance with what was selected beside it, a tuple or a single value."""
    kind: Any = getattr(queryset, "_iterable_class")  # noqa: B009
    if kind in SHAPES:
        return SHAPES[kind]
    assert kind is ModelIterable, kind
    info, select = compiler.klass_info, compiler.select
    first, last = info["select_fields"][0], info["select_fields"][-1] + 1
    names = [field.target.attname for field, *_ in select[first:last]]
    related = POPULATORS(info, select, queryset.db)
    beside = compiler.annotation_col_map or {}

    def instance(row: Sequence[Any]) -> Any:
        found = info["model"].from_db(queryset.db, names, row[first:last])
        for each in related:
            each.populate(row, found)
        for name, place in beside.items():
            setattr(found, name, row[place])
        return found

    return instance


def converters_of(compiler: Any) -> list[tuple[int, Any, Any]]:
    """Place in the row, expression and converter, in the order in which Django applies them."""
    found = compiler.get_converters([expression for expression, *_ in compiler.select[: compiler.col_count]])
    return [(place, expression, each) for place, (some, expression) in found.items() for each in some]


def converted(row: Sequence[Any], converters: Iterable[tuple[int, Any, Any]], connection: Any) -> list[Any]:
    values = list(row)
    for place, expression, converter in converters:
        values[place] = converter(values[place], expression, connection)
    return values


@mechanical("tells one connection a statement that it will be asked to execute: every one is a SELECT of Django's")
def prepare(connection: Any, made: Made[Any]) -> None:
    """For one connection, which keeps it also where the transaction is rolled back."""
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(f"PREPARE {made.name} AS {made.statement}", made.constants)
    KNOWN[connection.connection].add(made.name)


@mechanical("executes what was prepared: every one is a SELECT of Django's")
def fetched(connection: Any, made: Made[Any], given: Sequence[Any]) -> list[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(made.execute, given)
        rows: list[Sequence[Any]] = cursor.fetchall()
    return rows
