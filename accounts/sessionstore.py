"""Django's sessions in the database, found by a prepared statement: each request of a browser begins with that."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from ledger.prepared import Prepared

FOUND: Prepared[Session] = Prepared(lambda key: Session.objects.filter(session_key=key), str)


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Any:
        key = self.session_key or ""
        # A quoted cookie may spell out a character that PostgreSQL takes in no text.
        for session in FOUND(key) if "\0" not in key else ():
            if session.expire_date > timezone.now():
                return session
        self._session_key = None
        return None
