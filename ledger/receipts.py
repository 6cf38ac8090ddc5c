"""Receipts: which acts the present request has committed, and what the portal promises about each."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from ledger.canonical import timestamp
from ledger.models import Event

FORMAT = "countersign-receipt/1"
COMMITTED: ContextVar[list[uuid.UUID] | None] = ContextVar("committed", default=None)


@contextmanager
def collecting() -> Iterator[list[uuid.UUID]]:
    """Within it, the ids of the events of acts that have committed, in their order."""
    acts: list[uuid.UUID] = []
    token = COMMITTED.set(acts)
    try:
        yield acts
    finally:
        COMMITTED.reset(token)


def collect(event: Event) -> None:
    """The door says that an act has committed."""
    if (acts := COMMITTED.get()) is not None:
        acts.append(event.pk)


def last_act() -> uuid.UUID | None:
    """The event of the act that the present request has committed last."""
    acts = COMMITTED.get()
    return acts[-1] if acts else None


def body(origin: str, event: uuid.UUID, leaf_hash: bytes, at: datetime) -> str:
    """The text of a receipt, to be signed with the portal's key (c2sp.org/signed-note).

    Five lines: format, the log's origin, the event's id, its leaf hash (RFC 6962) in base64, its time. Whoever keeps
    it can show that the act was recorded, even where its event was removed before it was ever sealed.
    """
    return f"{FORMAT}\n{origin}\n{event}\n{base64.b64encode(leaf_hash).decode()}\n{timestamp(at)}\n"
