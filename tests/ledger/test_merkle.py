"""The tree against the vectors of RFC 6962, two implementations by others, and its own tiles."""

from __future__ import annotations

import random
import time

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.merkle import ENTRIES, Frontier, Tile, leaf_hash, node_hash

# The seven leaves and roots of the test vectors of Certificate Transparency (RFC 6962).
LEAVES = [bytes.fromhex(one) for one in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {  # (index, size)
    (0, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (5, 8): ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"],
}  # fmt: skip
STEPS = {  # (old, new)
    (1, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (6, 8): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    (2, 5): ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"],
}  # fmt: skip
HASHES = [leaf_hash(b"%d" % number) for number in range(3000)]


def over(hashes):
    """Complete subtrees straight from the definition."""
    known = {(0, index): one for index, one in enumerate(hashes)}

    def subtree(level, index):
        if (level, index) not in known:
            known[level, index] = node_hash(subtree(level - 1, 2 * index), subtree(level - 1, 2 * index + 1))
        return known[level, index]

    return subtree


SUBTREE = over(HASHES)


def test_the_vectors_of_rfc_6962():
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    for size, wanted in enumerate(ROOTS):
        assert merkle.root(hashes[:size]).hex() == wanted
    subtree = over(hashes)
    for (index, size), path in PATHS.items():
        assert [one.hex() for one in merkle.inclusion(index, size, subtree)] == path
        assert merkle.verify_inclusion(
            index, size, hashes[index], list(map(bytes.fromhex, path)), bytes.fromhex(ROOTS[size])
        )
    for (old, new), path in STEPS.items():
        assert [one.hex() for one in merkle.consistency(old, new, subtree)] == path
        roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
        assert merkle.verify_consistency(old, new, *roots, list(map(bytes.fromhex, path)))


def test_every_proof_of_small_trees_is_right_and_no_other():
    for size in range(1, 33):
        tree = merkle.root(HASHES[:size])
        for index in range(size):
            path = merkle.inclusion(index, size, SUBTREE)
            assert merkle.verify_inclusion(index, size, HASHES[index], path, tree)
            assert not merkle.verify_inclusion(index, size, HASHES[index + 1], path, tree)
            assert not merkle.verify_inclusion(index, size, HASHES[index], [*path, HASHES[0]], tree)
            assert not merkle.verify_inclusion(index, size, HASHES[index], path, HASHES[0][::-1])
            if path:
                assert not merkle.verify_inclusion(index, size, HASHES[index], path[:-1], tree)
                assert not merkle.verify_inclusion((index + 1) % size, size, HASHES[index], path, tree)
        for old in range(size + 1):
            path, begun = merkle.consistency(old, size, SUBTREE), merkle.root(HASHES[:old])
            assert merkle.verify_consistency(old, size, begun, tree, path)
            assert not merkle.verify_consistency(old, size, begun, tree, [*path, HASHES[0]])
            assert not merkle.verify_consistency(old, size, HASHES[9][::-1], tree, path)
            if 0 < old < size:
                assert not merkle.verify_consistency(old, size, begun, tree, path[:-1])
                assert not merkle.verify_consistency(old, size, begun, HASHES[0][::-1], path)


# Against pymerkle, which shares no line with us


def oracle(size):
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for number in range(size):
        tree.append_entry(b"%d" % number)
    return tree


def check_against_pymerkle(tree, size, indexes, olds):
    root = tree.get_root(size)
    assert root == merkle.root(HASHES[:size])
    for index in indexes:
        path = merkle.inclusion(index, size, SUBTREE)
        theirs = [bytes.fromhex(one) for one in tree.prove_inclusion(index + 1, size).serialize()["path"]]
        assert sorted([HASHES[index], *path]) == sorted(theirs)
        assert merkle.verify_inclusion(index, size, HASHES[index], path, root)
    for old in olds:
        path = merkle.consistency(old, size, SUBTREE)
        assert merkle.verify_consistency(old, size, tree.get_root(old), root, path)


def test_roots_and_sampled_proofs_of_every_size_to_1000_agree_with_pymerkle():
    tree, chance = oracle(1000), random.Random(6962)  # noqa: S311 - which sizes are looked at is no secret
    for size in range(1, 1001):
        sampled = size % 4 == 0 or size < 20
        check_against_pymerkle(tree, size, [chance.randrange(size)] * sampled, [chance.randrange(size) + 1])


@pytest.mark.parametrize("size", [1023, 1500, 2777])
def test_larger_trees_agree_with_pymerkle(size):
    chance = random.Random(size)  # noqa: S311
    check_against_pymerkle(oracle(size), size, [0, size - 1, chance.randrange(size)], [1, chance.randrange(size), size])


@pytest.mark.long
def test_every_proof_of_every_size_to_1000_agrees_with_pymerkle():
    tree = oracle(1000)
    for size in range(1, 1001):
        check_against_pymerkle(tree, size, range(size), range(1, size + 1))


# Tiles


def stored(size, *steps):
    """Tiles of a tree that grew in these steps."""
    tiles, before = {}, 0
    for step in (*steps, size):
        made = list(merkle.grow(before, HASHES[before:step], tiles.__getitem__))
        assert [tile for tile, _ in made] == list(merkle.tiles_for(before, step))
        assert all(len(data) == 32 * tile.width for tile, data in made)
        tiles |= made
        before = step
    return tiles


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2999), min_size=1, max_size=6), st.data())
def test_however_a_tree_grew_its_tiles_prove_the_same(steps, data):
    *steps, size = sorted(step + 1 for step in steps)
    subtree = merkle.tiled(size, stored(size, *steps).__getitem__)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    tree = merkle.root(HASHES[:size])
    assert Frontier.of(size, subtree).root() == tree
    path = merkle.inclusion(index, size, subtree)
    assert path == merkle.inclusion(index, size, SUBTREE)
    assert merkle.verify_inclusion(index, size, HASHES[index], path, tree)
    assert merkle.consistency(old, size, subtree) == merkle.consistency(old, size, SUBTREE)
    assert {tile for tile in stored(size, *steps) if tile.width == 256} == {
        tile for tile in stored(size) if tile.width == 256
    }


def test_the_example_of_tlog_tiles():
    """A tree of 70,000 entries, as the specification counts it."""
    tiles = list(merkle.tiles_for(0, 70_000))
    assert sum(tile.level == 0 and tile.width == 256 for tile in tiles) == 273
    assert [tile for tile in tiles if tile.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert Tile(1, 0) in tiles
    assert list(merkle.tiles_for(0, 256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(merkle.tiles_for(256, 256)) == []
    assert list(merkle.bundles_for(255, 257)) == [Tile(ENTRIES, 0), Tile(ENTRIES, 1, 1)]
    assert list(merkle.bundles_for(5, 5)) == []
    widths = [
        merkle.tile_width(*where, 70_000) for where in ((0, 0), (0, 273), (0, 274), (2, 0), (3, 0), (ENTRIES, 273))
    ]
    assert widths == [256, 112, 0, 1, 0, 112]


def test_paths_of_tiles():
    assert merkle.tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert Tile(2, 5, 17).path == "tile/2/005.p/17"
    assert Tile(ENTRIES, 273).path == "tile/entries/273"
    for tile in (Tile(0, 0), Tile(63, 999, 1), Tile(ENTRIES, 1000, 255), Tile(1, 10**9)):
        assert merkle.parse_tile_path(tile.path) == tile
    for path in (
        "tile/0/0", "tile/0/001/002", "tile/0/x000/001", "tile/00/000", "tile/64/000", "tile/0/000.p/0",
        "tile/0/000.p/256", "tile/0/000.p/01", "tile/-1/000", "tile/0/../000", "/tile/0/000", "tile/0/000\n", "",
    ):  # fmt: skip
        with pytest.raises(ValueError, match="is not the path of a tile"):
            merkle.parse_tile_path(path)
    for level, number, width in ((-2, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)):
        with pytest.raises(ValueError, match="there is no tile"):
            merkle.tile_path(level, number, width)


def test_a_proof_among_a_million_reads_few_tiles():
    """Tiles are made up: only which of them are read counts, and how long the hashing takes."""
    size, read = 1_000_000, []

    def made_up(tile):
        read.append(tile)
        return bytes(tile.width * 32)

    started = time.process_time()
    assert len(merkle.inclusion(123_456, size, merkle.tiled(size, made_up))) == 20
    assert time.process_time() - started < 0.05  # some 1 ms; the bench measures it
    assert len(read) == len(set(read)) <= 6


# What cannot be


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: merkle.inclusion(3, 3, SUBTREE), "a tree of 3 entries has no entry 3"),
        (lambda: merkle.inclusion(-1, 3, SUBTREE), "has no entry -1"),
        (lambda: merkle.verify_inclusion(0, 0, HASHES[0], [], HASHES[0]), "has no entry 0"),
        (lambda: merkle.consistency(4, 3, SUBTREE), "a tree of 3 entries cannot contain one of 4"),
        (lambda: merkle.verify_consistency(-1, 3, b"", b"", []), "cannot contain one of -1"),
        (lambda: list(merkle.tiles_for(2, 1)), "cannot contain one of 2"),
        (lambda: Frontier(3, [HASHES[0]]), "a tree of 3 entries is not made of 1 complete subtrees"),
        (lambda: Frontier(-1), "a tree of -1 entries"),
        (lambda: Frontier().append(b"short"), "a leaf hash has 32 bytes, not 5"),
        (lambda: merkle.tiled(5, lambda tile: b"")(0, 0), "tile/0/000.p/5 has 0 bytes, not 160"),
        (lambda: merkle.tiled(5, stored(5).__getitem__)(8, 0), "no complete subtree 0 at level 8"),
        (lambda: merkle.tiled(5, stored(5).__getitem__)(1, 2), "a tile of 5 hashes has no complete subtree"),
        (lambda: merkle.encode_entries([bytes(65_536)]), "at most 65535 bytes, not 65536"),
        (lambda: merkle.decode_entries(b"\x00"), "ends within its entry 0"),
        (lambda: merkle.decode_entries(b"\x00\x00\x00\x02a"), "ends within its entry 1"),
    ],
)
def test_impossible_questions_are_refused_in_a_sentence(call, line):
    with pytest.raises(ValueError, match=line):
        call()


def test_proofs_for_nothing():
    assert merkle.root([]) == merkle.EMPTY_ROOT == Frontier.of(0, SUBTREE).root()
    assert merkle.consistency(0, 5, SUBTREE) == merkle.consistency(5, 5, SUBTREE) == []
    assert merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, HASHES[0], [])
    assert not merkle.verify_consistency(0, 5, HASHES[0], HASHES[0], [])
    assert not merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, HASHES[0], [HASHES[0]])
    assert not merkle.verify_consistency(5, 5, HASHES[0], HASHES[1], [])
    assert not merkle.verify_consistency(3, 5, HASHES[0], HASHES[1], [])


@given(st.lists(st.binary(max_size=300)))
def test_entry_bundles(entries):
    bundle = merkle.encode_entries(entries)
    assert merkle.decode_entries(bundle) == entries
    assert bundle == b"".join(len(one).to_bytes(2, "big") + one for one in entries)
