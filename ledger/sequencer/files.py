"""Tiles and bundles that the folder lacks, made from the database's rows and checked against the tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger.merkle import (
    ENTRIES,
    MAX_ENTRY,
    WIDTH,
    Tile,
    bundles_for,
    decode_entries,
    encode_entries,
    leaf_hash,
    tiles_for,
)
from ledger.sequencer.tree import entries_of
from ledger.tiles import TileStore, from_database, needed


def missing(connection: Any, store: TileStore, published: int, size: int) -> Iterator[tuple[Tile, bytes]]:
    """What the folder lacks of a tree of `size`, of which `published` are sealed; its edge is compared by content."""
    fresh = {*tiles_for(published, size), *bundles_for(published, size)}
    with connection.cursor() as cursor:
        for tile in needed(size):
            if tile in fresh or tile.width < WIDTH or not store.has(tile):
                data = rebuilt(cursor, store, tile)
                if tile in fresh or on_disk(store, tile) != data:
                    yield tile, data


def on_disk(store: TileStore, tile: Tile) -> bytes:
    """Bytes of the file; none where it cannot be read or cut."""
    try:
        return store.read(tile)
    except (OSError, ValueError):
        return b""


def rebuilt(cursor: Any, store: TileStore, tile: Tile) -> bytes:
    """A tile or bundle from the rows; of an event that was altered or taken out, the entry that the folder kept."""
    if tile.level == ENTRIES:
        return encode_entries(kept_entries(cursor, store, tile))
    return from_database(cursor)(tile)


def kept_entries(cursor: Any, store: TileStore, tile: Tile) -> list[bytes]:
    """The entries of a bundle: an event's bytes, or where they are not those of its leaf, what the folder kept."""
    entries = entries_of(cursor, tile)
    leaves = from_database(cursor)(Tile(0, tile.number, tile.width))
    wrong = [at for at, entry in enumerate(entries) if leaf_hash(entry) != leaves[at * 32 : at * 32 + 32]]
    if wrong:
        try:
            kept = decode_entries(on_disk(store, tile))
        except ValueError:
            kept = []
        for at in wrong:
            # What is nowhere as it was stays as it is, if a bundle can hold it, so that every other keeps its place.
            entries[at] = kept[at] if at < len(kept) else entries[at] if len(entries[at]) <= MAX_ENTRY else b""
    return entries
