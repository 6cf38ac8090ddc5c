"""Tiles of hashes and bundles of entries (c2sp.org/tlog-tiles): as files in a folder, or from the database's rows."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.merkle import ENTRIES, HASH, WIDTH, Tile, decode_entries, encode_entries, tile_path

LEAVES = "SELECT hash FROM ledger_leaf WHERE index >= %s AND index < %s ORDER BY index"
ROOTS = "SELECT hash FROM ledger_tile WHERE level = %s AND index >= %s AND index < %s ORDER BY index"


def folder_of(root: Path | str, origin: str) -> Path:
    """Where the files of the log of this name are."""
    return Path(root) / sha256(origin.encode()).hexdigest()[:16]


def from_database(cursor: Any) -> Callable[[Tile], bytes]:
    """Reads a tile's hashes from their rows; fewer bytes than asked for where rows are missing. OperationalError."""

    def read(tile: Tile) -> bytes:
        first = tile.number * WIDTH
        if tile.level:
            cursor.execute(ROOTS, [tile.level, first, first + tile.width])
        else:
            cursor.execute(LEAVES, [first, first + tile.width])
        return b"".join(bytes(row) for (row,) in cursor.fetchall())

    return read


class TileStore:
    """The folder of one log. A file is written aside and renamed, so that no reader ever sees half of one.

    Every method may raise OSError. Nothing is durable before `settle`.
    """

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self.folder, self.fsync = folder, fsync
        self.changed: set[Path] = set()
        self.full: list[Tile] = []

    def read(self, tile: Tile) -> bytes:
        """Bytes of a tile or bundle; a partial one may come from the full one that took its place.

        Raises FileNotFoundError, and ValueError for a bundle that cannot be cut.
        """
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / tile.path).read_bytes()
        data = (self.folder / tile_path(tile.level, tile.number)).read_bytes()
        if tile.level == ENTRIES:
            return encode_entries(decode_entries(data)[: tile.width])
        return data[: tile.width * HASH]

    def has(self, tile: Tile) -> bool:
        """Whether the file is there, and of the right length where that is known beforehand."""
        for width in {tile.width, WIDTH}:
            with contextlib.suppress(FileNotFoundError):
                size = (self.folder / tile_path(tile.level, tile.number, width)).stat().st_size
                if tile.level == ENTRIES or size == width * HASH:
                    return True
        return False

    def write(self, tile: Tile, data: bytes) -> None:
        write_aside(self.folder / tile.path, data, fsync=self.fsync, made=self.changed)
        if tile.width == WIDTH:
            self.full.append(tile)

    def settle(self) -> None:
        """Make all that was written durable, then remove the partial tiles that full ones have replaced."""
        if self.fsync:
            for folder in self.changed:
                sync_folder(folder)
        self.changed.clear()
        for tile in self.full:
            path = self.folder / tile.path
            shutil.rmtree(path.with_name(path.name + ".p"), ignore_errors=True)
        self.full.clear()


def write_aside(path: Path, data: bytes, *, fsync: bool, made: set[Path] | None = None) -> None:
    """Replace a file in one step. The caller makes the folders in `made` durable; without it that is done here."""
    folders = {path.parent} if made is None else made
    _make(path.parent, folders)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            if fsync:
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    folders.add(path.parent)
    if made is None and fsync:
        for folder in folders:
            sync_folder(folder)


def _make(folder: Path, made: set[Path]) -> None:
    """Like mkdir(parents=True), noting the folders that have changed."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    except FileNotFoundError:
        _make(folder.parent, made)
        folder.mkdir(exist_ok=True)
    made.add(folder.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def needed(size: int) -> Iterator[Tile]:
    """Every tile and bundle of a tree of `size`."""
    level, width = 0, size
    while width:
        for number in range(-(-width // WIDTH)):
            yield Tile(level, number, min(WIDTH, width - number * WIDTH))
        if level == 0:
            for number in range(-(-width // WIDTH)):
                yield Tile(ENTRIES, number, min(WIDTH, width - number * WIDTH))
        level, width = level + 1, width // WIDTH
