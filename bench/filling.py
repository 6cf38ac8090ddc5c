"""A log of any length for benches: events, names and reasons as a busy bank would leave them, copied in at once."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import random
import secrets
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg2

from ledger.canonical import sha256, timestamp, uuid7
from ledger.merkle import Frontier, leaf_hash
from ledger.notes import Checkpoint, SigningKey, sign

STEP = timedelta(seconds=11, microseconds=37)
BATCH = 20_000
CHECKPOINT = "INSERT INTO ledger_checkpoint (origin, size, note) VALUES (%s, %s, %s)"
SEARCH = """
INSERT INTO ledger_search (event_id, words) SELECT e.id, ledger_words(e.bytes,
    (SELECT string_agg(d.value, ' ') FROM ledger_disclosure d WHERE d.event_id = e.id))
FROM ledger_event e WHERE e.id >= %s AND e.id < %s ORDER BY e.id ON CONFLICT DO NOTHING
"""
NAMES = (
    ("model.registered", "registry.model"), ("version.registered", "registry.version"),
    ("evidence.attached", "registry.evidence"), ("report.requested", "fairness.report"),
    ("review_request.submitted", "approvals.reviewrequest"), ("decision.signed", "approvals.decision"),
    ("finding.raised", "approvals.finding"), ("token.created", "accounts.apitoken"), ("role.granted", "accounts.grant"),
    ("endpoint.bound", "inference.endpoint"), ("artifact.downloaded", "registry.artifact"),
    ("log.exported", ""),
)  # fmt: skip
WORDS = (
    "the", "within", "policy", "reviewed", "for", "accepted", "interval", "evidence", "committee", "after", "sample",
    "drift", "threshold", "customer", "mortgage", "challenger", "baseline", "outcome", "approved", "retrained",
    "feature", "income", "region", "stable",
)  # fmt: skip


@dataclass(frozen=True)
class Filling:
    """What a bench may look for. `frequent` is in every second reason, `old` in the oldest tenth and nowhere else."""

    frequent: str = "disparity"
    usual: str = "quarter"
    rare: str = "xenolith"
    old: str = "predecessor"
    rare_event: str = "key.retired"


@dataclass(frozen=True)
class Row:
    id: uuid.UUID
    raw: bytes
    at: datetime
    actor: str
    event: str
    object_type: str
    object_id: str
    team: int
    outcome: str
    salts: dict[str, bytes]
    told: dict[str, str]

    def line(self) -> str:
        """The event in COPY's text format."""
        return (
            f"{self.id}\t\\\\x{self.raw.hex()}\t{self.at.isoformat()}\tperson\t{self.actor}\t{self.event}"
            f"\t{self.object_type}\t{self.object_id}\t{self.team}\t{self.outcome}\n"
        )

    def told_lines(self) -> str:
        return "".join(
            f"{self.id}\t{label}\t\\\\x{self.salts[label].hex()}\t{value}\n" for label, value in self.told.items()
        )


def rows(count: int, actors: Sequence[tuple[str, str]], teams: Sequence[int], start: datetime) -> Iterator[Row]:
    """Each event with its disclosures, oldest first; the same ones each time but for the salts."""
    chance, said = random.Random(4), Filling()
    weights = [1 / (place + 1) for place in range(len(NAMES))]
    for number in range(count):
        at = start + STEP * number
        (name, kind), (actor, person) = (
            chance.choices(NAMES, weights)[0],
            actors[int(chance.random() ** 2 * len(actors))],
        )
        if number % (count // 10) == 7:
            name, kind = said.rare_event, "inference.inferencekey"
        team, outcome = teams[int(chance.random() ** 3 * len(teams))], "refused" if chance.random() < 0.02 else "done"
        words = chance.choices(WORDS, k=8)
        words += [said.frequent] if number % 2 else []
        words += [said.usual] if number % 100 == 3 else []
        words += [said.rare] if number % (count // 12) == 11 else []
        words += [said.old] if number < count // 10 else []
        told = {"actor_name": person, "reason": " ".join(words)}
        salts = {label: secrets.token_bytes(16) for label in told}
        event_id, key = uuid7(at, number.to_bytes(8, "big")), str(number % 5000) if kind else ""
        name += ".refused" if outcome == "refused" else ""
        body = {
            "v": 1, "id": str(event_id), "time": timestamp(at), "actor": {"kind": "person", "id": actor},
            "origin": {"channel": "browser", "request": str(uuid.UUID(int=chance.getrandbits(128)))},
            "event": name,
            "object": {"type": kind, "id": key} if kind else None, "team": str(team),
            "facts": {"digest": sha256(key.encode()), "number": number}, "outcome": outcome,
            "disclosures": {
                label: sha256(quick([base64.urlsafe_b64encode(salts[label]).decode().rstrip("="), label, value]))
                for label, value in told.items()
            },
        }  # fmt: skip
        yield Row(event_id, quick(body), at, actor, name, kind, key, team, outcome, salts, told)


def quick(body: Any) -> bytes:
    """The same bytes as `canonical` for these bodies, of ASCII text and whole numbers, in a tenth of the time."""
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def fill(url: str, rows: Iterator[Row], origin: str = "", most: int | None = None) -> None:
    """Copy at most `most` events in, with disclosures, leaves and search rows, past the checks of foreign keys.

    `url` is the superuser's. With `origin` all of them are sealed by a checkpoint, signed with a key made for it.
    """
    ids: list[uuid.UUID] = []
    rows = itertools.islice(rows, most)
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica; SELECT hash FROM ledger_leaf ORDER BY index")
        tree = Frontier().extend(bytes(one) for (one,) in cursor.fetchall())
        while batch := list(itertools.islice(rows, BATCH)):
            copied(cursor, "ledger_event", "".join(row.line() for row in batch))
            columns = ("event_id", "label", "salt", "value")
            copied(cursor, "ledger_disclosure", "".join(row.told_lines() for row in batch), columns)
            hashes = [leaf_hash(row.raw) for row in batch]
            places = enumerate(zip(batch, hashes, strict=True), tree.size)
            leaves = (f"{place}\t{row.id}\t\\\\x{one.hex()}\n" for place, (row, one) in places)
            copied(cursor, "ledger_leaf", "".join(leaves), ("index", "event_id", "hash"))
            tree.extend(hashes)
            ids.append(batch[0].id)
        if origin:
            note = sign(Checkpoint(origin, tree.size, tree.root()).body(), [SigningKey.generate(origin)])
            cursor.execute(CHECKPOINT, [origin, tree.size, note])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(partial(indexed, url), ids, [*ids[1:], uuid.UUID(int=2**128 - 1)]))
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE")


def copied(cursor: Any, table: str, lines: str, columns: Sequence[str] | None = None) -> None:
    cursor.copy_from(io.StringIO(lines), table, columns=columns)


def indexed(url: str, first: uuid.UUID, end: uuid.UUID) -> None:
    """Write the search rows of the events from `first` to before `end`."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SEARCH, [str(first), str(end)])
