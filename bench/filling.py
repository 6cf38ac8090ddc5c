"""A log of any length for benches: events, names and reasons as a busy bank would leave them, copied in at once."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import random
import secrets
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from json.encoder import encode_basestring
from typing import Any, NamedTuple

import psycopg2

from ledger.canonical import sha256, uuid7
from ledger.merkle import Frontier, leaf_hash
from ledger.notes import Checkpoint, SigningKey, sign

STEP = timedelta(seconds=11, microseconds=37)
BATCH = 20_000
LAST = str(uuid.UUID(int=2**128 - 1))
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


class Row(NamedTuple):
    id: str
    raw: bytes
    at: str
    actor: str
    event: str
    object_type: str
    object_id: str
    team: int
    outcome: str
    told: list[tuple[str, str, str]]

    def line(self) -> str:
        """The event in COPY's text format."""
        return (
            f"{self.id}\t\\\\x{self.raw.hex()}\t{self.at}Z\tperson\t{self.actor}\t{self.event}"
            f"\t{self.object_type}\t{self.object_id}\t{self.team}\t{self.outcome}\n"
        )

    def told_lines(self) -> str:
        return "".join(f"{self.id}\t{label}\t\\\\x{salt}\t{value}\n" for label, salt, value in self.told)


def rows(count: int, actors: Sequence[tuple[str, str]], teams: Sequence[int], start: datetime) -> Iterator[Row]:
    """Each event with its disclosures, oldest first; the same ones each time but for the salts."""
    chance, said = random.Random(4), Filling()
    weights = list(itertools.accumulate(1 / (place + 1) for place in range(len(NAMES))))
    for number in range(count):
        at = start + STEP * number
        ((name, kind),) = chance.choices(NAMES, cum_weights=weights)
        actor, person = actors[int(chance.random() ** 2 * len(actors))]
        if number % (count // 10) == 7:
            name, kind = said.rare_event, "inference.inferencekey"
        team, outcome = teams[int(chance.random() ** 3 * len(teams))], "refused" if chance.random() < 0.02 else "done"
        words = chance.choices(WORDS, k=8)
        words += [said.frequent] if number % 2 else []
        words += [said.usual] if number % 100 == 3 else []
        words += [said.rare] if number % (count // 12) == 11 else []
        words += [said.old] if number < count // 10 else []
        told, digests = [], []
        for label, value in (("actor_name", person), ("reason", " ".join(words))):
            salt = secrets.token_bytes(16)
            shown = base64.urlsafe_b64encode(salt)[:22].decode()
            told.append((label, salt.hex(), value))
            text = f'["{shown}","{label}",{encode_basestring(value)}]'
            digests.append(f'"{label}":"{sha256(text.encode())}"')
        key = str(number % 5000) if kind else ""
        name += ".refused" if outcome == "refused" else ""
        event_id, request = str(uuid7(at, number.to_bytes(8, "big"))), f"{chance.getrandbits(128):032x}"
        stamp = at.isoformat(timespec="microseconds").removesuffix("+00:00")
        on = f'{{"id":"{key}","type":"{kind}"}}' if kind else "null"
        # The same bytes as `canonical` would give, in a tenth of the time.
        body = (
            f'{{"actor":{{"id":"{actor}","kind":"person"}},"disclosures":{{{",".join(digests)}}},"event":"{name}",'
            f'"facts":{{"digest":"{sha256(key.encode())}","number":{number}}},"id":"{event_id}","object":{on},'
            f'"origin":{{"channel":"browser","request":"{request}"}},"outcome":"{outcome}","team":"{team}",'
            f'"time":"{stamp}Z","v":1}}'
        )
        yield Row(event_id, body.encode(), stamp, actor, name, kind, key, team, outcome, told)


def fill(url: str, rows: Iterator[Row], origin: str = "", most: int | None = None) -> None:
    """Copy at most `most` events in, with disclosures, leaves and search rows, past the checks of foreign keys.

    `url` is the superuser's. With `origin` all of them are sealed by a checkpoint, signed with a key made for it.
    """
    ids: list[str] = []
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
        list(pool.map(partial(indexed, url), ids, [*ids[1:], LAST]))
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE")


def copied(cursor: Any, table: str, lines: str, columns: Sequence[str] | None = None) -> None:
    cursor.copy_from(io.StringIO(lines), table, columns=columns)


def indexed(url: str, first: str, end: str) -> None:
    """Write the search rows of the events from `first` to before `end`."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SEARCH, [first, end])
