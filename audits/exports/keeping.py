"""Files of exports on the default storage, under `exports/`: written aside, kept whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.utils import timezone

from ledger.refusals import Refusal

FOLDER = "exports"
ASIDE = "incoming"
CHUNK = 1 << 20
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
ABANDONED = timedelta(days=1)


@contextmanager
def aside(of: str = "export") -> Iterator[Path]:
    """A folder for unfinished files on the storage's own disk, gone afterwards. Raises Refusal `disk_full`.

    What a process that was killed left there goes after a day; where `of` names whose file it is, as soon as the next
    attempt at that one begins.
    """
    top = place_aside()
    if top is not None:
        top.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_abandoned()
    if of != "export":
        for left in (top or Path(tempfile.gettempdir())).glob(f"{of}-*"):
            shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(dir=top, prefix=f"{of}-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in FULL:
            raise
        sentence = "There is no room for the file. Ask for a shorter time, or tell whoever runs the portal."
        raise Refusal("disk_full", sentence) from error


def place_aside() -> Path | None:
    """Where unfinished files are, for a storage on this machine's disk; None for one elsewhere."""
    storage = storages["default"]
    return Path(storage.location) / FOLDER / ASIDE if isinstance(storage, FileSystemStorage) else None


def remove_abandoned() -> None:
    """Remove what processes left that were killed while writing."""
    top = place_aside()
    for left in top.glob("*") if top else ():
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - ABANDONED.total_seconds():
                shutil.rmtree(left, ignore_errors=True)


class Moved(File):  # type: ignore[type-arg]
    """A finished file that a storage on the same disk takes over without copying it."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file, name=path.name)
        self.path = path

    def temporary_file_path(self) -> str:
        return str(self.path)


def keep(path: Path, name: str, folder: str = FOLDER) -> tuple[str, str, int]:
    """Put a finished file into the storage: its name there, its digest and its size in bytes."""
    digest = digest_of(path)
    size = path.stat().st_size
    path.chmod(0o400)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return default_storage.save(f"{folder}/{name}", Moved(file, path)), digest, size


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def opened(name: str, digest: str, again: str = "Ask for the export again; the log still has it all.") -> IO[bytes]:
    """The file, at its start, after its bytes were checked. Raises Refusal `export_missing` or `export_damaged`."""
    try:
        file: Any = default_storage.open(name)
    except FileNotFoundError as error:
        raise Refusal("export_missing", f"The file is no longer in the storage. {again}") from error
    whole = hashlib.sha256()
    for chunk in iter(lambda: file.read(CHUNK), b""):
        whole.update(chunk)
    if f"sha256:{whole.hexdigest()}" != digest:
        file.close()
        sentence = f"The stored file is not the one that was written: its digest is another. {again}"
        raise Refusal("export_damaged", sentence)
    file.seek(0)
    return file  # type: ignore[no-any-return]


def remove(name: str) -> None:
    default_storage.delete(name)


def strays(known: set[str], folder: str = FOLDER) -> list[str]:
    """Names of files that nothing has, a day after they were written: their worker was ended in between."""
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    old = timezone.now() - ABANDONED
    paths = [f"{folder}/{name}" for name in names]
    return [path for path in paths if path not in known and default_storage.get_modified_time(path) < old]
