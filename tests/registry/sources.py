"""Databases elsewhere, played by the tests' own cluster: tables that really are there, and a user that only reads."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import cache
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import quote_ident

from tests import worlds

NUMBERS = itertools.count(1)
READER, PASSWORD = "source_reader", "a-secret-of-the-source"
TYPES = {"approved": "integer", "income": "double precision", "debt": "double precision"}
ROLES = {"approved": "label", "group": "sensitive", "income": "feature", "debt": "feature"}


def administer(*statements: Any) -> None:
    with closing(psycopg2.connect(os.environ["ADMIN_DATABASE_URL"])) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for each in statements:
                cursor.execute(*((each,) if isinstance(each, str) else each))


@cache
def schema() -> str:
    """A schema of this process's own, and the reader that all processes share."""
    with suppress(errors.DuplicateObject, errors.UniqueViolation):  # another process was first
        administer(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'")
    name = f"lending_{os.getpid()}"
    administer(f"CREATE SCHEMA {name}", f"GRANT USAGE ON SCHEMA {name} TO {READER}")
    return name


def a_table(data: bytes | None = None, types: Mapping[str, str] = TYPES, readable: bool = True) -> str:
    """A table of a CSV's rows, by default of the usual loans; its name with the schema."""
    head, *rows = csv.reader(io.StringIO((data or worlds.csv_bytes()).decode()))
    name = f"{schema()}.loans_{next(NUMBERS)}"
    with closing(psycopg2.connect(os.environ["ADMIN_DATABASE_URL"])) as connection, connection.cursor() as cursor:
        columns = ", ".join(f"{quote_ident(column, cursor)} {types.get(column, 'text')}" for column in head)
        cursor.execute(f"CREATE TABLE {name} ({columns})")
        if readable:
            cursor.execute(f"GRANT SELECT ON {name} TO {READER}")
        places = ", ".join(["%s"] * len(head))
        cursor.executemany(f"INSERT INTO {name} VALUES ({places})", [[value or None for value in row] for row in rows])  # noqa: S608
        connection.commit()
    return name


def url(user: str = READER, password: str = PASSWORD, database: str = "postgres") -> str:
    folder = os.environ["CONNECTION_INTERNAL_HOSTS"]
    return f"postgresql://{user}:{password}@/{database}?host={quote(folder, safe='')}"


def a_connection(cast: Any, **changes: Any) -> Any:
    from registry.connecting.services import connect

    given = {"url": url(), "table": "" if changes.get("query") else a_table(), **changes}
    return connect(by=given.pop("by", cast.developer), team=cast.team, **given)


def a_connected_dataset(cast: Any, connection: Any = None, **changes: Any) -> Any:
    from registry.connecting.services import register_connected

    given = {
        "name": f"Warehouse {next(NUMBERS)}", "purpose": "historical", "roles": ROLES, "positive_class": "1",
        "source": "The warehouse.", "lawful_basis": "Art. 6(1)(f) GDPR", **changes,
    }  # fmt: skip
    return register_connected(by=cast.developer, connection=connection or a_connection(cast), **given)
