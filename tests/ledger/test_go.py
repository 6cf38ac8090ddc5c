"""golang.org/x/mod/sumdb reads what we write: checkpoints, tiles, entry bundles, proofs and keys."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger import merkle
from ledger.notes import Checkpoint, SigningKey, open_note, sign

GOPATH = Path("/usr/share/gocode")  # where Debian's golang-golang-x-mod-dev puts its source
PROGRAM = Path(__file__).parent / "go" / "main.go"
ENTRIES = [b'{"number": %d}' % number for number in range(1000)]
HASHES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def proofs(tiles):
    """One of each kind for every size to 1,000."""
    subtree, chance = merkle.tiled(1000, tiles.__getitem__), random.Random(8)  # noqa: S311
    trees, frontier = [merkle.EMPTY_ROOT], merkle.Frontier()
    for leaf in HASHES:
        frontier.append(leaf)
        trees.append(frontier.root())
    for size in range(1, 1001):
        index, old = chance.randrange(size), chance.randrange(size) + 1
        known = {"New": size, "After": text(trees[size])}
        path = merkle.inclusion(index, size, subtree)
        yield {**known, "Index": index, "Leaf": text(HASHES[index]), "Path": list(map(text, path))}
        path = merkle.consistency(old, size, subtree)
        yield {**known, "Old": old, "Before": text(trees[old]), "Path": list(map(text, path))}


@pytest.mark.skipif(
    not shutil.which("go") or not (GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
    reason="needs Go and golang.org/x/mod (on Debian: golang-go and golang-golang-x-mod-dev)",
)
def test_go_accepts_a_log_and_its_proofs_and_we_accept_what_go_signed(tmp_path):
    key, tiles = SigningKey.generate("log.example/a"), {}
    for before, after in ((0, 1), (1, 300), (300, 1000)):
        tiles |= merkle.grow(before, HASHES[before:after], tiles.__getitem__)
    files = {tile.path: data for tile, data in tiles.items()}
    for tile in merkle.bundles_for(0, 1000):
        first = tile.number * merkle.WIDTH
        files[tile.path] = merkle.encode_entries(ENTRIES[first : first + tile.width])
    body = Checkpoint("log.example/a", 1000, merkle.root(HASHES)).body()
    files |= {"checkpoint": sign(body, [key]), "vkey": key.vkey.encode()}
    files["proofs.json"] = json.dumps(list(proofs(tiles))).encode()
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    go = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    command = ["go", "run", str(PROGRAM), str(tmp_path)]
    done = subprocess.run(command, env=go, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["entries"], answer["proofs"]) == (1000, 2000)
    theirs = SigningKey.from_text(answer["key"])
    assert theirs.vkey == answer["vkey"]
    assert open_note(base64.b64decode(answer["note"]), [answer["vkey"]]).body == body
    assert sign(body, [theirs]) == base64.b64decode(answer["note"])

    (tmp_path / "tile/0/001").write_bytes(bytes(8192))
    done = subprocess.run(command, env=go, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "an altered tile must not be accepted"
