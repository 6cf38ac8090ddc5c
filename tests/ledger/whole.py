"""What must be true of a log however often its sequencer was interrupted, and the hands that interrupt it."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
from django.conf import settings
from django.db import connection, transaction
from psycopg2.extras import execute_values

from audits.exports.making import Tally, write_bundle
from audits.exports.rows import head_of
from ledger import merkle
from ledger.actors import SystemActor
from ledger.canonical import uuid7
from ledger.events import append, compose
from ledger.keys import portal_key
from ledger.notes import open_checkpoint
from ledger.sequencer import Sequencer
from ledger.sequencer.lead import try_lead
from ledger.sequencer.loop import run as run_loop
from ledger.tiles import TileStore, folder_of, needed
from tests.client.logs import run
from tests.sealing import connect, log_key

WRITER = SystemActor("writer")
BULK = (
    "WITH new (id, bytes, time) AS (VALUES %s), event AS (INSERT INTO ledger_event (id, bytes, time, actor_kind,"
    " actor_id, event, object_type, object_id, outcome) SELECT id::uuid, bytes, time, 'system', 'writer',"
    " 'bulk.written', '', '', 'done' FROM new) INSERT INTO ledger_pending (event_id) SELECT id::uuid FROM new"
)
LEAVES = (
    "SELECT l.event_id::text, l.index, l.hash, e.bytes FROM ledger_leaf l LEFT JOIN ledger_event e ON e.id = l.event_id"
    " ORDER BY l.index"
)


class Killed(BaseException):
    """Ends a sequencer where it stands, as no handler of errors expects it."""


def acts(count: int, name: str = "test.written", **facts: Any) -> list[str]:
    """So many events in one transaction. Returns their ids."""
    with transaction.atomic(durable=True):
        return [str(append(name, by=WRITER, on=None, team=None, facts={"n": n, **facts}).pk) for n in range(count)]


def many(count: int) -> list[str]:
    """The same for thousands, by one statement."""
    if not count:
        return []
    row, _, _ = compose("bulk.written", by=WRITER, on=None, team=None, facts={})
    ids = [str(uuid7(row.time, secrets.token_bytes(8))) for _ in range(count)]
    rows = [(one, bytes(row.bytes).replace(str(row.pk).encode(), one.encode()), row.time) for one in ids]
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        execute_values(cursor.cursor, BULK, rows, page_size=1000)
    return ids


def rows(statement: str, *arguments: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        found: list[Any] = cursor.fetchall()
    return found


class Log:
    """The log of a test's own database, in the folder of its `seal`."""

    def __init__(self, database: str, root: Path, origin: str = "") -> None:
        self.database, self.root, self.origin = database, root, origin or settings.LOG_ORIGIN
        self.folder = folder_of(root, self.origin)

    # Interrupting

    def sequencer(self, at: Callable[[str], None] = lambda step: None, seconds: float = 20) -> Sequencer:
        """A fresh one on a connection of its own, as soon as it leads."""
        opened, until = connect(self.database), time.monotonic() + seconds
        while not try_lead(opened):
            assert time.monotonic() < until, "another still leads"
            time.sleep(0.005)
        return Sequencer(opened, self.root, [log_key(self.origin)], self.origin, fsync=False, at=at)

    @contextlib.contextmanager
    def leading(self, at: Callable[[str], None] = lambda step: None) -> Iterator[Sequencer]:
        sequencer = self.sequencer(at)
        try:
            yield sequencer
        finally:
            sequencer.connection.close()

    def seal(self) -> Any:
        """A fresh sequencer seals all that is pending and finds it. The newest tree of this call."""
        newest = None
        with self.leading() as sequencer:
            while sealed := sequencer.sequence_once():
                newest = sealed
            while sequencer.behind:
                sequencer.sequence_once()
        return newest

    def dies(self, step: str, meanwhile: Callable[[], Any] | None = None) -> bool:
        """A sequencer works and is killed at this step: its connection is gone, and no line of it runs after.

        With something to do `meanwhile` it has resumed before that is done, and is killed after. Whether it was.
        """

        def at(here: str) -> None:
            if here == step and armed:
                sequencer.connection.close()
                raise Killed(step)

        armed: list[bool] = []
        sequencer = self.sequencer(at)
        if meanwhile:
            while sequencer.sequence_once() or sequencer.behind:
                continue
            meanwhile()
        armed.append(True)
        try:
            while sequencer.sequence_once() or sequencer.behind:
                continue
        except Killed:
            return True
        sequencer.connection.close()
        return False

    # Looking

    def pledged(self) -> int:
        """Size of the promised tree; where the promise is lost, the published file stands for it."""
        path = self.folder / "pledge.json"
        return int(json.loads(path.read_bytes())["size"]) if path.exists() else self.shown()

    def shown(self) -> int:
        """Size of the published file, 0 without one."""
        path = self.folder / "checkpoint"
        return int(path.read_bytes().split(b"\n")[1]) if path.exists() else 0

    def kept(self) -> dict[str, bytes]:
        """What must not change by another hand: rows of the tree, the promise, and the published file."""
        tables = {}
        for table in ("ledger_leaf", "ledger_treehead", "ledger_checkpoint", "ledger_pending", "ledger_key"):
            digest = f"SELECT count(*), md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {table} t"  # noqa: S608
            tables[table] = repr(rows(digest)).encode()
        files = {name: (self.folder / name).read_bytes() for name in ("pledge.json", "checkpoint")}
        return tables | files

    def is_sound(self, *, tiles: bool = True) -> None:
        """True at every moment: each event waits or has one place, and what is signed and promised is of one tree.

        Without `tiles` files may be missing from the folder.
        """
        found = rows(LEAVES)
        assert [index for _, index, _, _ in found] == list(range(len(found))), "no gap and no place given twice"
        placed, waiting = (
            [one[0] for one in found],
            [str(one) for (one,) in rows("SELECT event_id FROM ledger_pending")],
        )
        events = [str(one) for (one,) in rows("SELECT id FROM ledger_event")]
        assert Counter(placed) + Counter(waiting) == Counter(events), "each event waits, or has one place"
        roots, frontier = {0: merkle.EMPTY_ROOT}, merkle.Frontier()
        heads = {size: bytes(root) for size, root in rows("SELECT size, root FROM ledger_treehead")}
        for event, index, digest, raw in found:
            assert merkle.leaf_hash(bytes(raw)) == bytes(digest), f"the leaf of {event} is of its bytes"
            frontier.append(bytes(digest))
            if index + 1 in heads:
                roots[index + 1] = frontier.root()
        assert heads == {size: root for size, root in roots.items() if size}, "each tree is the beginning of the next"
        assert max(heads, default=0) == len(found), "places are committed together with the root over them"
        sizes = self._signed(roots)
        assert self.shown() <= self.pledged() <= len(found), "nothing is shown unpromised, or promised uncommitted"
        assert self.shown() <= max(sizes, default=0) <= self.pledged(), "nothing is signed that was not promised"
        for tile in needed(self.shown() if tiles else 0):
            assert TileStore(self.folder).has(tile), f"{tile.path} is in the folder before a checkpoint needs it"

    def is_sound_after_a_kill(self) -> None:
        """The same, once the server has noticed that the sequencer is gone."""
        self.sequencer().connection.close()
        self.is_sound()

    def _signed(self, roots: dict[int, bytes]) -> list[int]:
        """Sizes of the published checkpoints of this log, each of a tree that was committed."""
        sizes = []
        for size, note in rows("SELECT size, note FROM ledger_checkpoint WHERE origin = %s", self.origin):
            checkpoint, _ = open_checkpoint(bytes(note), [log_key(self.origin).verifier], self.origin)
            assert (checkpoint.size, checkpoint.root) == (size, roots[size]), "a checkpoint is of a committed tree"
            sizes.append(size)
        return sizes

    def is_whole(self) -> None:
        """True once all is sealed: nothing waits, the newest tree is signed and shown, and search finds all of it."""
        self.is_sound()
        ((size,),) = rows("SELECT count(*) FROM ledger_event")
        ((newest,),) = rows("SELECT max(size) FROM ledger_checkpoint WHERE origin = %s", self.origin)
        assert (newest, self.shown(), self.pledged()) == (size, size, size)
        assert rows("SELECT count(*) FROM ledger_search") == [(size,)]

    def is_verified(self, folder: Path) -> None:
        """A bundle made now, judged by the stand-alone verifier."""
        path = folder / f"log-{time.monotonic_ns()}.zip"
        with connection.cursor() as cursor:
            write_bundle(path, cursor.cursor, head_of(cursor.cursor, self.origin), Tally(), lambda percent, phase: None)
        keys = ("--key", log_key(self.origin).vkey, "--key", portal_key().vkey)
        verdict = run(path, "--json", "--processes", 1, *keys)
        path.unlink()
        assert verdict.code == 0, verdict.out + verdict.err
        assert verdict.attacks == []


def terminate(sequencer: Sequencer, administrator: Any) -> None:
    """The server ends this sequencer's session, as it does with one that is silent for too long."""
    pid = sequencer.connection.get_backend_pid()
    with administrator.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        assert cursor.fetchone() == (True,)


@contextlib.contextmanager
def administrating(url: str) -> Iterator[Any]:
    opened = psycopg2.connect(url)
    opened.autocommit = True
    try:
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def looping(log: Log, at: Any = lambda step: None, idle: str = "30s") -> Iterator[threading.Event]:
    """The loop in a thread, until the event it yields is set or the block ends."""

    def make(connection: Any) -> Sequencer:
        return Sequencer(connection, log.root, [log_key(log.origin)], log.origin, fsync=False, at=at)

    stop = threading.Event()
    thread = threading.Thread(target=run_loop, args=(lambda: connect(log.database), make, stop), kwargs={"idle": idle})
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


def sealed(log: Log) -> bool:
    """Whether nothing waits any more: the newest act is under a checkpoint that is shown."""
    ((events,),) = rows("SELECT count(*) FROM ledger_event")
    return bool(log.shown() == events)
