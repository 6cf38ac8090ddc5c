"""One cycle: commit places and root, write tiles, promise, sign, publish. It can be cut off anywhere and resumed.

The order is the point (compare Tessera): nothing is signed before it is committed and its tiles are durable, nothing
is published that was not promised, and whatever was begun is finished before anything new is numbered.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from ledger.door import mechanical
from ledger.merkle import EMPTY_ROOT, Frontier, Tile, tiled
from ledger.notes import Checkpoint, SigningKey, parse_checkpoint, sign, split_note
from ledger.pledge import Head, Pledge, PledgeBroken
from ledger.sequencer.files import kept_entries, missing
from ledger.sequencer.tree import Tree
from ledger.tiles import TileStore, folder_of, from_database, write_aside

BATCH = 5_000
FOUND_IN_A_CYCLE, FOUND_IN_A_PAUSE = 500, 2_000  # events made findable after a seal, and when nothing is to be sealed
STEPS = ("begun", "numbered", "committed", "written", "stored", "pledged", "signed", "published", "shown", "found")
log = logging.getLogger("ledger.sequencer")

WAITING = "SELECT 1 FROM ledger_pending LIMIT 1"
PENDING = (
    "SELECT p.event_id::text, e.bytes FROM ledger_pending p JOIN ledger_event e ON e.id = p.event_id"
    " ORDER BY p.event_id LIMIT %s"
)
ORPHANS = (
    "SELECT event_id::text FROM ledger_pending p WHERE NOT EXISTS (SELECT FROM ledger_event WHERE id = p.event_id)"
    " ORDER BY event_id LIMIT 10"
)
NEWEST_HEAD = "SELECT size, root FROM ledger_treehead ORDER BY size DESC LIMIT 1"
NEWEST_CHECKPOINT = "SELECT size, note FROM ledger_checkpoint WHERE origin = %s ORDER BY size DESC LIMIT 1"
ADD_LEAVES = (
    "INSERT INTO ledger_leaf (index, event_id, hash)"
    " SELECT %s + place - 1, event, hash"
    " FROM unnest(%s::uuid[], %s::bytea[]) WITH ORDINALITY AS new (event, hash, place)"
)
ADD_HASHES = "INSERT INTO ledger_tile (level, index, hash) SELECT * FROM unnest(%s::int[], %s::bigint[], %s::bytea[])"
TAKE = "DELETE FROM ledger_pending WHERE event_id = ANY(%s::uuid[])"
ADD_HEAD = "INSERT INTO ledger_treehead (size, root) VALUES (%s, %s)"
ADD_CHECKPOINT = "INSERT INTO ledger_checkpoint (origin, size, note) VALUES (%s, %s, %s)"
ADD_KEY = "INSERT INTO ledger_key (vkey, role) VALUES (%s, %s) ON CONFLICT (vkey) DO NOTHING"
LAST_FOUND = (
    "SELECT l.index FROM ledger_leaf l WHERE EXISTS (SELECT FROM ledger_search s WHERE s.event_id = l.event_id)"
    " ORDER BY l.index DESC LIMIT 1"
)
FIND = (
    "WITH fresh AS (SELECT l.index, e.id, e.bytes FROM ledger_leaf l JOIN ledger_event e ON e.id = l.event_id"
    "   WHERE l.index > %s AND l.index < %s ORDER BY l.index LIMIT %s),"
    " added AS (INSERT INTO ledger_search (event_id, words) SELECT fresh.id, ledger_words(fresh.bytes,"
    "   (SELECT string_agg(d.value, ' ') FROM ledger_disclosure d WHERE d.event_id = fresh.id)) FROM fresh ORDER BY id"
    "   ON CONFLICT (event_id) DO NOTHING)"
    " SELECT count(*), max(index) FROM fresh"
)


class LogDamaged(Exception):
    """What the database holds contradicts itself; the text says where. Nothing is signed."""


@dataclass(frozen=True)
class Sealed:
    """A tree that was published, with the number of entries that no checkpoint of this log had covered before."""

    size: int
    root: bytes
    count: int
    note: bytes


def nothing(step: str) -> None:
    return None


class Sequencer:
    """The log named `origin`, from the pending events of a database into the folder `root`/<digest of its name>.

    `connection` is psycopg2's, direct, as the sequencer's role; the caller holds the lock (`loop.lead`). All
    `keys` sign; `portal` are the portal's public keys, published beside theirs. `at` is called with each of STEPS. With
    `within`, the name of a role, everything happens inside the connection's open transaction, as that role.
    """

    def __init__(
        self,
        connection: Any,
        root: Path | str,
        keys: Sequence[SigningKey],
        origin: str,
        *,
        portal: Sequence[str] = (),
        fsync: bool = True,
        within: str = "",
        at: Callable[[str], None] = nothing,
    ) -> None:
        if not any(key.name == origin for key in keys):
            raise ValueError(f"No signing key bears the log's name {origin}. Set LOG_KEY to one that does.")
        self.connection, self.keys, self.origin, self.within, self.at = connection, list(keys), origin, within, at
        self.portal = list(portal)
        self.folder = folder_of(root, origin)
        self.store = TileStore(self.folder, fsync=fsync)
        self.pledge = Pledge(self.folder, origin, fsync=fsync)
        self.fsync = fsync
        if not within:
            connection.autocommit = True
        self.tree: Tree | None = None
        self.files: Iterable[tuple[Tile, bytes]] = ()
        self.published = Head(0, EMPTY_ROOT)
        self.registered = False
        self.found: int | None = None
        self.orphans: set[str] = set()
        self.behind = False
        """Whether sealed events wait to be made findable."""

    @mechanical("Gives events their places and signs the tree; those events are the record of what was done.")
    def sequence_once(self) -> Sealed | None:
        """Finish what was begun, or else seal what is pending, at most BATCH. None when there was nothing to seal.

        After whatever it raises it can be called again: psycopg2.Error (connect anew where the connection was lost),
        OSError (the folder), PledgeBroken, PledgeHeld, LogDamaged.
        """
        try:
            return self._cycle()
        except BaseException:
            self.tree = None  # what is true now stands in the database
            raise

    def _cycle(self) -> Sealed | None:
        self.at("begun")
        if self.tree is None:
            self.tree = self._resume()
        if self.tree.size == self.published.size and not self._number(self.tree):
            self._make_findable(FOUND_IN_A_PAUSE)
            return None
        head = Head(self.tree.size, self.tree.root())
        self._store()
        self._promise(head)
        note = sign(Checkpoint(self.origin, head.size, head.root).body(), self.keys)
        self.at("signed")
        self._publish(head, note)
        count, self.published = head.size - self.published.size, head
        self._show(head, note)
        self._make_findable(FOUND_IN_A_CYCLE)
        return Sealed(head.size, head.root, count, note)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        before, after, undo = ("BEGIN", "COMMIT", "ROLLBACK")
        if self.within:
            before, after = f"SAVEPOINT sequencer; SET LOCAL ROLE {self.within}", "RESET ROLE; RELEASE sequencer"
            undo = "ROLLBACK TO sequencer; RELEASE sequencer"
        with self.connection.cursor() as cursor:
            cursor.execute(before)
            try:
                yield cursor
            except BaseException:
                with contextlib.suppress(psycopg2.Error):
                    cursor.execute(undo)
                raise
            cursor.execute(after)

    def _resume(self) -> Tree:
        """The tree that was committed last, after checking that it keeps every promise; lists the files it lacks."""
        self.published, self.files = Head(0, EMPTY_ROOT), ()
        with self._transaction() as cursor:
            cursor.execute(NEWEST_HEAD)
            size, root = cursor.fetchone() or (0, EMPTY_ROOT)
            cursor.execute(NEWEST_CHECKPOINT, [self.origin])
            published = cursor.fetchone()
            try:
                tree = Tree.load(cursor, size, lambda cursor, tile: kept_entries(cursor, self.store, tile))
                if tree.root() != bytes(root):
                    raise ValueError("they do not hash to it")
            except ValueError as error:
                raise LogDamaged(
                    f"The leaves in the database contradict its tree of {size} entries: {error}. Nothing is signed. "
                    "Restore the database from a backup and compare it with an anchored checkpoint."
                ) from error
        promised = self.pledge.check(size, self._root_at(size))
        if published:
            self._resume_after(bytes(published[1]), size, promised)
        self.files = missing(self.connection, self.store, self.published.size, size)
        if self.published.size == size:
            self._store()
        return tree

    def _resume_after(self, note: bytes, size: int, promised: Head | None) -> None:
        try:
            checkpoint = parse_checkpoint(split_note(note)[0])
            if checkpoint.size > size or self._root_at(size)(checkpoint.size) != checkpoint.root:
                raise ValueError(f"it has {checkpoint.size} entries and is none of the tree of {size}")
        except ValueError as error:
            raise LogDamaged(
                f"The newest checkpoint in the database is not one of its tree: {error}. Nothing is signed. Restore "
                "the database from a backup and compare it with an anchored checkpoint."
            ) from error
        self.published = Head(checkpoint.size, checkpoint.root)
        if promised is None:
            log.warning(
                "%s was lost; it is made anew from the database. Compare an anchored checkpoint with the database, as "
                "nothing else can now tell whether it was put back to an older state.", self.pledge.path,
            )  # fmt: skip
        if promised is None or promised.size < checkpoint.size:  # the folder was lost, or is older than the database
            self.pledge.advance(self.published, self._root_at(size))
        self._show(self.published, note)

    def _root_at(self, size: int) -> Callable[[int], bytes]:
        """The root of each smaller tree, from the database's rows."""

        def root_at(older: int) -> bytes:
            if older == self.published.size:
                return self.published.root
            with self.connection.cursor() as cursor:
                try:
                    return Frontier.of(older, tiled(size, from_database(cursor))).root()
                except ValueError as error:
                    raise LogDamaged(f"Rows of the tree are missing in the database: {error}. Restore it.") from error

        return root_at

    def _number(self, tree: Tree) -> bool:
        """Commit places for what is pending, with the root over them. False when nothing is pending."""
        with self.connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone() is None:
                return False
        with self._transaction() as cursor:
            cursor.execute(NEWEST_HEAD)
            if (cursor.fetchone() or (0, b""))[0] != tree.size:
                raise LogDamaged("The tree has grown by another hand. Only one sequencer may run; look for another.")
            cursor.execute(PENDING, [BATCH])
            rows = cursor.fetchall()
            if not rows:
                self._tell_of_orphans(cursor)
                return False
            try:
                growth = tree.grown([bytes(raw) for _, raw in rows])
            except ValueError as error:
                raise LogDamaged(
                    f"An event that waits for its seal can be no entry of a log: {error}. Nothing is signed. The "
                    "portal writes none like it; find it by the length of its bytes, and find out who wrote it."
                ) from error
            events = [event for event, _ in rows]
            cursor.execute(ADD_LEAVES, [tree.size, events, list(map(psycopg2.Binary, growth.leaves))])
            if growth.hashes:
                levels, indexes, hashes = zip(*growth.hashes, strict=True)
                cursor.execute(ADD_HASHES, [list(levels), list(indexes), list(map(psycopg2.Binary, hashes))])
            cursor.execute(ADD_HEAD, [growth.tree.size, psycopg2.Binary(growth.tree.root())])
            cursor.execute(TAKE, [events])
            if cursor.rowcount != len(rows):
                raise LogDamaged("Another has taken pending events. Only one sequencer may run; look for another.")
            self.at("numbered")
        self.at("committed")
        self.tree, self.files = growth.tree, growth.files
        return True

    def _tell_of_orphans(self, cursor: Any) -> None:
        """Say once which events wait for a seal and are not there; the others are sealed all the same."""
        cursor.execute(ORPHANS)
        orphans = {event for (event,) in cursor.fetchall()}
        if orphans - self.orphans:
            log.error(
                "These wait for a place in the log, but there is no such event: %s. Somebody took them out before they "
                "were sealed, or put them in the queue without one. Look for receipts that name them; then let the "
                "owner of the tables delete them from ledger_pending.", ", ".join(sorted(orphans)),
            )  # fmt: skip
        self.orphans = orphans

    def _store(self) -> None:
        for tile, data in self.files:
            self.store.write(tile, data)
        self.at("written")
        self.store.settle()
        self.at("stored")

    def _promise(self, head: Head) -> None:
        try:
            self.pledge.advance(head, self._root_at(head.size))
        except PledgeBroken:
            self._alive()  # one that lost the lead while it was paused must not say that the database is old
            raise
        self.at("pledged")

    def _alive(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def _publish(self, head: Head, note: bytes) -> None:
        with self._transaction() as cursor:
            if not self.registered:
                for vkey, role in [
                    *((key.vkey, "log") for key in self.keys),
                    *((key, "portal") for key in self.portal),
                ]:
                    cursor.execute(ADD_KEY, [vkey, role])
            cursor.execute(ADD_CHECKPOINT, [self.origin, head.size, psycopg2.Binary(note)])
            cursor.execute("SELECT pg_notify('ledger_sealed', %s)", [str(head.size)])
        self.registered = not self.within
        self.at("published")

    def _show(self, head: Head, note: bytes) -> None:
        """The file `checkpoint`, which never goes back to a smaller tree."""
        path = self.folder / "checkpoint"
        with self.pledge.held():
            if self.pledge.read() == head and not (path.exists() and path.read_bytes() == note):
                write_aside(path, note, fsync=self.fsync)
        self.at("shown")

    def _make_findable(self, most: int) -> None:
        """Let search find sealed events, in the order of their places, so that the last one found is the watermark."""
        if self.found == self.published.size - 1:
            self.behind = False
            return
        with self._transaction() as cursor:
            if self.found is None:
                cursor.execute(LAST_FOUND)
                (self.found,) = cursor.fetchone() or (-1,)
            cursor.execute(FIND, [self.found, self.published.size, most])
            count, last = cursor.fetchone()
        if count:
            self.found = last
        self.behind = count == most
        self.at("found")
