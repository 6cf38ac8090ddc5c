"""Appending to the log: canonical bytes and disclosures, in the transaction of the act they record."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, models
from psycopg2 import Binary

from ledger.actors import Actor, current_origin
from ledger.canonical import canonical, disclosure_bytes, sha256, timestamp, uuid7
from ledger.models import Event
from ledger.refusals import Refusal

MAX_BYTES = 65_535


def database_time() -> datetime:
    """The database's clock: the only clock that decides and that the log shows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert isinstance(now, datetime)
    return now


def kind_of(obj: models.Model | None) -> str:
    return obj._meta.label_lower if obj is not None else ""


def append(
    event: str,
    *,
    by: Actor,
    on: models.Model | None,
    team: int | None,
    facts: Mapping[str, Any],
    discloses: Mapping[str, str] | None = None,
    records: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
    outcome: str = "done",
) -> Event:
    """Write one event with its disclosures and records and its place in the queue for sealing.

    `records` are states of objects by (type, id). Only the door and the machinery beneath it call this. Raises
    Refusal `event_too_large` over 65,535 bytes.
    """
    given: dict[str, Any] = {"facts": facts, "discloses": discloses, "records": records, "outcome": outcome}
    row, salted, kept = compose(event, by=by, on=on, team=team, **given)
    write(row, salted, kept)
    return row


def compose(
    event: str,
    *,
    by: Actor,
    on: models.Model | None,
    team: int | None,
    facts: Mapping[str, Any],
    discloses: Mapping[str, str] | None = None,
    records: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
    outcome: str = "done",
) -> tuple[Event, dict[str, tuple[bytes, str]], dict[tuple[str, str], bytes]]:
    """The event, its disclosures as (salt, value) by label, and its records' canonical bytes; nothing is written."""
    at, origin, identity = database_time(), current_origin(), by.identity
    told = {f"actor_{label}": value for label, value in identity.discloses.items()}
    told["address"] = origin.address or ""
    if taken := told.keys() & set(discloses or ()):
        raise ValueError(f"an act may not disclose under the log's own labels: {sorted(taken)}")
    told |= discloses or {}
    salted = {label: (secrets.token_bytes(16), str(value)) for label, value in sorted(told.items()) if value}
    event_id = uuid7(at, secrets.token_bytes(8))
    body: dict[str, Any] = {
        "v": 1,
        "id": str(event_id),
        "time": timestamp(at),
        "actor": {"kind": identity.kind, "id": identity.id},
        "origin": {"channel": origin.channel, "request": origin.request_id},
        "event": event,
        "object": {"type": kind_of(on), "id": str(on.pk)} if on is not None else None,
        "team": str(team) if team is not None else None,
        "facts": dict(facts),
        "outcome": outcome,
        "disclosures": {label: sha256(disclosure_bytes(salt, label, value)) for label, (salt, value) in salted.items()},
    }
    kept = {key: canonical(dict(state)) for key, state in sorted((records or {}).items())}
    if kept:
        body["records"] = {f"{kind}/{pk}": sha256(state) for (kind, pk), state in kept.items()}
    if behalf := getattr(by, "on_behalf_of", None):
        body["on_behalf_of"] = {"kind": behalf.kind, "id": behalf.id}
    raw = canonical(body)
    if len(raw) > MAX_BYTES:
        raise Refusal("event_too_large", "This act says more than one log entry can hold (65,535 bytes). Shorten it.")
    row = Event(
        id=event_id,
        bytes=raw,
        time=at,
        actor_kind=identity.kind,
        actor_id=identity.id,
        event=event,
        object_type=kind_of(on),
        object_id=str(on.pk) if on is not None else "",
        team_id=team,
        outcome=outcome,
    )
    return row, salted, kept


# One statement, because each trip to the database would lengthen every act.
EVENT = (
    "WITH event AS (INSERT INTO ledger_event (id, bytes, time, actor_kind, actor_id, event, object_type, object_id,"
    " team_id, outcome) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)), disclosure AS ("
    "INSERT INTO ledger_disclosure (event_id, label, salt, value)"
    " SELECT %s, * FROM unnest(%s::text[], %s::bytea[], %s::text[]))"
)
RECORDS = (
    ", record AS (INSERT INTO ledger_record (event_id, object_type, object_id, bytes)"
    " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::bytea[]))"
)
PENDING = " INSERT INTO ledger_pending (event_id) VALUES (%s)"


def values_of(row: Event, salted: Mapping[str, tuple[bytes, str]]) -> list[Any]:
    """What EVENT takes."""
    return [
        row.id, Binary(row.bytes), row.time, row.actor_kind, row.actor_id, row.event, row.object_type, row.object_id,
        row.team_id, row.outcome,
        row.id, list(salted), [Binary(salt) for salt, _ in salted.values()], [value for _, value in salted.values()],
    ]  # fmt: skip


def write(row: Event, salted: Mapping[str, tuple[bytes, str]], kept: Mapping[tuple[str, str], bytes]) -> None:
    values = values_of(row, salted)
    if kept:
        kinds, pks = [kind for kind, _ in kept], [pk for _, pk in kept]
        values += [row.id, kinds, pks, [Binary(state) for state in kept.values()]]
    with connection.cursor() as cursor:
        cursor.execute(EVENT + (RECORDS if kept else "") + PENDING, [*values, row.id])
    row._state.adding, row._state.db = False, connection.alias
