"""Querysets that are made and planned once. Django makes the SQL anew at each asking and PostgreSQL its plan, and both
take longer than most answers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from copy import copy
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.models import QuerySet

from ledger.door import mechanical

T = TypeVar("T")
# What stands for a value while the SQL is made: never used as a value by anything that is asked here.
LEAST, TEXT = -(2**31), "\N{REPLACEMENT CHARACTER} value {}"
PLACE = re.compile(r"(?<!%)%s")
NUMBERS = itertools.count(1)
# The names of what each connection of psycopg2 has prepared.
KNOWN: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class Made(NamedTuple, Generic[T]):
    """What is prepared under `name`: `statement` has `%s` for each of `constants`, which are put in at that time.

    It has `$1` and so on for what is given when it is executed; `values` says for each which of the caller's it is.
    """

    queryset: QuerySet[Any, T]
    compiler: Any
    converters: dict[int, Any]
    name: str
    statement: str
    constants: list[Any]
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
        made, connection = self.made, connections[self.made.compiler.using]
        connection.ensure_connection()
        if made.name not in KNOWN.setdefault(connection.connection, set()):
            prepare(connection, made)
        compiler = copy(made.compiler)
        compiler.connection = connection
        compiler.get_converters = lambda _: made.converters
        places = f" ({', '.join('%s' for _ in made.values)})" if made.values else ""
        sql, given = f"EXECUTE {made.name}{places}", tuple(values[number] for number in made.values)
        compiler.as_sql = lambda *_, **__: (sql, given)
        rows = made.queryset.all()
        rows.query.get_compiler = lambda *_, **__: compiler  # type: ignore[method-assign]
        return list(rows)

    def once(self) -> Made[T]:
        stand_ins = [LEAST + number if kind is int else TEXT.format(number) for number, kind in enumerate(self.kinds)]
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
        converters = compiler.get_converters([expression for expression, *_ in compiler.select[: compiler.col_count]])
        return Made(queryset, compiler, converters, f"asked_{next(NUMBERS)}", text, constants, values)


@mechanical("tells one connection a statement that it will be asked to execute: every one is a SELECT of Django's")
def prepare(connection: Any, made: Made[Any]) -> None:
    """For one connection, which keeps it also where the transaction is rolled back."""
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(f"PREPARE {made.name} AS {made.statement}", made.constants)
    KNOWN[connection.connection].add(made.name)
