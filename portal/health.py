"""Whether this process lives, whether it can do its work, whether the log is being sealed and mail delivered."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse

from ledger import reading
from ledger.events import database_time
from ledger.sequencer.lead import LOCK
from notifications.health import mail_state

KEPT = 2.0  # seconds for which an answer about the log serves every page of this process
PATIENCE = 10  # seconds that an act may wait before a page speaks of it: a sequencer that died is back by then
LED = """
SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND objsubid = 1
AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


@dataclass(frozen=True)
class LogState:
    """`state`: sealing; behind, when an act waits for over a minute; stopped, when no sequencer is at work."""

    state: str
    pending: int
    oldest: float | None  # seconds for which the oldest act without a seal has waited
    size: int
    since: datetime | None  # when that act was recorded

    @property
    def delayed(self) -> bool:
        """Whether people should be told."""
        return self.state != "sealing" and (self.oldest or 0) > PATIENCE

    def as_dict(self) -> dict[str, object]:
        oldest = None if self.oldest is None else round(self.oldest, 1)
        return {"state": self.state, "pending": self.pending, "oldest_seconds": oldest, "size": self.size}


KNOWN: dict[str, tuple[float, LogState]] = {}


def log_state() -> LogState:
    """How the sealing stands, as of at most two seconds ago. Raises django.db.Error."""
    name = connection.settings_dict["NAME"]
    at, known = KNOWN.get(name, (0.0, None))
    if known is None or time.monotonic() - at > KEPT:
        known = ask()
        KNOWN[name] = (time.monotonic(), known)
    return known


def ask() -> LogState:
    found = reading.health()
    with connection.cursor() as cursor:
        cursor.execute(LED, [LOCK])
        (led,) = cursor.fetchone()
    oldest = found.oldest
    state = "stopped" if not led else "behind" if found.alarm else "sealing"
    since = None if oldest is None else database_time() - timedelta(seconds=oldest)
    return LogState(state, found.pending, oldest, found.size, since)


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """503 with the part that is missing, as long as the database cannot be asked.

    A log that is not sealed leaves it at 200: acts are still recorded and answered, so that taking the portal out of
    rotation would only make it worse, and so does mail that is not delivered. Watch `log.state` and `mail.state`.
    """
    try:
        log, mail = log_state(), mail_state()
    except Error:
        return JsonResponse({"status": "unavailable", "missing": "database"}, status=503)
    return JsonResponse({"status": "ok", "log": log.as_dict(), "mail": mail.as_dict()})
