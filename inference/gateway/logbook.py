"""The prediction log's side of the gateway: a bounded buffer, and a thread that empties it into the database.

`fast`: an answer leaves at once; its row is written within a quarter of a second, and is lost if the process is killed
before. When the buffer is full, rows are dropped. What was dropped, or left behind by a gateway that was killed, is
counted and said in the database. `strict`: an answer leaves when its row is committed; requests that wait together are
written together. What cannot be written is refused with 503 `log_unavailable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError, connection

from inference.gateway.entry import Entry
from inference.gateway.lease import PATIENCE
from inference.gateway.refused import Refused, unavailable
from inference.gateway.tally import Tally, left_behind

log = logging.getLogger("inference.gateway")
FLUSH_SECONDS = 0.25
RETRY_SECONDS = 0.5
STRICT_SECONDS = 5.0
PARTITIONS_SECONDS = 3600.0
# How often it looks for gateways that were killed, and says losses while rows go on being dropped.
LOSSES_SECONDS = 60.0
STATEMENT_MILLISECONDS = 5_000
BATCH_ROWS, BATCH_BYTES = 2_000, 8 * 1024**2
BUFFER_ROWS, BUFFER_BYTES = 50_000, 64 * 1024**2
DISK_FULL = "53100"
TROUBLES = {"disk_full": "the disk of the database is full", "database": "the database does not take it"}


class Logbook:
    """Requests append to `waiting`; only the thread takes from it.

    What is held is counted by two counters each, of which one thread alone raises one: no lock is taken for a request.
    """

    def __init__(self, rows: int = BUFFER_ROWS, size: int = BUFFER_BYTES) -> None:
        self.rows, self.size = rows, size
        self.waiting: deque[Entry] = deque()
        self.put_rows = self.put_bytes = self.done_rows = self.done_bytes = 0
        self.folder: Path | None = None
        self.tally = Tally()
        # Rows lost since the process began, by endpoint, and how many of them the database knows of.
        self.dropped: Counter[int] = Counter()
        self.unwritable: Counter[int] = Counter()
        self.reported: Counter[tuple[str, int]] = Counter()
        self.losing_since = 0
        self.dropping = self.alarmed = self.untold = False
        self.trouble = ""
        self.wake, self.stopping = threading.Event(), threading.Event()
        self.partitions_made = self.told = float("-inf")
        self.thread = threading.Thread(target=self.keep, name="logbook", daemon=True)

    def start(self, folder: Path) -> None:
        """Begin to write, and to count in a file of the folder."""
        self.folder, self.tally = folder, Tally(folder)
        self.thread.start()

    def stop(self) -> None:
        """Write what is there, as long as that takes no longer than the database's patience."""
        self.stopping.set()
        self.wake.set()
        if self.thread.is_alive():
            self.thread.join(timeout=5)

    def state(self) -> dict[str, Any]:
        """For /v2/health/ready: rows lost since the process began, rows that wait, and whether they can be written."""
        return {
            "dropped": sum([*self.dropped.values()]) + sum([*self.unwritable.values()]),
            "waiting": self.put_rows - self.done_rows,
            "writable": not self.trouble,
            "trouble": self.trouble or None,
        }

    def full(self) -> bool:
        return self.put_rows - self.done_rows >= self.rows or self.put_bytes - self.done_bytes >= self.size

    def check(self) -> None:
        """Whether a strict row could be written now. Raises Refused 503."""
        if self.trouble or self.full():
            raise log_unavailable(self.trouble)

    def put(self, entry: Entry) -> None:
        """Fast mode. Raises nothing: the answer does not wait for it."""
        assert entry.served is not None
        if entry.written is None:
            self.tally.handed_over(entry.served.pk, entry.milliseconds)
        if self.full():
            self.dropped[entry.served.pk] += 1
            self.losing_since = self.losing_since or entry.milliseconds
            if not self.dropping:
                self.dropping = True
                log.error("the prediction log's buffer is full: rows are dropped, see /v2/health/ready for how many")
            return
        self.put_rows += 1
        self.put_bytes += entry.size
        self.waiting.append(entry)

    async def put_and_wait(self, entry: Entry) -> None:
        """Strict mode. Raises Refused 503 where the row was not written; it may then be there or not."""
        self.check()
        entry.written = asyncio.get_running_loop().create_future()
        self.put(entry)
        self.wake.set()
        try:
            done = await asyncio.wait_for(entry.written, STRICT_SECONDS)
        except TimeoutError:
            done = False
        if not done:
            raise log_unavailable(self.trouble)

    def keep(self) -> None:
        options = connection.settings_dict["OPTIONS"]
        connection.settings_dict["OPTIONS"] = {**PATIENCE, **options}
        while not self.stopping.is_set():
            self.wake.wait(FLUSH_SECONDS)
            self.wake.clear()
            self.flush()
            if self.trouble:
                self.stopping.wait(RETRY_SECONDS)
        self.flush()
        self.told = float("-inf")
        self.tell_losses()
        connection.close()
        self.tally.close(keep=bool(self.trouble) or self.untold)

    def flush(self) -> None:
        """Write all that waits. While the database cannot be written, fast rows stay for later."""
        batch: list[Entry] = []
        try:
            self.prepare()
            while batch := self.taken():
                self.settle(batch, self.write(batch))
                batch = []
                if self.alarmed:
                    log.warning("the prediction log is written again")
                self.alarmed, self.trouble = False, ""
                self.room()
                self.prepare()
            self.trouble = ""
            self.room()
        except Exception as error:
            self.failed(error)
            self.put_off(batch)
        self.tell_losses()

    def room(self) -> None:
        """Dropping has ended where half of the buffer is free again."""
        rows, size = self.put_rows - self.done_rows, self.put_bytes - self.done_bytes
        if self.dropping and rows <= self.rows // 2 and size <= self.size // 2:
            self.dropping, self.told = False, float("-inf")
            log.warning("%d rows of the prediction log were dropped; now they are kept again", self.dropped.total())

    def failed(self, error: Exception) -> None:
        """Said once, until a row was written again."""
        cause = error.__cause__
        self.trouble = "disk_full" if getattr(cause, "pgcode", None) == DISK_FULL else "database"
        if not self.alarmed:
            log.error("the prediction log cannot be written: %s", type(error).__name__, exc_info=error)
        self.alarmed = True
        with contextlib.suppress(Exception):
            connection.close()

    def tell_losses(self) -> None:
        """Say in the database which rows are missing, these and those of gateways that have ended."""
        clock = time.monotonic()
        if self.trouble or clock - self.told < LOSSES_SECONDS:
            return
        self.told = clock
        try:
            self.tell_own()
            if self.folder is not None:
                tell_left_behind(self.folder)
            self.untold = False
        except Exception as error:
            self.untold = True
            log.error("that rows of the prediction log are missing cannot be said: %s", error, exc_info=error)
            with contextlib.suppress(Exception):
                connection.close()

    def tell_own(self) -> None:
        from inference.predictions.losses import tell_loss

        since, self.losing_since = self.losing_since, 0
        for why, lost in (("full", self.dropped), ("unwritable", self.unwritable)):
            for endpoint, rows in [*lost.items()]:
                if new := rows - self.reported[why, endpoint]:
                    tell_loss(endpoint, self.tally.process, why, new, since or now(), now())
                    self.reported[why, endpoint] = rows

    def taken(self) -> list[Entry]:
        """The next rows to write, as many as go at once. Whoever no longer waits for a row was refused."""
        batch: list[Entry] = []
        size = 0
        while self.waiting and len(batch) < BATCH_ROWS and size < BATCH_BYTES:
            entry = self.waiting.popleft()
            if entry.written is not None and entry.written.done():
                self.settle([entry], [False])
                continue
            batch.append(entry)
            size += entry.size
        return batch

    def put_off(self, batch: Sequence[Entry]) -> None:
        """Rows of the fast mode go back; whoever waits is refused now, and their rows are not tried again."""
        everything = [*batch, *(self.waiting.popleft() for _ in range(len(self.waiting)))]
        refused = [entry for entry in everything if entry.written is not None]
        self.waiting.extendleft(entry for entry in reversed(everything) if entry.written is None)
        self.settle(refused, [False] * len(refused))

    def prepare(self) -> None:
        """Reach the database before rows need it, and see that it has partitions for the days to come."""
        from inference.predictions.writing import make_partitions

        if connection.connection is None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(STATEMENT_MILLISECONDS)])
        if self.trouble or time.monotonic() - self.partitions_made >= PARTITIONS_SECONDS:
            make_partitions()
            self.partitions_made = time.monotonic()

    def write(self, batch: Sequence[Entry]) -> list[bool]:
        """Which rows are there now. Raises where the database is not."""
        from inference.predictions.writing import write, write_each

        rows = [entry.values() for entry in batch]
        endpoints = [entry.served.pk for entry in batch if entry.served is not None and entry.written is None]
        try:
            self.tally.writing(batch[-1].id, endpoints)
            write(rows)
            return [True] * len(rows)
        except (DataError, IntegrityError):
            # One of them cannot be written, or was written already when a connection was lost.
            self.tally.writing("", [])
            faults = write_each(rows)
        for entry, fault in zip(batch, faults, strict=True):
            if fault is not None:
                log.error("the row %s of the prediction log cannot be written: %s", entry.id, type(fault).__name__)
                if entry.written is None:
                    assert entry.served is not None
                    self.unwritable[entry.served.pk] += 1
                    self.losing_since = self.losing_since or entry.milliseconds
                self.partitions_made = float("-inf")
        return [fault is None for fault in faults]

    def settle(self, batch: Sequence[Entry], done: Sequence[bool]) -> None:
        """Count what left the buffer, and tell those that wait."""
        self.done_rows += len(batch)
        self.done_bytes += sum(entry.size for entry in batch)
        for entry, well in zip(batch, done, strict=True):
            if well and entry.written is None and entry.served is not None:
                self.tally.written(entry.served.pk, entry.milliseconds)
        told = [(entry.written, well) for entry, well in zip(batch, done, strict=True) if entry.written is not None]
        if told:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                told[0][0].get_loop().call_soon_threadsafe(tell, told)


def tell(told: Sequence[tuple[asyncio.Future[bool], bool]]) -> None:
    for waiter, well in told:
        if not waiter.done():
            waiter.set_result(well)


def tell_left_behind(folder: Path) -> None:
    """Of gateways that were killed."""
    from inference.predictions.losses import is_there, tell_left_behind

    with left_behind(folder, is_there) as found:
        for process, endpoints in found.items():
            for one in endpoints:
                if rows := tell_left_behind(one.endpoint, process, one.rows, one.since, one.until):
                    log.error("a gateway ended before it had written %d rows of the prediction log", rows)


def log_unavailable(trouble: str) -> Refused:
    why = TROUBLES.get(trouble, "too much waits for it")
    sentence = (
        "This endpoint answers only what is written down, and the prediction log cannot be written at the moment: "
        f"{why}. Try again in a moment."
    )
    return unavailable("log_unavailable", sentence)


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
