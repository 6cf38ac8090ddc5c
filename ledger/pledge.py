"""What the sequencer has promised, kept outside the database: the newest tree it has signed or is about to sign.

A database that was put back to an older state, or whose history was replaced, no longer keeps the promise; then
nothing more is signed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.notes import parse_checkpoint, split_note
from ledger.tiles import write_aside

PATIENCE = 5.0  # seconds to wait for another process that holds the file


class PledgeBroken(Exception):
    """The database does not hold the tree that was promised. The text says how to proceed."""


class PledgeHeld(Exception):
    """Another process holds the file, and does not let go."""


@dataclass(frozen=True)
class Head:
    """Size and root of a tree."""

    size: int
    root: bytes


HOW = (
    "Nothing is signed. Restore a newer backup of the database; or, if what was lost stays lost, start a new log by "
    "giving LOG_ORIGIN, and the name of its key, a new name: it seals all that is there under that name, and the old "
    "checkpoints remain as evidence."
)


class Pledge:
    """The file `pledge.json` in the folder of one log."""

    def __init__(self, folder: Path, origin: str, *, fsync: bool = True) -> None:
        self.path, self.origin, self.fsync = folder / "pledge.json", origin, fsync

    def read(self) -> Head | None:
        """What was promised; None before the first promise. Raises PledgeBroken for a file that is damaged.

        Where the file was lost, the published checkpoint beside it says the same.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return self._published()
        try:
            found = json.loads(text)
            head = Head(found["size"], bytes.fromhex(found["root"]))
            if found["origin"] != self.origin or type(head.size) is not int or head.size < 0 or len(head.root) != 32:
                raise ValueError
        except (ValueError, KeyError, TypeError) as error:
            raise PledgeBroken(
                f"{self.path} is damaged. Nothing is signed. Put it back from a backup; or remove it after comparing "
                "the newest anchored checkpoint with the database by `countersign-verify`."
            ) from error
        return head

    def _published(self) -> Head | None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            body, _ = split_note((self.path.parent / "checkpoint").read_bytes())
            checkpoint = parse_checkpoint(body)
            return Head(checkpoint.size, checkpoint.root)
        return None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else reads and replaces the file meanwhile. Raises PledgeHeld."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.parent / ".pledge.lock").open("w") as lock:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > until:
                        raise PledgeHeld(
                            f"Another process holds {self.path} and does not let go; it may be paused. End it."
                        ) from error
                time.sleep(0.01)
            yield

    def check(self, size: int, root_at: Callable[[int], bytes]) -> Head | None:
        """The promise, if a tree of `size` with these roots keeps it. Raises PledgeBroken."""
        promised = self.read()
        if promised is None:
            return None
        if promised.size > size:
            raise PledgeBroken(
                f"A tree of {promised.size} entries was promised and the database holds {size}: it was put back to an "
                f"older state. {HOW}"
            )
        if root_at(promised.size) != promised.root:
            raise PledgeBroken(
                f"The first {promised.size} entries in the database are not those that were promised: its history was "
                f"replaced. {HOW}"
            )
        return promised

    def advance(self, head: Head, root_at: Callable[[int], bytes]) -> None:
        """Promise this tree, durably. Raises PledgeBroken where an earlier promise does not allow it, or PledgeHeld."""
        with self.held():
            if self.check(head.size, root_at) == head:
                return
            body = {"origin": self.origin, "root": head.root.hex(), "size": head.size}
            write_aside(self.path, json.dumps(body).encode() + b"\n", fsync=self.fsync)
