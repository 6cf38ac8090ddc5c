"""A folder, best on another machine's disk: `<origin hash>/<size>` holds the note."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ledger.anchors.targets import Failed, Known, NeedsProof, Published, Receipt, Target
from ledger.merkle import verify_consistency
from ledger.notes import parse_checkpoint, split_note


@dataclass(frozen=True, kw_only=True)
class Folder(Target):
    kind: ClassVar[str] = "folder"

    path: Path

    @property
    def place(self) -> str:
        return str(self.path)

    def take(self, what: Published, known: Known) -> Receipt:
        """Atomically and durably; never overwrites. Raises Failed, and NeedsProof from the size before.

        The folder itself is not made: where a disk is not mounted, its empty place must not be filled instead.
        """
        file = self.path / what.folder / str(what.size)
        try:
            os.stat(self.path)
            file.parent.mkdir(exist_ok=True)
            sync(self.path)
            if not same(file, what.note):
                continues(file.parent, what, known)
                place(file, what.note)
        except FileNotFoundError as error:
            raise Failed("folder_missing", f"{self.path} is not there. Create it, or mount its disk.") from error
        except OSError as error:
            raise self.explain(error) from error
        content = {"file": str(file), "sha256": f"sha256:{what.digest}"}
        return Receipt(str(file), json.dumps(content).encode())

    def explain(self, error: OSError) -> Failed:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            sentence = (
                f"{self.path} cannot be written. Let the worker's account write there, on a disk with hard links."
            )
            return Failed("not_writable", sentence)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Failed("disk_full", f"The disk of {self.path} is full. Make room; nothing was half-written.")
        return Failed("not_writable", f"{self.path} cannot be written ({error.strerror}). Look after its disk.")


def same(file: Path, note: bytes) -> bool:
    """Whether the file holds this note; False where there is none. Raises Failed where it holds another."""
    try:
        kept = file.read_bytes()
    except FileNotFoundError:
        return False
    if kept != note:
        raise Failed(
            "other_checkpoint",
            f"{file} already holds another checkpoint of this size. One of the two is from a forked or restored log: "
            "keep both, and find out which.",
        )
    return True


def continues(folder: Path, what: Published, known: Known) -> None:
    """See that the log only grew since the checkpoint before, as a witness does. Raises Failed, NeedsProof."""
    sizes = [int(one.name) for one in os.scandir(folder) if one.name.isascii() and one.name.isdigit()]
    newest = max(sizes, default=0)
    if newest > what.size:
        raise Failed(
            "ahead",
            f"{folder} holds a checkpoint of {newest} entries and this one has {what.size}. If this lasts, the log was "
            "put back to an older state.",
        )
    if newest in (0, what.size):
        return  # the very first, or one that came this moment: to give it its name will fail
    if newest not in known.proofs:
        raise NeedsProof(newest)
    try:
        before, now = (
            parse_checkpoint(split_note(note)[0]) for note in ((folder / str(newest)).read_bytes(), what.note)
        )
        grew = (before.origin, before.size) == (what.origin, newest) and verify_consistency(
            newest, what.size, before.root, now.root, known.proofs[newest]
        )
    except ValueError:
        grew = False
    if not grew:
        raise Failed(
            "other_checkpoint",
            f"{folder / str(newest)} holds a checkpoint that this log does not continue. One of the two is from a "
            "forked or restored log: keep both, and find out which.",
        )


def place(file: Path, note: bytes) -> None:
    """Write beside, make durable, then give it its name, which fails where the name is taken by somebody else."""
    beside = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with os.fdopen(handle, "wb") as writer:
            writer.write(note)
            writer.flush()
            os.fsync(writer.fileno())
        try:
            os.link(beside, file)
        except FileExistsError:
            same(file, note)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
    sync(file.parent)


def sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
