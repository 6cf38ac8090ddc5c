"""Carries approved erasures out, in the sequencer's process: no role that answers people can delete from the log.

Nothing in the portal's tables is believed. Who asked and who approved, and what, stands in entries of the log that a
checkpoint covers; the list of what is to be erased has to hash to the digest in both.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
from django.conf import settings
from django.db import Error, connection
from django.db import close_old_connections as close_old

from audits.erasing.holding import LOCK, covering
from audits.erasing.models import Erasure
from audits.erasing.rules import KEPT, KEPT_LABEL
from audits.erasing.services import record_carried_out
from ledger.actors import SystemActor
from ledger.door import mechanical
from ledger.refusals import Refusal

EVERY = 3.0  # seconds between two looks
ERASER = SystemActor("sequencer", frozenset({"audits.carry_out_erasure"}))
log = logging.getLogger("audits.erasing")

DUE = "SELECT id, kind, subject FROM audits_erasure WHERE state = 'approved' ORDER BY id LIMIT 20"
# Both entries under a checkpoint, by two people, each holding the digest of the list as it is now, and no rejection.
AGREED = r"""
WITH said AS (
    SELECT e.event, e.actor_kind, e.actor_id,
        regexp_replace(convert_from(e.bytes, 'UTF8'), '\\.', ' ', 'g')::json #>> '{facts,digest}' AS digest
    FROM ledger_event e JOIN ledger_leaf l ON l.event_id = e.id
    WHERE e.object_type = 'audits.erasure' AND e.object_id = %(id)s::text AND e.outcome = 'done'
        AND l.index < (SELECT max(size) FROM ledger_checkpoint)
), list AS (
    SELECT 'sha256:' || encode(sha256(convert_to(string_agg(event::text || ' ' || label, E'\n'
        ORDER BY event::text COLLATE "C", label COLLATE "C"), 'UTF8')), 'hex') AS digest
    FROM audits_erasureitem WHERE erasure_id = %(id)s
)
SELECT EXISTS (
    SELECT FROM said asked, said agreed, list
    WHERE asked.event = 'erasure.requested' AND agreed.event = 'erasure.approved'
        AND asked.actor_kind = 'person' AND agreed.actor_kind = 'person' AND asked.actor_id <> agreed.actor_id
        AND asked.digest = list.digest AND agreed.digest = list.digest
) AND (SELECT count(*) = 1 FROM said WHERE event = 'erasure.requested')
AND NOT EXISTS (SELECT FROM said WHERE event = 'erasure.rejected')
"""
ITEMS = "SELECT DISTINCT event::text FROM audits_erasureitem WHERE erasure_id = %s"
ERASE = """
DELETE FROM ledger_disclosure d USING audits_erasureitem i, ledger_event e
WHERE i.erasure_id = %s AND d.event_id = i.event AND d.label = i.label AND e.id = d.event_id
    AND NOT (e.event = ANY(%s) AND d.label = %s)
"""
FORGET = """
UPDATE ledger_search s SET words = ledger_words(e.bytes,
    (SELECT string_agg(d.value, ' ') FROM ledger_disclosure d WHERE d.event_id = e.id))
FROM ledger_event e WHERE e.id = s.event_id AND s.event_id = ANY(%s::uuid[])
"""
LEFT = """
SELECT count(*) FROM audits_erasureitem i JOIN ledger_disclosure d ON d.event_id = i.event AND d.label = i.label
WHERE i.erasure_id = %s
"""


def nothing(step: str) -> None:
    return None


@mechanical("Deletes what two people agreed to erase, as the eraser's role; `erasure.carried_out` is the record of it.")
def carry_out(connection: Any, *, at: Callable[[str], None] = nothing) -> int:
    """Carry out what is approved, sealed and not held. How many erasures were; one that was begun is ended first.

    `connection` is psycopg2's, as the sequencer's role and outside a transaction. Each erasure's deletion is one
    transaction, and its event follows: cut off in between, the next call finds nothing left and records it. `at` is
    called with `erased` in between. Raises psycopg2.Error, django.db.Error.
    """
    connection.autocommit = True
    done = 0
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        due = cursor.fetchall()
    for pk, kind, subject in due:
        if erased(connection, pk, subject if kind == Erasure.Kind.PERSON else ""):
            at("erased")
            done += recorded(pk)
    return done


def erased(connection: Any, pk: int, person: str) -> bool:
    """Whether all of one erasure is gone now; False where it is not agreed, or a hold stands in the way."""
    with transaction(connection) as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if cursor.fetchone() != (True,):
            return False  # a hold is just being placed
        cursor.execute(AGREED, {"id": pk})
        if cursor.fetchone() != (True,):
            return False
        cursor.execute(ITEMS, [pk])
        events = [event for (event,) in cursor.fetchall()]
        if covering(cursor, events, person):
            return False
        cursor.execute(f"SET LOCAL ROLE {settings.DB_ROLE_PREFIX}_eraser")
        cursor.execute(ERASE, [pk, sorted(KEPT), KEPT_LABEL])
        cursor.execute(FORGET, [events])
        cursor.execute(LEFT, [pk])
        (left,) = cursor.fetchone()
        if left:
            # Only a list that was tampered with holds what is never erased.
            log.error("Erasure %s lists what is never erased. Nothing was erased; look at who changed it.", pk)
            connection.rollback()
            return False
    return True


@contextlib.contextmanager
def transaction(connection: Any) -> Iterator[Any]:
    """One transaction on an autocommitting connection, after which it has its own role again."""
    connection.autocommit = False
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        if not connection.closed:
            connection.autocommit = True


def recorded(pk: int) -> bool:
    """Write the event; False where that was done meanwhile."""
    erasure = Erasure.objects.get(pk=pk)
    try:
        record_carried_out(by=ERASER, erasure=erasure)
    except Refusal as refusal:
        log.warning("%s", refusal.sentence)
        return False
    return True


class Eraser:
    """`carry_out` every few seconds on a connection of its own, for the sequencer's loop. Calling it raises nothing.

    `connect` opens a connection as the sequencer's role. It is called again after a failure.
    """

    def __init__(self, connect: Callable[[], Any], every: float = EVERY) -> None:
        self.connect, self.every = connect, every
        self.connection: Any = None
        self.next = 0.0
        self.said = ""

    def __call__(self) -> None:
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + self.every
        close_old()
        try:
            if self.connection is None:
                self.connection = self.connect()
            carry_out(self.connection)
            self.said = ""
        except (psycopg2.Error, Error) as error:
            sentence = " ".join(str(error).split())
            if sentence != self.said:
                log.error("Erasures wait, because the database does not answer as it should (%s).", sentence)
                self.said = sentence
            self.close()
            connection.close()

    def close(self) -> None:
        if self.connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self.connection.close()
            self.connection = None
