"""Connecting a database, looking at it again, and registering what is there as a dataset. No row comes here by that.

A database is asked outside of any transaction, and only for somebody who may register datasets in the team.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db.models.functions import Now

from accounts.models import Team
from ledger.actors import Actor
from ledger.canonical import canonical, sha256
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry import storage
from registry.connecting import rules, source
from registry.connecting.models import Connection, seal
from registry.connecting.rules import Target
from registry.models import Dataset
from registry.roles import GROUPED
from registry.services.datasets import kept_dataset
from registry.services.inputs import account_of, words
from registry.services.uploads import artifact_of

Seen = Mapping[str, Any] | Refusal


def target_of(url: str, table: str, query: str) -> Target:
    """What was typed in. Raises Refusal `address_invalid`, `address_inside`, `password_missing` or one about the rest.

    Those are `relation_missing`, `table_invalid` and `query_invalid`.
    """
    address = rules.address_of(url, settings.CONNECTION_INTERNAL_HOSTS)
    if isinstance(address, rules.Fault):
        raise Refusal(address.code, address.sentence, address.field)
    if fault := rules.relation_at_fault(table.strip(), query.strip()):
        raise Refusal(fault.code, fault.sentence, fault.field)
    return Target(address, table.strip(), query.strip())


def looked(target: Target, roles: Mapping[str, str] | None = None) -> Seen:
    """What is there now, or why that cannot be seen."""
    try:
        return source.described(target, roles or {}, GROUPED)
    except Refusal as refusal:
        return refusal


def connect(*, by: Actor, team: Team, url: str, table: str = "", query: str = "", snapshot: str = "") -> Connection:
    """Look there if `by` may, then keep the connection. See `add_connection`."""
    target: Target | Refusal
    try:
        target = target_of(url, table, query)
    except Refusal as refusal:
        target = refusal
    seen: Seen | None = None
    if isinstance(target, Target) and by.has_perm("registry.register_dataset", team):
        seen = looked(target)
    return add_connection(by=by, team=team, target=target, seen=seen, snapshot=snapshot)


@governed(permission="registry.register_dataset", event="connection.added", on="team", lock=False)
def add_connection(
    *, by: Actor, team: Team, target: Target | Refusal, seen: Seen | None, snapshot: str
) -> Done[Connection]:  # fmt: skip
    """A connection that answered. What the address or the database was refused for is recorded as a refusal.

    Raises Refusal, those of `target_of` and of `registry.connecting.source`: `source_unreachable`,
    `credentials_refused`, `source_not_encrypted`, `table_unknown`, `query_invalid`, `source_denied`,
    `source_too_slow`, `too_many_columns` and others; no sentence holds user or password.
    """
    if isinstance(target, Refusal):
        raise target
    found, address = answered(seen), target.address
    row = Connection.objects.create(
        team=team, host=address.host, port=address.port, database=address.database, encryption=address.encryption,
        table=target.table, query=target.query, snapshot=words(snapshot, "snapshot", most=200, least=0),
        sealed=seal(address.user, address.password), added_by=account_of(by), checked_at=Now(), rows=found["rows"],
        rows_hash=found["rows_hash"],
    )  # fmt: skip
    row.refresh_from_db()
    return Done(row, on=row, facts=facts_of(row) | {"rows": row.rows, "rows_hash": row.rows_hash})


def answered(seen: Seen | None) -> Mapping[str, Any]:
    """Raises Refusal where the database did not answer, or was not asked."""
    if not isinstance(seen, Mapping):
        raise seen or Refusal("not_read", "The database was not asked. Send the form again.", "url")
    if not seen["rows"]:
        raise Refusal("no_rows", "There are columns but no rows. Check the name or the query.", "table")
    return seen


def check(*, by: Actor, connection: Connection) -> Connection:
    """Ask again now, if `by` may, and keep what was seen. See `note_check`."""
    seen: Seen | None = None
    if by.has_perm("registry.register_dataset", connection) and not connection.closed:
        seen = looked_at(connection)
    return note_check(by=by, connection=connection, seen=seen)


def looked_at(connection: Connection, roles: Mapping[str, str] | None = None) -> Seen:
    try:
        target = opened(connection)
    except Refusal as refusal:
        return refusal
    return looked(target, roles)


def opened(connection: Connection) -> Target:
    """With user and password, for asking there. Raises Refusal `connection_closed` or `secret_unreadable`."""
    check_open(connection)
    try:
        return connection.target
    except InvalidToken:
        sentence = "The connection's password can no longer be read, because FACTOR_KEY was changed. Replace it."
        raise Refusal("secret_unreadable", sentence, "password") from None


@governed(permission="registry.register_dataset", event="connection.checked", on="connection")
def note_check(*, by: Actor, connection: Connection, seen: Seen | None) -> Done[Connection]:
    """Keep what was seen; that the database did not answer is kept too. Raises Refusal `connection_closed`."""
    check_open(connection)
    before = connection.rows_hash
    if isinstance(seen, Mapping):
        connection.rows, connection.rows_hash, connection.problem = seen["rows"], seen["rows_hash"], ""
    else:
        connection.problem = seen.sentence[:300] if seen else "It was not asked."
    connection.checked_at = Now()
    connection.save(update_fields=["rows", "rows_hash", "problem", "checked_at"])
    connection.refresh_from_db()
    facts = facts_of(connection) | {
        "rows": connection.rows, "rows_hash": connection.rows_hash, "problem": seen.code if isinstance(seen, Refusal)
        else None, "changed": bool(before and connection.rows_hash and before != connection.rows_hash),
    }  # fmt: skip
    return Done(connection, facts=facts)


def replace_secret(*, by: Actor, connection: Connection, user: str, password: str) -> Connection:
    """Try another user and password if `by` may, then use them from now on. See `keep_secret`."""
    seen: Seen | None = None
    if by.has_perm("registry.register_dataset", connection) and not connection.closed and user and password:
        old = connection
        address = rules.Address(old.host, old.port, old.database, old.encryption, user, password)
        seen = looked(Target(address, old.table, old.query))
    return keep_secret(by=by, connection=connection, user=user, password=password, seen=seen)


@governed(permission="registry.register_dataset", event="connection.secret_replaced", on="connection")
def keep_secret(
    *, by: Actor, connection: Connection, user: str, password: str, seen: Seen | None
) -> Done[Connection]:  # fmt: skip
    """The one before is forgotten. Raises Refusal `connection_closed`, `password_missing`, and as `add_connection`."""
    check_open(connection)
    if not user or not password:
        raise Refusal("password_missing", "Give both user and password.", "password")
    try:
        found = answered(seen)
    except Refusal as refusal:
        raise Refusal(refusal.code, refusal.sentence, "password") from None
    connection.sealed, connection.secret_at = seal(user, password), Now()
    connection.rows, connection.rows_hash, connection.problem = found["rows"], found["rows_hash"], ""
    connection.checked_at = Now()
    connection.save(update_fields=["sealed", "secret_at", "rows", "rows_hash", "problem", "checked_at"])
    connection.refresh_from_db()
    return Done(connection, facts=facts_of(connection))


def check_open(connection: Connection) -> None:
    if connection.closed:
        sentence = "Its user and password were deleted when the rows' retention was over. Connect the database anew."
        raise Refusal("connection_closed", sentence)


def described(connection: Connection) -> Mapping[str, Any]:
    """Columns and rows as they are there now, for choosing roles. Raises Refusal as `add_connection` does."""
    check_open(connection)
    return answered(looked_at(connection))


def register_connected(
    *, by: Actor, connection: Connection, name: str, purpose: str, roles: Mapping[str, str], source: str,
    positive_class: str = "", lawful_basis: str = "",
) -> Dataset:  # fmt: skip
    """Describe what is there if `by` may, then register it as a dataset. See `add_connected`."""
    seen: Seen | None = None
    if by.has_perm("registry.register_dataset", connection) and not connection.closed:
        seen = looked_at(connection, roles)
    return add_connected(
        by=by, connection=connection, seen=seen, name=name, purpose=purpose, roles=roles,
        positive_class=positive_class, source=source, lawful_basis=lawful_basis,
    )  # fmt: skip


@governed(permission="registry.register_dataset", event="dataset.registered", on="connection")
def add_connected(
    *, by: Actor, connection: Connection, seen: Seen | None, name: str, purpose: str, roles: Mapping[str, str],
    positive_class: str, source: str, lawful_basis: str,
) -> Done[Dataset]:  # fmt: skip
    """A dataset whose artifact is the document of where its rows are. Raises Refusal as `add_dataset` does."""
    check_open(connection)
    found = answered(seen)
    columns = [{"name": column["name"], "type": column["type"]} for column in found["columns"]]
    document = canonical(rules.document(
        host=connection.host, port=connection.port, database=connection.database, table=connection.table,
        query=connection.query, snapshot=connection.snapshot, rows=found["rows"], rows_hash=found["rows_hash"],
        columns=columns,
    ))  # fmt: skip
    artifact = artifact_of(storage.put([document], limit=len(document)))
    made = kept_dataset(
        by=by, team=connection.team, artifact=artifact, filename="connection.json",
        described={**found, "format": Dataset.ELSEWHERE}, connection=connection, name=name, purpose=purpose,
        roles=roles, positive_class=positive_class, source=source, lawful_basis=lawful_basis,
    )  # fmt: skip
    return Done(made.value, on=made.on, facts={**made.facts, **facts_of(connection)}, discloses=made.discloses)


def facts_of(connection: Connection) -> dict[str, Any]:
    """Where it leads, without whoever asks there."""
    return {
        "connection": str(connection.pk), "place": connection.place, "encryption": connection.encryption,
        "table": connection.table, "query": sha256(connection.query.encode()) if connection.query else None,
        "snapshot": connection.snapshot,
    }  # fmt: skip
