"""The right edge of the tree: what is needed to let it grow, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.merkle import (
    ENTRIES,
    HASH,
    HEIGHT,
    WIDTH,
    Frontier,
    Tile,
    encode_entries,
    grow,
    leaf_hash,
    tile_width,
    tiled,
)
from ledger.tiles import from_database

BYTES = (
    "SELECT e.bytes FROM ledger_leaf l LEFT JOIN ledger_event e ON e.id = l.event_id"
    " WHERE l.index >= %s AND l.index < %s ORDER BY l.index"
)


def entries_of(cursor: Any, tile: Tile) -> list[bytes]:
    """The bytes of a bundle's events; b"" for one that is missing."""
    first = tile.number * WIDTH
    cursor.execute(BYTES, [first, first + tile.width])
    return [bytes(raw or b"") for (raw,) in cursor.fetchall()]


@dataclass(frozen=True)
class Growth:
    """What a tree of another size has beyond the one it grew from."""

    tree: Tree
    files: list[tuple[Tile, bytes]]
    leaves: list[bytes]
    hashes: list[tuple[int, int, bytes]]
    """(level, index, hash) in tiles above the leaves."""


@dataclass(frozen=True)
class Tree:
    """A tree of `size` by its partial tiles, a level each, and the entries of its partial bundle."""

    size: int = 0
    edges: dict[int, bytes] = field(default_factory=dict)
    entries: list[bytes] = field(default_factory=list)

    @classmethod
    def load(cls, cursor: Any, size: int, entries: Callable[[Any, Tile], list[bytes]] = entries_of) -> Tree:
        """From the database's rows, with what `entries` gives of a bundle. Raises ValueError where rows are missing."""
        read, edges, level = from_database(cursor), {}, 0
        while size >> HEIGHT * level:
            number = (size >> HEIGHT * level) // WIDTH
            if width := tile_width(level, number, size):
                edges[level] = read(Tile(level, number, width))
                if len(edges[level]) != width * HASH:
                    raise ValueError(f"tile {number} at level {level} has no more than {len(edges[level])} bytes")
            level += 1
        width = size % WIDTH
        return cls(size, edges, entries(cursor, Tile(ENTRIES, size // WIDTH, width)) if width else [])

    def root(self) -> bytes:
        return Frontier.of(self.size, tiled(self.size, self._edge)).root()

    def _edge(self, tile: Tile) -> bytes:
        return self.edges[tile.level]

    def grown(self, entries: Sequence[bytes]) -> Growth:
        """This tree with more entries."""
        leaves = [leaf_hash(entry) for entry in entries]
        files, edges, hashes = [], dict(self.edges), []
        for tile, data in grow(self.size, leaves, self._edge):
            files.append((tile, data))
            edges[tile.level] = data if tile.width < WIDTH else b""
            if tile.level:
                hashes += list(self._added(tile, data))
        together = [*self.entries, *entries]
        first = self.size // WIDTH
        for number, at in enumerate(range(0, len(together), WIDTH), first):
            part = together[at : at + WIDTH]
            files.append((Tile(ENTRIES, number, len(part)), encode_entries(part)))
        size = self.size + len(entries)
        tree = Tree(size, edges, together[size // WIDTH * WIDTH - first * WIDTH :])
        return Growth(tree, files, leaves, hashes)

    def _added(self, tile: Tile, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        had = self.size >> HEIGHT * tile.level
        for index in range(max(had, tile.number * WIDTH), tile.number * WIDTH + tile.width):
            at = (index - tile.number * WIDTH) * HASH
            yield tile.level, index, data[at : at + HASH]
