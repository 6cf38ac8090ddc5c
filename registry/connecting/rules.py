"""What a connection may be: its address, and the table or the one query that is read. Plain values in and out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FORMAT = "countersign-connection/1"
SCHEMES = ("postgresql", "postgres")
PORT = 5432
LONGEST_ADDRESS, LONGEST_QUERY, LONGEST_NAME = 1000, 10_000, 63
# How the way there is encrypted: `require` takes any certificate, `verify-full` looks at who signed it, and for whom.
SAFE = ("require", "verify-full")
PLAIN = ("disable", "prefer")
HOST = re.compile(r"[A-Za-z0-9._:-]+\Z")
NAME = r'(?:"(?:[^"\x00]|"")+"|[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*)'
RELATION = re.compile(rf"{NAME}(?:\.{NAME})?\Z")
PIECE = re.compile(
    r"""(?P<comment>--|/\*)
    |(?P<text>[eEbBxXnN]?'(?:[^'\\]|'')*'|[uU]&'(?:[^'\\]|'')*'|"(?:[^"]|"")*")
    |(?P<word>[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)
    |(?P<number>[0-9][0-9A-Za-z_.]*)
    |(?P<space>\s+)
    |(?P<other>[^'"$\\\x00])""",
    re.VERBOSE,
)
# Words of statements that change something, lock rows or leave the query. None is needed to read.
FORBIDDEN = frozenset({
    "alter", "analyze", "begin", "call", "cluster", "comment", "commit", "copy", "create", "deallocate", "declare",
    "delete", "discard", "do", "drop", "execute", "explain", "grant", "insert", "into", "listen", "load", "lock",
    "merge", "notify", "prepare", "reassign", "refresh", "reindex", "release", "reset", "revoke", "rollback",
    "savepoint", "security", "set", "show", "truncate", "unlisten", "update", "vacuum",
})  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What is wrong: a stable code, a sentence that repeats nothing secret, and the field at fault."""

    code: str
    sentence: str
    field: str


@dataclass(frozen=True)
class Address:
    """Where a database is, and as whom it is asked. `host` is a name, an address, or the folder of a socket."""

    host: str
    port: int
    database: str
    encryption: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Address({self.host}:{self.port}/{self.database})"


@dataclass(frozen=True)
class Target:
    """What is read, and where it is."""

    address: Address
    table: str
    query: str

    @property
    def relation(self) -> str:
        """A FROM item."""
        return f"({self.query}\n) AS given" if self.query else f"{self.named} AS given"

    @property
    def named(self) -> str:
        """The table's name as PostgreSQL reads it."""
        return ".".join(quoted(part) for part in parts_of(self.table))


def address_of(url: str, internal: list[str]) -> Address | Fault:
    """A URL as in postgresql://user:password@host:5432/database; `internal` are hosts within that may be asked."""

    def wrong(sentence: str) -> Fault:
        return Fault("address_invalid", sentence, "url")

    url = url.strip()
    pattern = "Write it as in postgresql://user:password@host:5432/database."
    if len(url) > LONGEST_ADDRESS or not re.fullmatch(r"[!-~]+", url):
        return wrong(f"This is no address of a PostgreSQL database. {pattern}")
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        host = (parts.hostname or "").rstrip(".")
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        return wrong(f"This is no address of a PostgreSQL database. {pattern}")
    if parts.scheme not in SCHEMES:
        return wrong(f"Only PostgreSQL databases can be connected. {pattern}")
    if parts.fragment:
        return wrong(f"Its address has a part after #; write # within a password as %23. {pattern}")
    if not host and options.get("host", "").startswith("/"):
        host = options.pop("host")
    if strange := sorted(set(options) - {"sslmode"}):
        return wrong(f"Leave {', '.join(strange)[:60]} out; only sslmode may stand after the ?. {pattern}")
    database, user, password = (unquote(each or "") for each in (parts.path[1:], parts.username, parts.password))
    if not (HOST.match(host) or host.startswith("/")) or not database or "/" in database:
        return wrong(f"Its address names no host, or not one database. {pattern}")
    if not user or not password:
        return Fault("password_missing", f"Its address names no user, or no password. {pattern}", "url")
    if any("\0" in each for each in (host, database, user, password)):
        return wrong(f"This is no address of a PostgreSQL database. {pattern}")
    within = host in internal
    encryption = options.get("sslmode", "prefer" if within else "require")
    if encryption not in (SAFE + PLAIN if within else SAFE):
        sentence = f"Write sslmode={' or '.join(SAFE)}: without encryption anybody on the way could read the password."
        return wrong(sentence)
    if host.startswith("/") and not within:
        return Fault("address_inside", inside(), "url")
    return Address(host, port, database, encryption, user, password)


def inside() -> str:
    return "It leads to an address within. Ask whoever runs the portal to allow it (CONNECTION_INTERNAL_HOSTS)."


def relation_at_fault(table: str, query: str) -> Fault | None:
    """The first fault of what is to be read: a table by name, or one query that only reads."""
    if bool(table) == bool(query):
        return Fault("relation_missing", "Name a table or write a query: one of the two.", "table")
    if table:
        if not RELATION.match(table) or any(len(part) > LONGEST_NAME for part in parts_of(table)):
            sentence = 'Name one table, with its schema before it: lending.loans, or "Lending"."Loans".'
            return Fault("table_invalid", sentence, "table")
        return None
    return query_at_fault(query)


def parts_of(table: str) -> list[str]:
    """The names of schema and table as the database has them: small letters unless they are quoted."""
    return [part[1:-1].replace('""', '"') if part.startswith('"') else part.lower() for part in re.findall(NAME, table)]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def query_at_fault(query: str) -> Fault | None:
    """Whether a text is something else than one SELECT that only reads; the database decides on the rest."""

    def wrong(sentence: str) -> Fault:
        return Fault("query_invalid", sentence, "query")

    if len(query) > LONGEST_QUERY:
        return wrong(f"The query has {len(query):,} characters; at most {LONGEST_QUERY:,} are taken. Make it a view.")
    words, depth, at = [], 0, 0
    while at < len(query):
        piece = PIECE.match(query, at)
        if piece is None:
            return wrong("The query has a quote that is not closed, a $, a backslash or a zero. Write it without.")
        at = piece.end()
        if piece["comment"]:
            return wrong("The query has a comment (-- or /*). Leave it out.")
        if piece["other"] == ";":
            return wrong("The query is one SELECT, without a semicolon. Leave it out, and what follows it.")
        depth += (piece["other"] == "(") - (piece["other"] == ")")
        if depth < 0:
            return wrong("The query closes a bracket that it never opened.")
        if piece["word"]:
            words.append(piece["word"].lower())
    if not words or words[0] not in ("select", "with"):
        return wrong("The query begins with SELECT, or with WITH and a SELECT after it: it reads, and nothing else.")
    if depth:
        return wrong("The query opens a bracket that it never closes.")
    if bad := next((word for word in words if word in FORBIDDEN), ""):
        return wrong(f"The query has the word {bad.upper()}, and only reads. A column of that name goes into quotes.")
    return None


def place_of(host: str, port: int, database: str) -> str:
    """Where it is, as pages, events and reports say it."""
    return f"{host}:{port}/{database}"


def document(
    *, host: str, port: int, database: str, table: str, query: str, snapshot: str, rows: int, rows_hash: str,
    columns: list[dict[str, str]],
) -> dict[str, Any]:  # fmt: skip
    """What stands for the file that is not here: no user and no password. What is not there is null."""
    return {
        "format": FORMAT, "host": host, "port": port, "database": database, "table": table or None,
        "query": query or None, "snapshot": snapshot or None, "rows": rows, "rows_hash": rows_hash or None,
        "columns": columns,
    }  # fmt: skip


def mark(rows: int, first: int | None, second: int | None) -> str:
    """The hash of a set of rows, from how many there are and the sums of the two halves of each row's hash."""
    from hashlib import sha256

    if first is None or second is None:
        return sha256(b"no rows").hexdigest() if not rows else ""
    return sha256(f"{rows} {int(first)} {int(second)}".encode()).hexdigest()
