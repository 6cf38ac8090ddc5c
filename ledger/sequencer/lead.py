"""Who may sequence: one connection at a time, which holds a session lock of the database for as long as it lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

LOCK = 7_236_002  # advisory, of this database
PAUSE = 0.2
IDLE = "30s"


def try_lead(connection: Any) -> bool:
    """Whether this connection leads from now on. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (leads,) = cursor.fetchone()
    return bool(leads)


def give_up(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def lead(connection: Any, stopped: Callable[[], bool], say: Callable[[str], None], idle: str = IDLE) -> bool:
    """Wait until this connection leads; False when stopped before. Raises psycopg2.Error.

    The server closes the session of a leader that is silent for longer than `idle` (paused, hung, cut off), so that
    another can take over; one that wakes up then finds its connection gone before it can write or publish anything.
    """
    told = False
    while not try_lead(connection):
        if stopped():
            return False
        if not told:
            say("Another sequencer is at work on this database. This one waits, and takes over when that one ends.")
            told = True
        time.sleep(PAUSE)
    with connection.cursor() as cursor:
        # A commit must be durable before anything is signed over it, whatever the server's default is.
        cursor.execute("SELECT set_config('synchronous_commit', 'on', false)")
        for setting in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute("SELECT set_config(%s, %s, false)", [setting, idle])
    return True
