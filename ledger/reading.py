"""What the portal's processes ask the log: is it sealed, where is the proof, is the sequencer well. Reads only."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from ledger.merkle import Subtree, Tile, inclusion, tiled, verify_inclusion
from ledger.models import Checkpoint, Event, Leaf
from ledger.notes import Proof, parse_checkpoint, split_note
from ledger.tiles import TileStore, folder_of, from_database

EACH = 0.02  # seconds between two looks while waiting for a seal
LATE = 60.0  # seconds after which an event that is not sealed raises the alarm
COUNTED = 10_000  # pending events are counted up to here
OLDEST = (
    "SELECT (SELECT count(*) FROM (SELECT FROM ledger_pending LIMIT %s) AS counted),"
    " (SELECT extract(epoch FROM clock_timestamp() - e.time) FROM ledger_pending p JOIN ledger_event e"
    "  ON e.id = p.event_id ORDER BY p.event_id LIMIT 1),"
    " (SELECT extract(epoch FROM clock_timestamp() - h.at) FROM ledger_treehead h WHERE h.size > %s"
    "  ORDER BY h.size LIMIT 1)"
)


def seals_of(events: Iterable[Event | uuid.UUID]) -> dict[uuid.UUID, int | None]:
    """The entry number of each event that a published checkpoint covers; None for one that waits. Two queries."""
    found: dict[uuid.UUID, int | None] = {one.pk if isinstance(one, Event) else one: None for one in events}
    newest = newest_checkpoint()
    size = newest.size if newest else 0
    found.update(Leaf.objects.filter(event__in=found, index__lt=size).values_list("event", "index"))
    return found


def wait_for_seals(event_ids: Iterable[uuid.UUID], seconds: float) -> dict[uuid.UUID, int | None]:
    """Like `seals_of`, after waiting until all are sealed, but no longer than this.

    Inside a transaction it does not wait: what it would wait for has not committed.
    """
    wanted = list(event_ids)
    until = time.monotonic() + seconds
    while True:
        found = seals_of(wanted)
        if None not in found.values() or connection.in_atomic_block or time.monotonic() + EACH > until:
            return found
        time.sleep(EACH)


def newest_checkpoint() -> Checkpoint | None:
    """Of the log that is kept now."""
    return Checkpoint.objects.newest(settings.LOG_ORIGIN)


def _from_folder(size: int) -> Subtree:
    return tiled(size, TileStore(folder_of(settings.LOG_ROOT, settings.LOG_ORIGIN)).read)


def _from_rows(size: int) -> Subtree:
    def read(tile: Tile) -> bytes:
        with connection.cursor() as cursor:
            return from_database(cursor)(tile)

    return tiled(size, read)


def subtree_of(size: int) -> Subtree:
    """Hashes of the tree of `size`: from the tiles in the folder, each from the database's rows where it is not there.

    What it gives is not verified against a root. Raises ValueError where the rows are missing too.
    """
    folder, rows = _from_folder(size), _from_rows(size)

    def subtree(level: int, index: int) -> bytes:
        try:
            return folder(level, index)
        except (OSError, ValueError):
            return rows(level, index)

    return subtree


def inclusion_proof(event: Event) -> Proof | None:
    """Proof of the event under the newest checkpoint, verified; None while it waits for its seal.

    Reads at most two tiles a level, from the folder, or from the database where the folder is out of reach or wrong.
    Raises ValueError where the database itself contradicts the checkpoint.
    """
    leaf = Leaf.objects.filter(event=event).first()
    newest = newest_checkpoint()
    if leaf is None or newest is None or newest.size <= leaf.index:
        return None
    note = bytes(newest.note)
    root, read = parse_checkpoint(split_note(note)[0]).root, bytes(leaf.hash)
    sources: list[Callable[[int], Subtree]] = [_from_folder, _from_rows]
    for source in sources:
        try:
            hashes = inclusion(leaf.index, newest.size, source(newest.size))
        except (OSError, ValueError):
            continue
        if verify_inclusion(leaf.index, newest.size, read, hashes, root):
            return Proof(leaf.index, tuple(hashes), note)
    raise ValueError(f"entry {leaf.index} does not lead to the root of the checkpoint of {newest.size} entries")


@dataclass(frozen=True)
class Health:
    """How the log is. Ages are in seconds, None where there is nothing; `pending` is counted up to 10,000."""

    size: int
    root: str
    age: float | None
    pending: int
    oldest: float | None
    alarm: str


def health() -> Health:
    """Of the log that is kept now; three queries. The alarm is a sentence that says what to do, or empty."""
    newest = newest_checkpoint()
    size = newest.size if newest else 0
    with connection.cursor() as cursor:
        cursor.execute(OLDEST, [COUNTED, size])
        pending, oldest_pending, oldest_head = cursor.fetchone()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp() - %s)", [newest.at if newest else None])
        (age,) = cursor.fetchone()
    # A tree that was committed but not published keeps its entries waiting too.
    ages = [float(one) for one in (oldest_pending, oldest_head) if one is not None]
    oldest = max(ages, default=None)
    alarm = ""
    if oldest is not None and oldest > LATE:
        alarm = (
            f"The log has not been sealed for {oldest:.0f} s. Acts go on, but approvals count only once they are "
            "sealed. Look whether the sequencer runs, and what it says last."
        )
    return Health(
        size=size,
        root=parse_checkpoint(split_note(bytes(newest.note))[0]).root.hex() if newest else "",
        age=float(age) if age is not None else None,
        pending=pending,
        oldest=oldest,
        alarm=alarm,
    )
