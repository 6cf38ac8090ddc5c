"""The log bundle: the whole tree of one checkpoint as a zip, with all that a stranger needs to check it.

What the database holds goes in as it is, also where somebody has altered it: to judge is the verifier's business. An
entry that is missing has length 0, so that every other one keeps its place.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from audits.exports.copying import ahead, copied
from audits.exports.rows import Head
from ledger.merkle import ENTRIES, HASH, MAX_ENTRY, WIDTH, Tile, encode_entries, root

FORMAT = "countersign-log-bundle/1"
BLOCK = 16 * WIDTH
MOST_CHECKPOINTS = 10_000
LEVEL = 3  # of deflate: entries repeat themselves, so more effort gains little
EPOCH = (1980, 1, 1, 0, 0, 0)  # no member has a date of its own: the same tree gives the same members
SUFFIXES = {"folder": "json", "s3": "json", "webhook": "txt", "tsa": "tsr", "witness": "note"}

LEAVES = (
    "SELECT l.index, l.hash, e.bytes FROM ledger_leaf l LEFT JOIN ledger_event e ON e.id = l.event_id"
    " WHERE l.index >= %s AND l.index < %s ORDER BY l.index"
)
DISCLOSURES = (
    "SELECT d.event_id::text, d.label, translate(rtrim(encode(d.salt, 'base64'), '='), E'+/\\n', '-_'), d.value"
    " FROM ledger_leaf l JOIN ledger_disclosure d ON d.event_id = l.event_id"
    " WHERE l.index >= %s AND l.index < %s ORDER BY l.index, d.label"
)
RECORDS = (
    "SELECT r.event_id::text, r.object_type, r.object_id, r.bytes"
    " FROM ledger_leaf l JOIN ledger_record r ON r.event_id = l.event_id"
    " WHERE l.index >= %s AND l.index < %s ORDER BY l.index, r.object_type, r.object_id"
)
# The last of each day, and whatever has an anchor.
THINNED = (
    "SELECT c.size, c.note FROM ledger_checkpoint c WHERE c.origin = %s AND c.size < %s AND (c.size IN"
    " (SELECT size FROM ledger_anchor WHERE origin = c.origin) OR c.id IN (SELECT DISTINCT ON (at::date) id"
    " FROM ledger_checkpoint WHERE origin = %s ORDER BY at::date, size DESC)) ORDER BY c.size"
)

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class About:
    """What stands beside the tree. `read` gives a tile from the log's folder, or raises OSError or ValueError."""

    made_at: str
    read: Callable[[Tile], bytes]
    verifier: bytes
    readme: str


def write(file: IO[bytes], cursor: Any, head: Head, about: About, progress: Progress) -> None:
    """Write the bundle of the tree of `head`, which has a note."""
    with zipfile.ZipFile(file, "w", allowZip64=True) as bundle:
        put(bundle, "bundle.json", json.dumps(described(cursor, head, about), indent=2).encode() + b"\n")
        put(bundle, "checkpoint", head.note)
        put(bundle, "README.txt", about.readme.encode())
        put(bundle, "verify.py", about.verifier)
        for size, note in checkpoints(cursor, head):
            put(bundle, f"checkpoints/{size}", note)
        for name, receipt in anchors(cursor, head):
            put(bundle, f"anchors/{name}", receipt)
        tree(bundle, cursor, head, about, progress)
        stream(bundle, "disclosures.jsonl", told(cursor, head, progress))
        stream(bundle, "records.jsonl", records(cursor, head, progress))


def described(cursor: Any, head: Head, about: About) -> dict[str, Any]:
    cursor.execute("SELECT vkey FROM ledger_key ORDER BY id")
    keys = [vkey for (vkey,) in cursor.fetchall()]
    cursor.execute("SELECT index, event_id::text FROM ledger_leaf WHERE index IN (0, %s)", [head.size - 1])
    ends = dict(cursor.fetchall())
    return {
        "format": FORMAT, "origin": head.origin, "size": head.size, "root": head.root, "made_at": about.made_at,
        "first": ends.get(0), "last": ends.get(head.size - 1), "filter": {}, "keys": keys,
    }  # fmt: skip


def checkpoints(cursor: Any, head: Head, most: int = MOST_CHECKPOINTS) -> Iterator[tuple[int, bytes]]:
    """Earlier notes, smallest tree first: or, of more than `most`, one a day and the anchored."""
    cursor.execute("SELECT count(*) FROM ledger_checkpoint WHERE origin = %s AND size < %s", [head.origin, head.size])
    if cursor.fetchone()[0] > most:
        cursor.execute(THINNED, [head.origin, head.size, head.origin])
    else:
        cursor.execute(
            "SELECT size, note FROM ledger_checkpoint WHERE origin = %s AND size < %s ORDER BY size",
            [head.origin, head.size],
        )
    for size, note in cursor.fetchall():
        yield size, bytes(note)


def anchors(cursor: Any, head: Head) -> Iterator[tuple[str, bytes]]:
    """Receipts by `target/size.suffix`."""
    cursor.execute(
        "SELECT target, kind, size, receipt FROM ledger_anchor WHERE origin = %s AND size <= %s ORDER BY target, size",
        [head.origin, head.size],
    )
    for target, kind, size, receipt in cursor.fetchall():
        yield f"{re.sub('[^A-Za-z0-9._-]+', '-', target).lstrip('.-')}/{size}.{SUFFIXES[kind]}", bytes(receipt)


def tree(bundle: zipfile.ZipFile, cursor: Any, head: Head, about: About, progress: Progress) -> None:
    """Entry bundles from the events, and every tile of hashes."""
    row: list[bytes] = []
    with closing(ahead(leaves(cursor, head))) as blocks:
        for first, found in blocks:
            progress(80 * first / head.size, f"Entry {first:,} of {head.size:,}")
            for start in range(first, min(first + BLOCK, head.size), WIDTH):
                places = range(start, min(start + WIDTH, head.size))
                parts = [found.get(index, (bytes(HASH), b"")) for index in places]
                raws = encode_entries(raw for _, raw in parts)
                # Not deflated: unpacking would take several times as long as what is proved with it, the hashing.
                put(bundle, Tile(ENTRIES, start // WIDTH, len(parts)).path, raws, deflated=False)
                row += tile(bundle, Tile(0, start // WIDTH, len(parts)), about, [leaf for leaf, _ in parts])
    level = 1
    while row:
        below, row = row, []
        for start in range(0, len(below), WIDTH):
            hashes = below[start : start + WIDTH]
            row += tile(bundle, Tile(level, start // WIDTH, len(hashes)), about, hashes)
        level += 1


def tile(bundle: zipfile.ZipFile, place: Tile, about: About, hashes: list[bytes]) -> list[bytes]:
    """Put a tile: as the log's folder has it, else made from the database. Its root where it is full, else nothing."""
    try:
        data = about.read(place)
    except (OSError, ValueError):
        data = b""
    if len(data) != place.width * HASH:
        data = b"".join(hashes)
    put(bundle, place.path, data, deflated=False)
    if place.width < WIDTH:
        return []
    return [root([data[at : at + HASH] for at in range(0, len(data), HASH)])]


def leaves(cursor: Any, head: Head) -> Iterator[tuple[int, dict[int, tuple[bytes, bytes]]]]:
    """Leaf hash and entry by leaf number, a block at a time with the number it begins at."""
    for first in range(0, head.size, BLOCK):
        rows = copied(cursor, LEAVES, [first, min(first + BLOCK, head.size)])
        yield (
            first,
            {
                int.from_bytes(index or b"", "big"): ((leaf or b"").ljust(HASH, b"\0")[:HASH], (raw or b"")[:MAX_ENTRY])
                for index, leaf, raw in rows
            },
        )


def told(cursor: Any, head: Head, progress: Progress) -> Iterator[bytes]:
    for first in range(0, head.size, BLOCK):
        progress(80 + 10 * first / head.size, "Names and reasons")
        for event, label, salt, value in copied(cursor, DISCLOSURES, [first, min(first + BLOCK, head.size)]):
            yield line(event=text(event), label=text(label), salt=text(salt), value=text(value))


def records(cursor: Any, head: Head, progress: Progress) -> Iterator[bytes]:
    for first in range(0, head.size, BLOCK):
        progress(90 + 9 * first / head.size, "Records of objects")
        for event, kind, pk, raw in copied(cursor, RECORDS, [first, min(first + BLOCK, head.size)]):
            yield line(event=text(event), object=f"{text(kind)}/{text(pk)}", bytes=text(raw))


def text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def line(**values: str) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def put(bundle: zipfile.ZipFile, name: str, data: bytes, *, deflated: bool = True) -> None:
    bundle.writestr(member(name, deflated), data, compresslevel=LEVEL)


def stream(bundle: zipfile.ZipFile, name: str, pieces: Iterator[bytes]) -> None:
    with bundle.open(member(name, True), "w", force_zip64=True) as file:
        for piece in pieces:
            file.write(piece)


def member(name: str, deflated: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    info.external_attr = 0o644 << 16
    return info


def words_beside(path: Path, given: Mapping[str, object]) -> str:
    """The text of a file with its `{names}` filled in."""
    return path.read_text(encoding="utf-8").format_map(given)
