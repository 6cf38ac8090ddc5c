"""How many rows of the prediction log were handed over and how many written, in memory that outlives the process.

The file is mapped, so counting is a store into memory and needs no system call, and what was counted is in the kernel's
hands: `kill -9` leaves it as it was. Only a machine that goes down takes it along. Whoever holds the file's lock is
alive; a file that can be locked is that of a gateway that ended, and what it says was not written is lost.

A batch is committed at once, and counted a moment later. So that a kill between the two does not miscount, the file
says before each batch the id of one of its rows and what will have been written: whoever reads it looks for that row.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Two cells for the id of a row of the batch that is being written, both zero where there is none.
HEAD = 2
# Of each endpoint: its key, rows handed over, rows written, the milliseconds of the last of either, and how many rows
# will have been written when the batch is.
FIELDS = 6
PLACES = 4096
SUFFIX = ".tally"


@dataclass(frozen=True)
class Missing:
    """Rows of an endpoint that a gateway took and did not write; `since` and `until` in milliseconds since 1970."""

    endpoint: int
    rows: int
    since: int
    until: int


class Tally:
    """Counts of the endpoints of one process. Without a folder they live and end with it.

    The event loop alone counts what is handed over, the writing thread alone what is written: no lock is taken.
    Endpoints beyond `places` are not counted.
    """

    def __init__(self, folder: Path | None = None, places: int = PLACES) -> None:
        self.process = uuid.uuid4()
        self.places = places
        self.at: dict[int, int] = {}
        self.path = folder / f"{self.process}{SUFFIX}" if folder is not None else None
        self.file: int | None = None
        size = 8 * (HEAD + FIELDS * places)
        if folder is None:
            self.map = mmap.mmap(-1, size)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            # Under its name only when it is locked, so that nobody takes it for one that was left behind.
            new = folder / f"{self.process}.new"
            self.file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self.file, fcntl.LOCK_EX)
            os.truncate(self.file, size)
            self.map = mmap.mmap(self.file, size)
            new.rename(folder / f"{self.process}{SUFFIX}")
        self.cells = memoryview(self.map).cast("Q")

    def handed_over(self, endpoint: int, milliseconds: int) -> None:
        at = self.at.get(endpoint)
        if at is None:
            if len(self.at) == self.places:
                return
            at = HEAD + FIELDS * len(self.at)
            self.cells[at] = endpoint
            self.cells[at + 4] = milliseconds
            self.at[endpoint] = at
        cells = self.cells
        cells[at + 1] += 1
        cells[at + 3] = milliseconds

    def writing(self, row: str, endpoints: Iterable[int]) -> None:
        """A batch with this row is written next, all of it or nothing: of each of its rows the endpoint.

        The order of these lines is the point: a kill between any two leaves either no id or figures that fit it.
        """
        cells = self.cells
        cells[1] = 0
        if not row:
            return
        rows = Counter(endpoints)
        for endpoint, at in [*self.at.items()]:
            cells[at + 5] = cells[at + 2] + rows[endpoint]
        number = uuid.UUID(row).int
        cells[0] = number & (1 << 64) - 1
        cells[1] = number >> 64

    def written(self, endpoint: int, milliseconds: int) -> None:
        at = self.at.get(endpoint)
        if at is not None:
            self.cells[at + 2] += 1
            self.cells[at + 4] = milliseconds

    def missing(self, there: Callable[[uuid.UUID], bool]) -> list[Missing]:
        return list(missing_in(self.cells, there))

    def close(self, *, keep: bool) -> None:
        """`keep` leaves the file to the next gateway, which says what was not written."""
        self.cells.release()
        self.map.close()
        if self.file is not None and self.path is not None:
            if not keep:
                self.path.unlink(missing_ok=True)
            os.close(self.file)
            self.file = None


def missing_in(cells: memoryview, there: Callable[[uuid.UUID], bool]) -> Iterator[Missing]:
    committed = len(cells) >= HEAD and cells[1] and there(uuid.UUID(int=cells[1] << 64 | cells[0]))
    for at in range(HEAD, len(cells) - FIELDS + 1, FIELDS):
        endpoint, over, written, last, before, promised = cells[at : at + FIELDS]
        if not endpoint:
            return
        if committed:
            written = max(written, promised)
        if over > written:
            yield Missing(endpoint, over - written, before, last)


@contextlib.contextmanager
def left_behind(folder: Path, there: Callable[[uuid.UUID], bool]) -> Iterator[dict[uuid.UUID, list[Missing]]]:
    """What gateways that have ended did not write, by process; their files go when the block ends well.

    `there` says whether a row is in the log. They are locked meanwhile, so that of several gateways one tells it.
    """
    with contextlib.ExitStack() as held:
        found: dict[uuid.UUID, list[Missing]] = {}
        paths: list[Path] = []
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            with contextlib.suppress(OSError, ValueError):
                file = os.open(path, os.O_RDONLY)
                held.callback(os.close, file)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Removed by another one between the two?
                if os.fstat(file).st_nlink:
                    process, data = uuid.UUID(path.stem), path.read_bytes()
                    found[process] = list(missing_in(memoryview(data[: len(data) // 8 * 8]).cast("Q"), there))
                    paths.append(path)
        yield found
        for path in paths:
            path.unlink(missing_ok=True)
