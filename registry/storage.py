"""Bytes by their SHA-256 on Django's default storage: streamed in, kept whole or not at all, checked on reading."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage, storages

from ledger.refusals import Refusal

CHUNK = 1 << 20
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
FULL = {errno.ENOSPC, errno.EDQUOT}
ABANDONED_SECONDS = 24 * 3600


class HasDigest(Protocol):
    """What is kept here: an Artifact, or anything with its digest and path."""

    digest: str

    @property
    def path(self) -> str: ...


@dataclass(frozen=True)
class Stored:
    """Bytes that are safely in the storage; `size` in bytes."""

    digest: str
    size: int

    @property
    def path(self) -> str:
        return path_of(self.digest)


def path_of(digest: str) -> str:
    """Name within the storage: `sha256/ab/cdef…`."""
    algorithm, _, hexadecimal = digest.partition(":")
    return f"{algorithm}/{hexadecimal[:2]}/{hexadecimal[2:]}"


def put(chunks: Iterable[bytes], *, limit: int, expected: str | None = None) -> Stored:
    """Store a stream of at most `limit` bytes. Storing the same bytes again is harmless, and heals damaged ones.

    Raises Refusal `too_large`, `digest_invalid`, `digest_mismatch` or `disk_full`; nothing is kept then.
    """
    if expected is not None and not DIGEST.match(expected):
        raise Refusal("digest_invalid", "A digest is “sha256:” and 64 lower-case hexadecimal digits.", "digest")
    with refusing_full_disks(), incoming() as file:
        stored = copied(chunks, file, limit)
        if expected is not None and stored.digest != expected:
            raise Refusal(
                "digest_mismatch",
                f"What arrived has the digest {stored.digest}, not {expected}. Something changed on the way; send the "
                "file again.",
                "digest",
            )
        keep(file, stored)
    return stored


def copied(chunks: Iterable[bytes], file: IO[bytes], limit: int) -> Stored:
    hashed, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        hashed.update(chunk)
        file.write(chunk)
    file.flush()
    os.fsync(file.fileno())
    return Stored(f"sha256:{hashed.hexdigest()}", size)


def too_large(limit: int) -> Refusal:
    return Refusal(
        "too_large",
        f"The file is larger than the {limit:,} bytes that are taken here. Send a smaller one, or ask the operator to "
        "raise MAX_UPLOAD_BYTES.",
    )


@contextmanager
def refusing_full_disks() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise Refusal(
            "disk_full", "There is no space left to store this. Nothing was kept; ask the operator to make room."
        ) from error


@contextmanager
def incoming() -> Iterator[IO[bytes]]:
    """A temporary file on the same disk as the store, gone afterwards unless it was moved into place."""
    folder = local_root()
    if folder is not None:
        folder = folder / "incoming"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_abandoned(folder)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what processes left that were killed while receiving."""
    for left in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                left.unlink()


def local_root() -> Path | None:
    """The folder of a storage on this machine's disk; None for one elsewhere (S3 and the like)."""
    storage = storages["default"]
    return Path(storage.location) if isinstance(storage, FileSystemStorage) else None


def keep(file: IO[bytes], stored: Stored) -> None:
    """Put a received file in its place in one step."""
    root = local_root()
    if root is None:
        keep_elsewhere(file, stored)
        return
    place = root / stored.path
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(file.name, 0o400)
    os.replace(file.name, place)
    for folder in (place.parent, place.parent.parent, root):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def keep_elsewhere(file: IO[bytes], stored: Stored) -> None:
    """A remote storage writes an object whole or not at all, but may choose another name for one that is there."""
    if default_storage.exists(stored.path):
        if default_storage.size(stored.path) == stored.size:
            return
        default_storage.delete(stored.path)
    file.seek(0)
    name = default_storage.save(stored.path, File(file))
    if name != stored.path:
        default_storage.delete(name)


def remove(artifact: HasDigest) -> None:
    """Remove an artifact's bytes for good; harmless where they are gone already."""
    default_storage.delete(artifact.path)


@contextmanager
def local(artifact: HasDigest, *, verify: bool = True) -> Iterator[Path]:
    """A path on this machine with the artifact's bytes, hashed first unless told not to.

    Raises Refusal `artifact_missing` or `artifact_damaged`.
    """
    root = local_root()
    if root is not None:
        place = root / artifact.path
        with opened(artifact) as file:
            if verify:
                check(file, artifact)
        yield place
        return
    with tempfile.NamedTemporaryFile() as copy, opened(artifact) as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            copy.write(chunk)
        copy.flush()
        copy.seek(0)
        check(copy, artifact)
        yield Path(copy.name)


@contextmanager
def opened(artifact: HasDigest) -> Iterator[IO[bytes]]:
    try:
        file = default_storage.open(artifact.path)
    except FileNotFoundError as error:
        raise Refusal(
            "artifact_missing",
            f"The file {artifact.digest} is no longer in the storage. Ask the operator to restore it, or upload "
            f"it again.",
        ) from error
    with file:
        yield file


def check(file: IO[bytes], artifact: HasDigest) -> None:
    """Raises Refusal `artifact_damaged` when the bytes are not those of the digest."""
    hashed = hashlib.sha256()
    for chunk in iter(lambda: file.read(CHUNK), b""):
        hashed.update(chunk)
    if f"sha256:{hashed.hexdigest()}" != artifact.digest:
        raise Refusal(
            "artifact_damaged",
            f"The stored file is not what was uploaded: it no longer has the digest {artifact.digest}. Ask the "
            f"operator "
            "to restore it, or upload it again.",
        )


def read(artifact: HasDigest) -> bytes:
    """All bytes of an artifact, checked. Raises Refusal `artifact_missing` or `artifact_damaged`."""
    with local(artifact) as path:
        return path.read_bytes()


def stream(artifact: HasDigest) -> Iterator[bytes]:
    """The artifact's bytes in pieces; the whole file is checked before this returns."""
    pieces = checked_pieces(artifact)
    next(pieces)
    return pieces


def checked_pieces(artifact: HasDigest) -> Iterator[bytes]:
    with local(artifact) as path, path.open("rb") as file:
        yield b""
        yield from iter(lambda: file.read(CHUNK), b"")
