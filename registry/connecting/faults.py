"""What a database elsewhere was refused for: stable codes, and sentences that repeat nothing secret and no row."""

from __future__ import annotations

from psycopg2 import errorcodes as codes

from ledger.refusals import Refusal
from registry.connecting.rules import Target

REFUSED = ("password authentication failed", "no password supplied", "does not exist", "not permitted to log in",
           "authentication failed", "no pg_hba.conf entry", "permission denied for database")  # fmt: skip


def unconnected(said: str) -> Refusal:
    """Of what libpq says, which names user and host, only what kind of failure it was."""
    if "root certificate" not in said and any(each in said for each in REFUSED):
        sentence = "The database refuses this user, password or database name. Check them in the address."
        return Refusal("credentials_refused", sentence, "url")
    if "SSL" in said or "certificate" in said:
        sentence = "No encrypted connection could be made: the server has none, or a certificate that is not trusted."
        return Refusal("source_not_encrypted", sentence, "url")
    return Refusal("source_unreachable", "The database does not answer. Check host, port and firewalls.", "url")


def refusal_of(code: str, message: str, target: Target) -> Refusal:
    """What a database's error means. Its own words are repeated only of errors in the statement, which hold no rows."""
    field = "query" if target.query else "table"
    if code in (codes.UNDEFINED_TABLE, codes.INVALID_SCHEMA_NAME, codes.WRONG_OBJECT_TYPE) and not target.query:
        return Refusal("table_unknown", f"The database has no table {target.table}. Check its name and schema.", field)
    if code == codes.QUERY_CANCELED:
        sentence = "The database took too long. Name a smaller table, or a view that is computed beforehand."
        return Refusal("source_too_slow", sentence, field)
    if code == codes.INSUFFICIENT_PRIVILEGE:
        sentence = "The database does not let this user read there. Have SELECT granted on what is named."
        return Refusal("source_denied", sentence, field)
    if code.startswith("25"):
        return Refusal("not_read_only", "This would change something in the database. Only reading is allowed.", field)
    if code.startswith(("42", "0A")):
        return Refusal("query_invalid", f"The database does not take this: {message}.", field)
    if not code or code.startswith(("08", "57")):
        return Refusal("source_unreachable", "The connection to the database was lost. Try it again.", field)
    return Refusal("source_unreadable", f"The database could not read this (SQLSTATE {code}). Ask its owner.", field)
