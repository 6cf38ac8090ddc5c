"""Merkle tree of RFC 6962 over SHA-256, stored as tiles of height 8 (c2sp.org/tlog-tiles).

Hashes are 32 bytes. A complete subtree is named by (level, index): it spans the entries from index * 2**level up to
(index + 1) * 2**level. Where a size, index or hash cannot be, ValueError says so; a proof that proves nothing is False.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH = 32
HEIGHT = 8
WIDTH = 1 << HEIGHT
TILE_BYTES = WIDTH * HASH
ENTRIES = -1  # in place of a tile's level: the bundle of entries beside the tile of level 0
MAX_ENTRY = 65_535
TOP_LEVEL = 63

Subtree = Callable[[int, int], bytes]
"""(level, index) → hash of that complete subtree."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = sha256(b"").digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """Root of the tree over these leaf hashes."""
    return Frontier().extend(hashes).root()


class Frontier:
    """Compact range from entry 0: the roots of the complete subtrees that make up a tree, widest first."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if size < 0 or len(self.hashes) != size.bit_count():
            raise ValueError(f"a tree of {size} entries is not made of {len(self.hashes)} complete subtrees")

    @classmethod
    def of(cls, size: int, subtree: Subtree) -> Frontier:
        """The frontier of a tree that is stored, for example as tiles: `Frontier.of(size, tiled(size, read))`."""
        return cls(size, [subtree(level, (size >> level) - 1) for level in _bits(size)])

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        if len(leaf) != HASH:
            raise ValueError(f"a leaf hash has {HASH} bytes, not {len(leaf)}")
        size = self.size
        while size & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            size >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        for leaf in leaves:
            self.append(leaf)
        return self

    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY_ROOT
        result = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            result = node_hash(left, result)
        return result


def _bits(size: int) -> list[int]:
    """Levels of the complete subtrees of a tree, the widest first."""
    return [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]


# Proofs


def _split(width: int) -> int:
    """The largest power of two below a width of at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def range_hash(first: int, last: int, subtree: Subtree) -> bytes:
    """MTH(D[first:last]) of RFC 6962, for a range that its proofs use: an aligned one, or the right end of a tree."""
    width = last - first
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return subtree(level, first >> level)
    split = first + _split(width)
    return node_hash(range_hash(first, split, subtree), range_hash(split, last, subtree))


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Audit path of entry `index` in the tree of `size` (RFC 6962, section 2.1.1), from the leaf upwards."""
    _check_index(index, size)
    path, first, last = [], 0, size
    while last - first > 1:
        split = first + _split(last - first)
        if index < split:
            path.append(range_hash(split, last, subtree))
            last = split
        else:
            path.append(range_hash(first, split, subtree))
            first = split
    return path[::-1]


def consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Proof that the tree of `new` entries begins with that of `old` (RFC 6962, section 2.1.2); none needed from 0."""
    _check_sizes(old, new)
    path: list[bytes] = []
    if old == 0:
        return path
    first, last = 0, new
    while old != last:
        split = first + _split(last - first)
        if old <= split:
            path.append(range_hash(split, last, subtree))
            last = split
        else:
            path.append(range_hash(first, split, subtree))
            first = split
    if first:
        path.append(range_hash(first, last, subtree))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], tree: bytes) -> bool:
    """Whether `path` leads from the leaf hash at `index` to the root `tree` of `size` entries (RFC 9162, 2.1.3.2)."""
    _check_index(index, size)
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1:  # a node at the right end has no sibling until it is a right child
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == tree


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` shows that the tree of `new` entries begins with that of `old` (RFC 9162, 2.1.4.2)."""
    _check_sizes(old, new)
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    hashes = list(path)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not node & 1:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} entries has no entry {index}")


def _check_sizes(old: int, new: int) -> None:
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} entries cannot contain one of {old}")


# Tiles


class Tile(NamedTuple):
    """`width` hashes (1 to 256) at a level of tiles, beginning with hash `number * 256` of that level."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        return tile_path(self.level, self.number, self.width)


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """`tile/0/x001/x234/067`, with `.p/<width>` after a partial tile; level ENTRIES names an entry bundle."""
    if not ENTRIES <= level <= TOP_LEVEL or number < 0 or not 1 <= width <= WIDTH:
        raise ValueError(f"there is no tile {number} of width {width} at level {level}")
    last = f"{number % 1000:03d}"
    while number := number // 1000:
        last = f"x{number % 1000:03d}/{last}"
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{'entries' if level == ENTRIES else level}/{last}{partial}"


_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?", re.ASCII)


def parse_tile_path(path: str) -> Tile:
    """The tile with exactly this path. Raises ValueError for any other text, also for another spelling of the same."""
    match = _PATH.fullmatch(path)
    if match:
        level = ENTRIES if match[1] == "entries" else int(match[1])
        tile = Tile(level, int(re.sub("[x/]", "", match[2])), int(match[3] or WIDTH))
        if level <= TOP_LEVEL and 1 <= tile.width <= WIDTH and tile.path == path:
            return tile
    raise ValueError(f"{path[:80]!r} is not the path of a tile")


def tile_width(level: int, number: int, size: int) -> int:
    """Width of this tile in a tree of `size`: 256, less at the right end, 0 where the tree has no such tile."""
    return min(WIDTH, max(0, (size >> HEIGHT * max(level, 0)) - number * WIDTH))


def tiles_for(old: int, new: int) -> Iterator[Tile]:
    """Tiles, without entry bundles, that a tree growing from `old` to `new` gets, in the order they can be made."""
    _check_sizes(old, new)
    level = 0
    while old < new:
        for number in range(old // WIDTH, -(-new // WIDTH)):
            yield Tile(level, number, min(WIDTH, new - number * WIDTH))
        level, old, new = level + 1, old // WIDTH, new // WIDTH


def bundles_for(old: int, new: int) -> Iterator[Tile]:
    """Entry bundles that a tree growing from `old` to `new` gets."""
    _check_sizes(old, new)
    if old < new:
        for number in range(old // WIDTH, -(-new // WIDTH)):
            yield Tile(ENTRIES, number, tile_width(ENTRIES, number, new))


def grow(size: int, leaves: Sequence[bytes], read: Callable[[Tile], bytes]) -> Iterator[tuple[Tile, bytes]]:
    """Tiles with their bytes after leaf hashes joined a tree of `size`; `read` gives its partial tiles only."""
    level, fresh = 0, list(leaves)
    while fresh:
        start, width = divmod(size, WIDTH)
        data = (_read(Tile(level, start, width), read) if width else b"") + b"".join(fresh)
        fresh = []
        for number, at in enumerate(range(0, len(data), TILE_BYTES), start):
            part = data[at : at + TILE_BYTES]
            yield Tile(level, number, len(part) // HASH), part
            if len(part) == TILE_BYTES:
                fresh.append(_within(part, HEIGHT, 0))
        level, size = level + 1, start


def tiled(size: int, read: Callable[[Tile], bytes]) -> Subtree:
    """Hashes of complete subtrees of a tree of `size`, from its tiles, each read at most once.

    `read` gives a tile's bytes. A proof reads at most two tiles a level. Raises ValueError for a tile of another width.
    """
    seen: dict[tuple[int, int], bytes] = {}

    def subtree(level: int, index: int) -> bytes:
        above, height = divmod(level, HEIGHT)
        at, offset = divmod(index << height, WIDTH)
        if (above, at) not in seen:
            width = tile_width(above, at, size)
            if not width:
                raise ValueError(f"a tree of {size} entries has no complete subtree {index} at level {level}")
            seen[above, at] = _read(Tile(above, at, width), read)
        return _within(seen[above, at], height, offset)

    return subtree


def _read(tile: Tile, read: Callable[[Tile], bytes]) -> bytes:
    data = read(tile)
    if len(data) != tile.width * HASH:
        raise ValueError(f"{tile.path} has {len(data)} bytes, not {tile.width * HASH}")
    return data


def _within(tile: bytes, height: int, offset: int) -> bytes:
    """Root of the 2**height hashes of a tile from `offset` on."""
    end = (offset + (1 << height)) * HASH
    if end > len(tile):
        raise ValueError(f"a tile of {len(tile) // HASH} hashes has no complete subtree that ends at {end // HASH}")
    row = [tile[at : at + HASH] for at in range(offset * HASH, end, HASH)]
    while len(row) > 1:
        row = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


# Entry bundles


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Entries one after the other, each behind its length in two bytes, big-endian."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError(f"an entry has at most {MAX_ENTRY} bytes, not {len(entry)}")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def decode_entries(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. Raises ValueError where it ends within one."""
    entries: list[bytes] = []
    at = 0
    while at < len(bundle):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if start > len(bundle) or at > len(bundle):
            raise ValueError(f"the entry bundle ends within its entry {len(entries)}")
        entries.append(bundle[start:at])
    return entries
