"""The sequencer's loop: lead, cycle, pause; after a failure say what to do, pause longer each time, and start anew."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from ledger.pledge import PledgeBroken, PledgeHeld
from ledger.sequencer.cycle import LogDamaged, Sequencer
from ledger.sequencer.lead import IDLE, lead

BUSY, QUIET = 0.02, 0.1  # seconds between looks: for a while after something was sealed, and later
STAYS_BUSY = 2.0
SHORTEST, LONGEST = 0.1, 10.0  # seconds of pause after failures; less than a silent leader is left its session
log = logging.getLogger("ledger.sequencer")


def run(
    connect: Callable[[], Any],
    make: Callable[[Any], Sequencer],
    stop: threading.Event,
    *,
    each: Callable[[], None] | None = None,
    idle: str = IDLE,
) -> None:
    """Sequence until `stop` is set; the present step is always ended first.

    `connect` opens a connection as the sequencer's role and `make` a Sequencer on it; both are called again after a
    connection is lost. `each` is called at every turn (watching the clock, erasures); what it raises ends the loop.
    """
    pause, said = SHORTEST, ""
    connection: Any = None
    sequencer: Sequencer | None = None
    last = time.monotonic()
    while not stop.is_set():
        if each is not None:
            each()
        try:
            if sequencer is None:
                connection = connect()
                if not lead(connection, stop.is_set, log.warning, idle):
                    break
                sequencer = make(connection)
                log.info("The sequencer leads the log %s in %s.", sequencer.origin, sequencer.folder)
            sealed = sequencer.sequence_once()
            pause, said = SHORTEST, ""
            if sealed:
                last = time.monotonic()
            elif not sequencer.behind:
                stop.wait(BUSY if time.monotonic() - last < STAYS_BUSY else QUIET)
        except (psycopg2.Error, OSError, PledgeBroken, PledgeHeld, LogDamaged) as failure:
            sentence = advice(failure)
            if sentence != said:
                log.error("%s", sentence)
                said = sentence
            close(connection)
            sequencer = None
            stop.wait(pause)
            pause = min(2 * pause, LONGEST)
    close(connection)


def advice(failure: Exception) -> str:
    """One line: what has happened and what to do."""
    if isinstance(failure, psycopg2.Error):
        what = " ".join(str(failure).split())
        return (
            f"The sequencer cannot go on with its database ({what}). Acts go on and wait for their seal; it connects "
            "anew. Look after the database if this stays."
        )
    if isinstance(failure, OSError):
        what = f"{failure.strerror or failure}{f': {failure.filename}' if failure.filename else ''}"
        todo = "Free some space" if failure.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "Make it writable"
        return f"The log's folder cannot be written ({what}). Nothing is signed, acts go on. {todo}; it then goes on."
    return str(failure)


def close(connection: Any) -> None:
    if connection is not None:
        with contextlib.suppress(psycopg2.Error):
            connection.close()
