"""Asking a database elsewhere: one snapshot, read only, with an end to how long it may take.

Only counts, names of columns and groups, and sums come back from it, never a row; those are for `rows`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from django.conf import settings
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from ledger.anchors.guard import addresses_of, public
from ledger.door import mechanical
from ledger.refusals import Refusal
from registry.connecting import rules
from registry.connecting.faults import refusal_of, unconnected
from registry.connecting.rules import Target, quoted
from registry.roles import MOST_LEVELS, NUMERIC

MOST_COLUMNS = 900
CONNECT_SECONDS = 5
# Within a page or an API call: one statement, and all of them together.
SECONDS, ALTOGETHER = 10, 25
# Object ids of PostgreSQL's own types, which are the same in every database (pg_type.dat).
KINDS = {
    16: "boolean", 20: "integer", 21: "integer", 23: "integer", 700: "number", 701: "number", 1700: "number",
    1082: "date", 1114: "time", 1184: "time",
}  # fmt: skip
# What each kind is read as, so that the same value is written in the same way whatever the table's type is.
READ_AS = {
    "boolean": "boolean", "integer": "bigint", "number": "double precision", "date": "date", "time": "timestamp",
    "text": "text",
}  # fmt: skip


# The two numbers that are summed of each row's hash `h`.
HALVES = {
    name: f"('x' || substr(h, {at}, 16))::bit(64)::bigint" for name, at in (("one", 1), ("other", 17))
}  # fmt: skip


class Unreadable(Exception):
    """The database did not answer a question: its code (SQLSTATE, or "" where the connection was lost)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Column:
    name: str
    kind: str


@dataclass
class Session:
    """A transaction in which everything is read from one snapshot."""

    connection: Any
    target: Target
    columns: list[Column] = field(default_factory=list)

    @mechanical("reads in a database elsewhere, in a transaction that may write nothing")
    def ask(self, statement: str) -> list[dict[str, Any]]:
        """Raises Unreadable; what was asked before and what is asked after it stays in the same snapshot."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SAVEPOINT asked")
                try:
                    cursor.execute(statement)
                    names = [each.name for each in cursor.description or ()]
                    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
                except psycopg2.Error:
                    cursor.execute("ROLLBACK TO SAVEPOINT asked")
                    raise
                cursor.execute("RELEASE SAVEPOINT asked")
                return rows
        except psycopg2.Error as error:
            raise Unreadable(error.pgcode or "", (error.diag.message_primary or "")[:200]) from None

    @mechanical("reads in a database elsewhere, in a transaction that may write nothing")
    def look(self) -> None:
        """Which columns there are. Raises Unreadable, and Refusal `duplicate_column` or `too_many_columns`."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {self.target.relation} LIMIT 0")  # noqa: S608
                found = [Column(each.name, KINDS.get(each.type_code, "text")) for each in cursor.description or ()]
        except psycopg2.Error as error:
            raise Unreadable(error.pgcode or "", (error.diag.message_primary or "")[:200]) from None
        names = [each.name.lower() for each in found]
        field = "query" if self.target.query else "table"
        if doubled := next((name for name in names if names.count(name) > 1), ""):
            sentence = f"Two columns are called {doubled!r} (capitals do not tell them apart). Rename one in a query."
            raise Refusal("duplicate_column", sentence, field)
        if not 0 < len(found) <= MOST_COLUMNS:
            sentence = f"There are {len(found):,} columns; 1 to {MOST_COLUMNS} are taken. Name some in a query."
            raise Refusal("too_many_columns", sentence, field)
        self.columns = found
        self.check_harmless()

    def check_harmless(self) -> None:
        """Raises Refusal `not_read_only` for a user who could change what is read, or anything; and Unreadable.

        The transaction writes nothing anyway: that is for whoever else gets hold of the password. A standby takes no
        writes from anybody. Behind a query or a view only superusers are seen.
        """
        may = ["current_setting('is_superuser') = 'on'"]
        if not self.target.query:
            literal = self.target.named.replace("'", "''")
            may.append(f"has_table_privilege('{literal}', 'INSERT, UPDATE, DELETE, TRUNCATE')")
        (found,) = self.ask(f"SELECT NOT pg_is_in_recovery() AND ({' OR '.join(may)}) AS write")
        if found["write"]:
            sentence = "This user may change what is in the database. Give one that may only read (GRANT SELECT)."
            raise Refusal("not_read_only", sentence, "url")

    def rows_as(self, names: Sequence[str] | None = None) -> str:
        """A SELECT of the columns, each as `READ_AS` says."""
        chosen = [each for each in self.columns if names is None or each.name in names]
        parts = (f"given.{quoted(each.name)}::{READ_AS[each.kind]} AS {quoted(each.name)}" for each in chosen)
        return f"SELECT {', '.join(parts)} FROM {self.target.relation}"  # noqa: S608

    def count(self) -> int:
        """Raises Unreadable."""
        return int(self.ask(f"SELECT count(*) AS n FROM {self.target.relation}")[0]["n"])  # noqa: S608

    def rows_hash(self, names: Sequence[str]) -> str:
        """A hash of all rows in these columns, whatever their order. Raises Unreadable.

        A row's hash is SHA-256 of its values as text, each with its length before it. Its first 64 bits and the next
        64 are summed over the rows as whole numbers of any size, which no order changes and no doubled row cancels.
        """
        sums = ", ".join(f"sum({half}::numeric) AS {name}" for name, half in HALVES.items())
        (row,) = self.ask(f"SELECT count(*) AS n, {sums} FROM ({self.hashed(names)}) AS hashed")  # noqa: S608
        return rules.mark(row["n"], row["one"], row["other"])

    def hashed(self, names: Sequence[str]) -> str:
        """A SELECT of each row's hash, as `h` in hexadecimal."""
        h = row_hash(f"v.{name}" for name in map(quoted, names))
        return f"SELECT {h} AS h FROM ({self.rows_as(names)}) AS v"  # noqa: S608

    def describe(self, groups: Sequence[str], ends: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
        """How many rows there are, and each column's name, type and gaps as for files.

        With the groups of the columns in `groups`, and the lowest and highest of those in `ends` that hold numbers.
        """
        parts = ["count(*) AS n"]
        for place, each in enumerate(self.columns):
            parts.append(f"count({there(each)}) AS c{place}")
            if each.name in ends and each.kind in ("integer", "number"):
                name = quoted(each.name)
                parts.append(f"min({name})::float8 AS l{place}, max({name})::float8 AS h{place}")
        (row,) = self.ask(f"SELECT {', '.join(parts)} FROM ({self.rows_as()}) AS v")  # noqa: S608
        described: list[dict[str, Any]] = []
        for place, each in enumerate(self.columns):
            found: dict[str, Any] = {"name": each.name, "type": each.kind, "missing": row["n"] - row[f"c{place}"]}
            found["distinct"] = None
            low, high = row.get(f"l{place}"), row.get(f"h{place}")
            if low is not None and high is not None and max(abs(low), abs(high)) < float("inf"):
                found |= {"lowest": low, "highest": high}
            if each.name in groups:
                found |= self.groups_of(each)
            described.append(found)
        return int(row["n"]), described

    def groups_of(self, column: Column) -> dict[str, Any]:
        """Sizes of a column's groups, largest first; missing values are a group without name."""
        value = f"left(nullif(btrim({there(column)}::text), ''), 200)"
        sizes = f"SELECT {value} AS v, count(*) AS n FROM ({self.rows_as()}) AS v GROUP BY 1"  # noqa: S608
        shown = f"SELECT v, n, count(v) OVER () AS k FROM ({sizes}) AS g"  # noqa: S608
        rows = self.ask(f"{shown} ORDER BY n DESC, v LIMIT {MOST_LEVELS + 1}")
        groups = [{"value": row["v"], "rows": int(row["n"])} for row in rows]
        return {"groups": groups[:MOST_LEVELS], "distinct": int(rows[0]["k"]) if rows else 0}


def row_hash(values: Iterable[str]) -> str:
    """SHA-256 of a row's values, each with its length before it, in hexadecimal, as an expression of theirs."""
    spelled = (f"coalesce(length({value}::text) || ':' || {value}::text, '~')" for value in values)
    return f"encode(sha256(convert_to({' || '.join(spelled)}, 'UTF8')), 'hex')"


def there(column: Column) -> str:
    """A column's value where it is not missing."""
    name = quoted(column.name)
    if column.kind == "text":
        return f"nullif(btrim({name}), '')"
    return f"nullif({name}, 'NaN')" if column.kind == "number" else name


@contextmanager
def session(target: Target, seconds: int = SECONDS, altogether: int = ALTOGETHER) -> Iterator[Session]:
    """Connect, and look which columns there are. Raises Refusal; see `refusal_of`.

    A statement ends after so many `seconds`, and the connection is cut after `altogether`, whatever the server does.
    """
    connection = connected(target.address, altogether)
    # A server that neither answers nor keeps to its time-out: the reading thread gets an error.
    line = socket.socket(fileno=os.dup(connection.fileno()))
    cut = threading.Timer(altogether, severed, [line])
    cut.daemon = True
    cut.start()
    try:
        begun(connection, seconds)
        found = Session(connection, target)
        found.look()
        yield found
    except psycopg2.Error as error:
        raise refusal_of(error.pgcode or "", "", target) from None
    except Unreadable as error:
        raise refusal_of(error.code, error.message, target) from None
    finally:
        cut.cancel()
        line.close()
        with suppress(psycopg2.Error):
            connection.close()


def connected(address: rules.Address, altogether: int) -> Any:
    """Raises Refusal `address_inside`, `source_unreachable` or `credentials_refused`, which repeat nothing secret."""
    where: dict[str, Any] = {"host": address.host}
    if address.encryption == "verify-full":
        where["sslrootcert"] = settings.CONNECTION_CA_FILE
    if not address.host.startswith("/"):
        where["hostaddr"] = allowed(address)
    try:
        connection = psycopg2.connect(
            **where, port=address.port, dbname=address.database, user=address.user, password=address.password,
            sslmode=address.encryption, connect_timeout=CONNECT_SECONDS, gssencmode="disable", passfile="/dev/null",
            application_name="countersign", client_encoding="UTF8",
            keepalives_idle=10, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=altogether * 1000,
        )  # fmt: skip
    except psycopg2.Error as error:
        raise unconnected(str(error)) from None
    return connection


def allowed(address: rules.Address) -> str:
    """The very address that is connected to, after it was looked at."""
    try:
        found = addresses_of(address.host, address.port)
    except (OSError, UnicodeError):
        raise Refusal("source_unreachable", "The database's host is not known. Check its name.", "url") from None
    if address.host not in settings.CONNECTION_INTERNAL_HOSTS and not all(map(public, found)):
        raise Refusal("address_inside", rules.inside(), "url")
    return found[0]


@mechanical("opens a transaction in a database elsewhere that may write nothing")
def begun(connection: Any, seconds: int) -> None:
    connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True, autocommit=False)
    with connection.cursor() as cursor:
        for name, value in {
            "statement_timeout": f"{seconds}s", "lock_timeout": "5s", "timezone": "UTC", "datestyle": "ISO, YMD",
            "intervalstyle": "iso_8601", "extra_float_digits": "1", "bytea_output": "hex",
        }.items():  # fmt: skip
            cursor.execute(f"SET LOCAL {name} = '{value}'")


def severed(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def described(target: Target, roles: Mapping[str, str], grouped: Sequence[str]) -> dict[str, Any]:
    """What a page or the API asks once: columns, rows, and the rows' hash, "" where it took too long."""
    chosen = [name for name, role in roles.items() if role in grouped]
    ends = [name for name, role in roles.items() if role in NUMERIC]
    with session(target) as found:
        rows, columns = found.describe(chosen, ends)
        try:
            rows_hash = found.rows_hash([each.name for each in found.columns])
        except Unreadable as error:
            if not error.code:
                raise
            rows_hash = ""
        return {"rows": rows, "columns": columns, "rows_hash": rows_hash}
