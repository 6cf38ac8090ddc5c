#!/usr/bin/env python3
"""Verify a Countersign log without trusting whoever runs it. Needs Python 3.9 or later and nothing else.

    countersign-verify BUNDLE [--key VKEY|FILE] [--checkpoint FILE] [--receipt FILE] [--witness VKEY|FILE] [--json]
    countersign-verify PACK [the same]
    countersign-verify proof FILE --entry FILE --key VKEY|FILE
    countersign-verify consistency OLD NEW --bundle BUNDLE [--key VKEY|FILE]

Exit 0: verified. 1: something was altered; says what and where. 2: the input cannot be used; says why.
BUNDLE is a whole log, PACK the evidence of one review request. The formats and the order of checks are described in
docs/audit-log.md and, for packs, in docs/approvals.md.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import multiprocessing
import os
import re
import sys
import warnings
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Callable, ClassVar, NamedTuple, NoReturn

FORMAT = "countersign-log-bundle/1"
PACK = "countersign-evidence-pack/1"
INDEX, INDEX_NOTE = "pack.json", "pack.note"
RECEIPT = "countersign-receipt/1"
PROOF = "c2sp.org/tlog-proof@v1"
HASH, WIDTH = 32, 256
TILE_BYTES = WIDTH * HASH
MAX_SIZE = 1 << 40
MAX_SMALL = 16 << 20  # bytes of a text file that is read whole
MAX_ENTRIES_FILE = WIDTH * (65_535 + 2)
MAX_LINE = 8 << 20
MAX_STREAM = 1 << 38
MAX_FILES = 4_000_000
MAX_RATIO = 200  # JSON packs to a tenth; a bomb to a thousandth
PARALLEL_FROM = 20_000  # entries
ROW = 1_000  # runs of bad entries that one part of the log reports at most

ATTACKS = {
    "row_edited": "row edited",
    "leaf_edited": "row and its leaf edited",
    "row_deleted": "row deleted",
    "row_inserted": "row inserted in the past",
    "tail_cut": "tail cut off",
    "restored": "whole database put back to an earlier state",
    "forked": "history forked",
    "removed_before_sealing": "event removed before it was sequenced",
    "signature_invalid": "signature not valid",
    "checkpoint_altered": "checkpoint altered",
    "tile_altered": "hash tile altered",
    "disclosure_altered": "disclosure altered",
    "record_altered": "record altered",
    "anchor_altered": "anchor altered",
    "not_witnessed": "not witnessed",
    "file_altered": "file altered",
    "file_missing": "file missing",
    "file_added": "file added",
    "manifest_altered": "manifest altered",
    "decision_altered": "decision altered",
    "decision_missing": "decision missing",
    "evidence_altered": "evidence altered",
    "policy_altered": "policy altered",
    "answer_altered": "answer of the gate altered",
}


class Unusable(Exception):
    """The input cannot be judged: exit 2."""


class Finding(NamedTuple):
    """Something was altered. Entries from `first` to `last`, where it has a place in the log."""

    attack: str
    where: str
    sentence: str
    first: int | None = None
    last: int | None = None

    def public(self) -> dict[str, Any]:
        named = {"attack": self.attack, "name": ATTACKS[self.attack], "where": self.where, "sentence": self.sentence}
        return {**named, "first": self.first, "last": self.last}


# Hashes: SHA-256(0x00 ‖ entry) and SHA-256(0x01 ‖ left ‖ right). Copying a begun hash is faster than beginning one.

_LEAF, _NODE = hashlib.sha256(b"\x00"), hashlib.sha256(b"\x01")


def leaf_hash(entry: bytes) -> bytes:
    begun = _LEAF.copy()
    begun.update(entry)
    return begun.digest()


def node_hash(pair: bytes) -> bytes:
    begun = _NODE.copy()
    begun.update(pair)
    return begun.digest()


def tile_root(tile: bytes) -> bytes:
    """Root over the 2**n hashes of a tile."""
    copy = _NODE.copy
    while len(tile) > HASH:
        row = []
        for at in range(0, len(tile), 64):
            begun = copy()
            begun.update(tile[at : at + 64])
            row.append(begun.digest())
        tile = b"".join(row)
    return tile


class Frontier:
    """The complete subtrees that make up a tree growing from its left end."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, bytes]] = []

    def append(self, level: int, part: bytes) -> None:
        while self.parts and self.parts[-1][0] == level:
            part = node_hash(self.parts.pop()[1] + part)
            level += 1
        self.parts.append((level, part))

    def root(self) -> bytes:
        if not self.parts:
            return hashlib.sha256(b"").digest()
        result = self.parts[-1][1]
        for _, left in reversed(self.parts[:-1]):
            result = node_hash(left + result)
        return result


def verify_inclusion(index: int, size: int, leaf: bytes, path: Iterable[bytes], root: bytes) -> bool:
    """RFC 9162, section 2.1.3.2."""
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling + result)
            while not node & 1:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result + sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == root


def verify_growth(old: int, new: int, before: bytes, after: bytes, path: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2, for 0 < old < new."""
    path = [before, *path] if old & (old - 1) == 0 else path
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not path:
        return False
    left = whole = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            left, whole = node_hash(sibling + left), node_hash(sibling + whole)
            while not node & 1:
                node, last = node >> 1, last >> 1
        else:
            whole = node_hash(whole + sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and left == before and whole == after


# Ed25519 (RFC 8032, section 5.1), verification only, without the cofactor

_P = 2**255 - 19
_Q = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_I = pow(2, (_P - 1) // 4, _P)
Point = tuple[int, int, int, int]


def _add(one: Point, two: Point) -> Point:
    a, b = (one[1] - one[0]) * (two[1] - two[0]) % _P, (one[1] + one[0]) * (two[1] + two[0]) % _P
    c, d = 2 * one[3] * two[3] * _D % _P, 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _x(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _I % _P
    if (x * x - square) % _P:
        return None
    return _P - x if x & 1 != sign else x


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE_X = _x(_BASE_Y, 0) or 0
_BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is the key's signature: encode([S]B - [k]A) == R, with S below the group's order."""
    if len(public) != 32 or len(signature) != 64:
        return False
    number = int.from_bytes(public, "little")
    y, scalar = number & (1 << 255) - 1, int.from_bytes(signature[32:], "little")
    x = _x(y, number >> 255)
    if x is None or scalar >= _Q:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _Q
    minus: Point = (_P - x, y, 1, (_P - x) * y % _P)
    result = _add(_times(scalar, _BASE), _times(k, minus))
    inverse = pow(result[2], _P - 2, _P)
    found = result[1] * inverse % _P | (result[0] * inverse % _P & 1) << 255
    return found.to_bytes(32, "little") == signature[:32]


# Signed notes, checkpoints, keys (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature)


def decode(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise Unusable(f"{what} is not base64")
    return data


def number(text: str, what: str) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,12}", text) or int(text) > MAX_SIZE:
        raise Unusable(f"{what} is not a decimal number up to {MAX_SIZE}")
    return int(text)


class Key(NamedTuple):
    """A verifier key: kind 1 signs notes, kind 4 is a witness's, which signs the time too."""

    name: str
    id: bytes
    kind: int
    public: bytes
    text: str

    def verify(self, body: bytes, signature: bytes) -> bool:
        if self.kind == 4:
            body, signature = b"cosignature/v1\ntime %d\n" % moment(signature) + body, signature[8:]
        return ed25519(self.public, body, signature)


def moment(cosignature: bytes) -> int:
    return int.from_bytes(cosignature[:8], "big")


def parse_key(text: str) -> Key:
    name, _, rest = text.partition("+")
    identity, _, encoded = rest.partition("+")
    if not name or not re.fullmatch("[0-9a-f]{8}", identity):
        raise Unusable(f"{short(text)} is not a verifier key (name+8 hexadecimal digits+base64)")
    data = decode(encoded, f"the last part of the key {short(name)}")
    if len(data) != 33 or data[0] not in (1, 4):
        raise Unusable(f"the key {short(name)} is not an Ed25519 key")
    if hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex() != identity:
        raise Unusable(f"the key {short(name)} does not match its id")
    return Key(name, bytes.fromhex(identity), data[0], data[1:], text)


def short(text: str) -> str:
    return ascii(text if len(text) < 90 else text[:80] + "…")


class Note(NamedTuple):
    """A note as it stands in `source`; nothing verified yet."""

    source: str
    raw: bytes
    body: bytes
    lines: list[tuple[str, bytes, bytes]]  # name, key id, signature

    def signed(self, keys: Iterable[Key]) -> tuple[Key, bytes] | None:
        """The first of these keys that signed, with its signature. Raises Forged where one is there and wrong."""
        known = {(key.name, key.id): key for key in keys}
        for name, identity, signature in self.lines:
            key = known.get((name, identity))
            if key is not None:
                if not key.verify(self.body, signature):
                    raise Forged(name)
                return key, signature
        return None


class Forged(Exception):
    """A signature by a known key is not valid."""


def text_of(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Unusable(f"{what} is not UTF-8 text") from None


def parse_note(raw: bytes, source: str) -> Note:
    text = text_of(raw, source)
    at = text.rfind("\n\n")
    if at < 0 or not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
        raise Unusable(f"{source} is not a signed note")
    lines: list[tuple[str, bytes, bytes]] = []
    for line in text[at + 2 : -1].split("\n"):
        match = re.fullmatch(r"— ([^\s+]+) (\S+)", line)
        data = decode(match[2], f"a signature in {source}") if match else b""
        if not match or len(data) < 5 or len(lines) == 100:
            raise Unusable(f"{source} is not a signed note")
        lines.append((match[1], data[:4], data[4:]))
    return Note(source, raw, text[: at + 1].encode(), lines)


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes
    note: Note
    given: bool  # kept elsewhere, not taken from the bundle

    @property
    def source(self) -> str:
        return self.note.source


def parse_checkpoint(raw: bytes, source: str, given: bool = False) -> Checkpoint:
    note = parse_note(raw, source)
    lines = note.body.decode().split("\n")[:-1]
    if len(lines) < 3 or "" in lines:
        raise Unusable(f"{source} is not a checkpoint")
    root = decode(lines[2], f"the root in {source}")
    if len(root) != HASH:
        raise Unusable(f"the root in {source} has not {HASH} bytes")
    return Checkpoint(lines[0], number(lines[1], f"the size in {source}"), root, note, given)


class Keys:
    """Keys that were pinned, and those that the bundle brings and that stand in only where none was pinned.

    Who pins a key wants no other: a bundle of another log, with keys of its own, must not pass instead.
    """

    def __init__(self, pinned: list[Key], bundled: list[Key]) -> None:
        self.pinned, self.bundled = pinned, bundled

    def of_log(self, origin: str) -> list[Key]:
        def its(keys: list[Key]) -> list[Key]:
            return [key for key in keys if key.name == origin and key.kind == 1]

        return its(self.pinned if self.pinned else self.bundled)

    def of_portal(self, origin: str) -> list[Key]:
        """Keys that sign receipts, packs and the gate's answers: those that are not the log's."""

        def its(keys: list[Key]) -> list[Key]:
            return [key for key in keys if key.name != origin and key.kind == 1]

        return its(self.pinned) or its(self.bundled)

    def is_pinned(self, key: Key) -> bool:
        return any(key[:4] == one[:4] for one in self.pinned)


# The bundle as a zip or as a folder


def tile_path(level: str, index: int, width: int) -> str:
    last = f"{index % 1000:03d}"
    while index >= 1000:
        index //= 1000
        last = f"x{index % 1000:03d}/{last}"
    return f"tile/{level}/{last}" + (f".p/{width}" if width < WIDTH else "")


KNOWN = re.compile(
    r"bundle\.json|checkpoint|checkpoints/(0|[1-9][0-9]{0,12})|verify\.py|README\.txt|(disclosures|records)\.jsonl"
    r"|tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{3}/)*[0-9]{3}(\.p/([1-9][0-9]{0,2}))?"
    r"|anchors/[\w.@ -]{1,100}/[0-9]{1,13}(\.\w{1,10})?|receipts/[\w.-]{1,100}"
)


def limit_of(name: str) -> int:
    if name.startswith("tile/entries/"):
        return MAX_ENTRIES_FILE
    if name.startswith("tile/"):
        return TILE_BYTES
    return MAX_STREAM if name.endswith(".jsonl") else MAX_SMALL


class Source:
    """Files of a bundle by name, each within the limit of its kind. Nothing is ever unpacked to disk."""

    opened: ClassVar[list[zipfile.ZipFile]] = []
    what: ClassVar[str] = "bundle"

    def __init__(self, path: str) -> None:
        self.path = path
        self.zip: zipfile.ZipFile | None = None
        sizes: list[tuple[str, int, int]] = []
        if os.path.isdir(path):
            sizes = list(self._walk(path))
        else:
            try:
                self.zip = zipfile.ZipFile(path)
                self.opened.append(self.zip)
                sizes = [
                    (one.filename, one.file_size, one.compress_size)
                    for one in self.zip.infolist()
                    if not (one.filename.endswith("/") and one.file_size == 0)
                ]
            except OSError as error:
                raise Unusable(f"{path} cannot be read: {error.strerror or error}") from None
            except Exception:
                raise Unusable(f"{path} is not a zip file, or a damaged or truncated one") from None
        self._check(sizes)
        self.sizes = {name: size for name, size, _ in sizes}

    def known(self, name: str) -> bool:
        return KNOWN.fullmatch(name) is not None

    def limit(self, name: str) -> int:
        return limit_of(name)

    def _walk(self, path: str) -> Iterator[tuple[str, int, int]]:
        for folder, folders, files in os.walk(path):
            for name in folders + files:
                if os.path.islink(os.path.join(folder, name)):
                    raise Unusable(f"the {self.what} holds a link: {short(name)}")
            for name in files:
                full = os.path.join(folder, name)
                size = os.path.getsize(full)
                yield os.path.relpath(full, path).replace(os.sep, "/"), size, size

    def _check(self, sizes: list[tuple[str, int, int]]) -> None:
        if len(sizes) > MAX_FILES:
            raise Unusable(f"the {self.what} holds {len(sizes)} files, more than {MAX_FILES}")
        seen = set()
        for name, size, packed in sizes:
            if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
                raise Unusable(f"the {self.what} names a file outside itself: {short(name)}")
            if name in seen:
                raise Unusable(f"the {self.what} holds {short(name)} twice")
            seen.add(name)
            if not self.known(name):
                raise Unusable(f"the {self.what} holds a file that does not belong there: {short(name)}")
            if size > self.limit(name) or (size > 1 << 20 and size > MAX_RATIO * packed):
                raise Unusable(f"{name} would unpack to {size:,} bytes, which is no honest size for it")

    def read(self, name: str) -> bytes:
        """Raises Unusable where the file is missing or damaged."""
        if name not in self.sizes:
            raise Unusable(f"the {self.what} lacks {name}")
        try:
            with self._open(name) as file:
                data = bytes(file.read(self.limit(name) + 1))
        except Exception as error:
            raise Unusable(f"{name} is damaged: {short(str(error))}") from None
        if len(data) != self.sizes[name]:
            raise Unusable(f"{name} is damaged: it has not the size the {self.what} says")
        return data

    def quick(self, name: str) -> bytes:
        """As `read`, but the zip's own check sum is not looked at: for bytes whose hash is checked anyway."""
        if not self.zip:
            return self.read(name)
        info, file = self.zip.getinfo(name), self.zip.fp
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1 or not file:
            return self.read(name)
        try:
            file.seek(info.header_offset)
            header = file.read(30)
            file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
            data = file.read(info.compress_size)
            if info.compress_type == zipfile.ZIP_DEFLATED:
                data = zlib.decompressobj(-15).decompress(data, info.file_size + 1)
        except (OSError, zlib.error):
            data = b""
        return data if len(data) == info.file_size else self.read(name)

    def lines(self, name: str) -> Generator[tuple[int, bytes], None, None]:
        """Lines of a file with their numbers, from 1."""
        try:
            with self._open(name) as file:
                count = 0
                while True:
                    line = file.readline(MAX_LINE + 1)
                    if not line:
                        return
                    count += 1
                    if len(line) > MAX_LINE:
                        raise Unusable(f"{name}, line {count} is too long")
                    yield count, line
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise Unusable(f"{name} is damaged: {short(str(error))}") from None

    def _open(self, name: str) -> Any:
        return self.zip.open(name) if self.zip else open(os.path.join(self.path, *name.split("/")), "rb")

    def tile(self, level: str, index: int, width: int, quick: bool = False) -> bytes | None:
        """Bytes of a tile that has at least this width; None where the bundle has none."""
        for wide in (width, WIDTH):
            name = tile_path(level, index, wide)
            if name in self.sizes:
                return self.quick(name) if quick else self.read(name)
        return None

    def hashes(self, level: int, index: int, width: int, quick: bool = False) -> bytes:
        data = self.tile(str(level), index, width, quick)
        name = tile_path(str(level), index, width)
        if data is None:
            raise Unusable(f"the bundle lacks {name}, which its tree needs")
        if len(data) < width * HASH or len(data) % HASH:
            raise Unusable(f"{name} has not {width * HASH} bytes")
        return data[: width * HASH]

    def entries(self, index: int, width: int, quick: bool = False) -> tuple[list[bytes], int]:
        """Entries of one bundle (empty where missing), and how many stand behind them."""
        data, name = self.tile("entries", index, width, quick), tile_path("entries", index, width)
        result: list[bytes] = []
        at, data = 0, data or b""
        end, append = len(data), result.append
        while at < end - 1:
            start = at + 2
            at = start + (data[at] << 8 | data[at + 1])
            append(data[start:at])
        if at != end:
            raise Unusable(f"{name} ends within an entry")
        more = max(0, len(result) - width) if tile_path("entries", index, width) in self.sizes else 0
        return (result + [b""] * width)[:width], more


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Unusable(f"{what} names something twice")
        return dict(pairs)

    try:
        value = json.loads(data.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unusable(f"{what} is not a JSON object")
    return value


def read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SMALL + 1)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_SMALL:
        raise Unusable(f"{path} is too large")
    return data


class Bundle:
    """What bundle.json and the newest checkpoint say."""

    def __init__(self, path: str, pinned: list[Key]) -> None:
        self.source = Source(path)
        about = parse_json(self.source.read("bundle.json"), "bundle.json")
        if about.get("format") != FORMAT:
            raise Unusable(f"bundle.json names the format {short(str(about.get('format')))}, not {FORMAT}")
        self.checkpoint = parse_checkpoint(self.source.read("checkpoint"), "checkpoint")
        self.origin, self.size, self.root = self.checkpoint.origin, self.checkpoint.size, self.checkpoint.root
        if about.get("origin") != self.origin:
            raise Unusable("bundle.json and checkpoint do not name the same log")
        vkeys = about.get("keys")
        if not isinstance(vkeys, list) or not all(isinstance(one, str) for one in vkeys):
            raise Unusable("bundle.json holds no list of keys")
        self.keys = Keys(pinned, [parse_key(one) for one in vkeys])
        self.claimed = self._number(about, "size", self.size)
        if self.claimed > self.size or (
            self.claimed == self.size and about.get("root", "") not in ("", base64.b64encode(self.root).decode())
        ):
            raise Unusable("bundle.json and checkpoint do not say the same about the tree")
        self.first = max(0, self._number(about, "first", 0))
        self.last = min(self._number(about, "last", self.size - 1), self.size - 1)
        self.withheld = bool(about.get("filter"))
        self.recent: dict[tuple[str, int], Any] = {}  # tiles that were looked into one entry at a time

    @staticmethod
    def _number(about: dict[str, Any], name: str, otherwise: int) -> int:
        value = about.get(name)
        if value is None or (isinstance(value, str) and name != "size"):  # the ids of those events: for people
            return otherwise
        if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value <= MAX_SIZE:
            raise Unusable(f"bundle.json has no usable number for {name}")
        return value

    def full(self) -> int:
        """Leaf tiles that are full."""
        return self.size // WIDTH

    def tiles(self) -> int:
        return -(-self.size // WIDTH)

    def width(self, tile: int) -> int:
        return min(WIDTH, self.size - tile * WIDTH)

    def leaf(self, index: int) -> bytes:
        tile, at = divmod(index, WIDTH)
        leaves: bytes = self._kept(("leaf", tile), lambda: self.source.hashes(0, tile, self.width(tile)))
        return leaves[at * HASH : (at + 1) * HASH]

    def entry(self, index: int) -> bytes:
        tile, at = divmod(index, WIDTH)
        entries: list[bytes] = self._kept(("entry", tile), lambda: self.source.entries(tile, self.width(tile))[0])
        return entries[at]

    def _kept(self, key: tuple[str, int], read: Callable[[], Any]) -> Any:
        if key not in self.recent:
            if len(self.recent) > 7:
                self.recent.clear()
            self.recent[key] = read()
        return self.recent[key]


# Hashing entries and leaf tiles, in several processes

Runs = list[tuple[str, int, int]]  # "gone" or "other", first and last entry


class Part(NamedTuple):
    """What one stretch of leaf tiles came to."""

    roots: list[bytes]  # of its full tiles
    runs: Runs  # entries that do not hash to their leaf
    mendable: list[int]  # tiles with such entries, of which none is missing
    surplus: int
    checked: int


def join(runs: Runs, more: Iterable[tuple[str, int, int]]) -> Runs:
    for kind, first, last in more:
        if runs and runs[-1][0] == kind and runs[-1][2] == first - 1:
            runs[-1] = (kind, runs[-1][1], last)
        else:
            runs.append((kind, first, last))
    return runs


def hash_part(bundle: Bundle, start: int, end: int) -> Part:
    """Hash the entries of leaf tiles `start` to `end` against their leaves, and the tiles."""
    part = Part([], [], [], 0, 0)
    surplus = checked = 0
    for tile in range(start, end):
        bad, more, count = hash_tile(bundle, tile, part, quick=True)
        if bad or more:  # look again, now at the zip's check sums too: a damaged file is no attack
            bad, more, count = hash_tile(bundle, tile, part, quick=False)
        surplus += more
        checked += count
        if len(part.runs) < ROW:
            join(part.runs, bad)
    return part._replace(surplus=surplus, checked=checked)


def hash_tile(bundle: Bundle, tile: int, part: Part, quick: bool) -> tuple[Runs, int, int]:
    """Entries of one tile that are not as their leaves say, how many are too many, how many were looked at."""
    width, base = bundle.width(tile), tile * WIDTH
    leaves = bundle.source.hashes(0, tile, width, quick)
    if width == WIDTH and quick:
        part.roots.append(tile_root(leaves))
    low, high = max(bundle.first, base) - base, min(bundle.last + 1, base + width) - base
    if low >= high:
        return [], 0, 0
    entries, more = bundle.source.entries(tile, width, quick)
    copy, found = _LEAF.copy, []
    for entry in entries:
        begun = copy()
        begun.update(entry)
        found.append(begun.digest())
    bad: Runs = []
    if b"".join(found)[low * HASH : high * HASH] != leaves[low * HASH : high * HASH]:
        for at in range(low, high):
            if found[at] != leaves[at * HASH : (at + 1) * HASH] and not (bundle.withheld and not entries[at]):
                bad.append(("other" if entries[at] else "gone", base + at, base + at))
        if bad and not quick and all(entries):
            part.mendable.append(tile)
    return bad, more, high - low


_worker: list[Bundle] = []


def _begin(path: str) -> None:
    _worker[:] = [Bundle(path, [])]


def _work(task: tuple[str, int, int]) -> Any:
    kind, start, end = task
    try:
        return hash_part(_worker[0], start, end) if kind == "hash" else told(_worker[0], kind)
    except Unusable as error:
        return error


def examine(bundle: Bundle, processes: int, entries_only: bool) -> tuple[Part, dict[str, tuple[int, list[Finding]]]]:
    """All parts of the log put together, and what came of disclosures and records."""
    step = max(1, min(64, bundle.tiles() // (processes * 4)))
    tasks = [(name, 0, 0) for name in TOLD if f"{name}.jsonl" in bundle.source.sizes and not entries_only]
    tasks += [("hash", start, min(start + step, bundle.tiles())) for start in range(0, bundle.tiles(), step)]
    whole, told_of = Part([], [], [], 0, 0), {}
    for task, result in zip(tasks, _results(bundle, tasks, processes)):
        if isinstance(result, Unusable):
            raise result
        if task[0] != "hash":
            told_of[task[0]] = result
            continue
        join(whole.runs, result.runs)
        whole.roots.extend(result.roots)
        whole.mendable.extend(result.mendable)
        whole = whole._replace(surplus=whole.surplus + result.surplus, checked=whole.checked + result.checked)
    return whole, told_of


def _results(bundle: Bundle, tasks: list[tuple[str, int, int]], processes: int) -> Iterator[Any]:
    pool = None
    if processes > 1 and bundle.size >= PARALLEL_FROM:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python 3.12 warns of threads, of which this program has none
                context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
                pool = context.Pool(processes, _begin, (bundle.source.path,))
        except (OSError, ImportError, ValueError):
            pool = None  # no semaphores here: one process does it all
    if pool is None:
        _worker[:] = [bundle]
        yield from map(_work, tasks)
        return
    with pool:
        yield from pool.imap(_work, tasks)


# Disclosures and records: what stands beside an event, and whose digest stands in it

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def disclosed(line: dict[str, Any]) -> tuple[str, str, bytes]:
    """Key of the object in the event, the name in it, and the bytes whose digest it holds."""
    return "disclosures", line["label"], _compact([line["salt"], line["label"], line["value"]]).encode()


def recorded(line: dict[str, Any]) -> tuple[str, str, bytes]:
    return "records", line["object"], line["bytes"].encode()


TOLD: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any]], tuple[str, str, bytes]], str]] = {
    "disclosures": (("event", "label", "salt", "value"), disclosed, "disclosure_altered"),
    "records": (("event", "object", "bytes"), recorded, "record_altered"),
}


# A disclosure as the portal writes it: its texts are spelled as RFC 8785 would, and can be hashed as they stand.
USUAL = re.compile(
    rb'\{"event":"([0-9a-f-]{36})","label":"(\w{1,40})","salt":"([\w-]*)","value":("(?:[^"\\\x00-\x1f]|\\.)*")\}\n'
)


def confirmed(line: re.Match[bytes], entry: bytes) -> bool:
    """A short cut, as JSON is slow: whether the entry plainly holds the digest."""
    digest = hashlib.sha256(b'["%s","%s",%s]' % (line[3], line[2], line[4])).hexdigest()
    begin = entry.find(b'"disclosures":{')
    return 0 <= begin < entry.find(b'"%s":"sha256:%s"' % (line[2], digest.encode()), begin) < entry.find(b"}", begin)


class Lines:
    """Lines of disclosures.jsonl or records.jsonl, one at a time. `event` is the id in the present one."""

    def __init__(self, kind: str, lines: Iterator[tuple[int, bytes]]) -> None:
        self.name, self.fields, self.read, self.attack = f"{kind}.jsonl", *TOLD[kind]
        self.usual = USUAL if kind == "disclosures" else None
        self.lines, self.count, self.findings = lines, 0, list[Finding]()
        self.advance()

    def advance(self) -> None:
        self.at, self.raw = next(self.lines, (0, b""))
        self.count += bool(self.raw)
        self.shape = self.usual.fullmatch(self.raw) if self.usual and self.raw else None
        self.event = self.shape[1] if self.shape else self.parsed()["event"].encode() if self.raw else b""

    def parsed(self) -> dict[str, Any]:
        line = parse_json(self.raw, f"{self.name}, line {self.at}")
        if any(not isinstance(line.get(field), str) for field in self.fields):
            raise Unusable(f"{self.name}, line {self.at} lacks one of {', '.join(self.fields)}")
        return line

    def judge(self, at: int, line: dict[str, Any], entry: bytes, index: int) -> None:
        """Compare a line's digest with what its entry holds."""
        held, label, data = self.read(line)
        try:
            digest = json.loads(entry)[held][label]
        except (ValueError, TypeError, KeyError, RecursionError):
            digest = None
        if digest != "sha256:" + hashlib.sha256(data).hexdigest() and len(self.findings) < 20:
            where, holder = f"{self.name}, line {at}", f"entry {index} (event {line['event']})"
            sentence = f"What is told of {short(label)} is not what {holder} holds the digest of."
            self.findings.append(Finding(self.attack, where, sentence, index, index))


def told(bundle: Bundle, kind: str) -> tuple[int, list[Finding]]:
    """Check every line of disclosures.jsonl or records.jsonl against its event; how many there were.

    The lines stand in the order of the entries, so that one pass is enough; those that do not are looked for again.
    """

    def entries() -> Iterator[tuple[int, bytes]]:
        for tile in range(bundle.first // WIDTH, bundle.tiles()):
            yield from enumerate(bundle.source.entries(tile, bundle.width(tile), quick=True)[0], tile * WIDTH)

    file = bundle.source.lines(f"{kind}.jsonl")
    try:
        lines = Lines(kind, file)
        for index, entry in entries():
            while lines.raw and b'"id":"%s"' % lines.event in entry:
                if not (lines.shape and confirmed(lines.shape, entry)):
                    lines.judge(lines.at, lines.parsed(), entry, index)
                lines.advance()
            if not lines.raw:
                break
        rest: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        while lines.raw:
            rest.setdefault(lines.event.decode(), []).append((lines.at, lines.parsed()))
            lines.advance()
        for index, entry in entries() if rest else ():
            for at, one in rest.pop(event_id(entry) or "", ()):
                lines.judge(at, one, entry, index)
        for event, left in list(rest.items())[:20]:
            where = f"{lines.name}, line {left[0][0]}"
            lines.findings.append(
                Finding(lines.attack, where, f"It tells of event {short(event)}, which is in no entry.")
            )
    except UnicodeEncodeError:
        raise Unusable(f"{kind}.jsonl holds text that is not Unicode") from None
    finally:
        file.close()
    return lines.count, lines.findings


def event_of(entry: bytes) -> dict[str, Any]:
    try:
        value = json.loads(entry)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def event_id(entry: bytes) -> str | None:
    value = event_of(entry).get("id")
    return value if isinstance(value, str) else None


def place(bundle: Bundle, first: int, last: int) -> str:
    """Where this is, for a person."""
    if first != last:
        return f"entries {first} to {last}"
    entry = bundle.entry(first)
    event = event_of(entry)
    about = ", ".join(str(event[name])[:80] for name in ("event", "time", "id") if name in event)
    return f"entry {first}" + (f" ({about})" if about else "")


# The checks


class Result:
    """What verification came to."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.checked: list[str] = []
        self.open: list[str] = []
        self.about: dict[str, Any] = {}

    def find(self, *values: Any) -> None:
        self.findings.append(Finding(*values))


class Leaves:
    """The leaf tiles and the roots of the full ones; `mended` tiles were made anew from the entries."""

    def __init__(self, bundle: Bundle, roots: list[bytes], mended: Iterable[int] = ()) -> None:
        self.bundle, self.roots, self.mended = bundle, list(roots), {}
        for tile in mended:
            entries = bundle.source.entries(tile, bundle.width(tile))[0]
            self.mended[tile] = b"".join(map(leaf_hash, entries))
            if tile < bundle.full():
                self.roots[tile] = tile_root(self.mended[tile])

    def tile(self, tile: int) -> bytes:
        return self.mended.get(tile) or self.bundle.source.hashes(0, tile, self.bundle.width(tile))

    def trees(self, sizes: Iterable[int]) -> dict[int, bytes]:
        """Root of the tree at each of these sizes, from the leaves alone."""
        frontier, done, at, tile, found = Frontier(), 0, 0, b"", {}
        for size in sorted(set(sizes)):
            while done + WIDTH <= size:
                if at:
                    for offset in range(at, WIDTH):
                        frontier.append(0, tile[offset * HASH : (offset + 1) * HASH])
                    at = 0
                else:
                    frontier.append(8, self.roots[done // WIDTH])
                done += WIDTH
            if size > done + at:
                tile = tile if at else self.tile(done // WIDTH)
                for offset in range(at, size - done):
                    frontier.append(0, tile[offset * HASH : (offset + 1) * HASH])
                at = size - done
            found[size] = frontier.root()
        return found

    def signed(self) -> bool:
        """Whether they lead to the root of the newest checkpoint."""
        return self.trees([self.bundle.size])[self.bundle.size] == self.bundle.root


def upper_tiles(bundle: Bundle, roots: list[bytes]) -> Iterator[tuple[int, int, int]]:
    """(level, tile, at) of each hash in an upper tile that is not the root of the tile below, lowest level first."""
    level, below = 1, roots
    while below:
        above = []
        for tile in range(-(-len(below) // WIDTH)):
            part = below[tile * WIDTH : (tile + 1) * WIDTH]
            stored = bundle.source.hashes(level, tile, len(part))
            if stored != b"".join(part):
                for at, one in enumerate(part):
                    if stored[at * HASH : (at + 1) * HASH] != one:
                        yield level, tile, at
            if len(part) == WIDTH:
                above.append(tile_root(stored))
        level, below = level + 1, above


def authentic(bundle: Bundle, checkpoint: Checkpoint) -> bool:
    """Whether the log's own key signed; a checkpoint that was given must be signed."""
    try:
        signed = checkpoint.note.signed(bundle.keys.of_log(bundle.origin))
    except Forged:
        signed = None
    if signed is None and checkpoint.given:
        raise Unusable(
            f"{checkpoint.source} is not signed by a key of {bundle.origin} that is known here: it is damaged or "
            "forged, or the bundle's keys were exchanged. Give the right key with --key"
        )
    return signed is not None


def mend(bundle: Bundle, whole: Part, result: Result) -> Leaves:
    """The leaves, those tiles made anew from the entries that then lead to the signed root where they did not."""
    leaves = Leaves(bundle, whole.roots)
    if leaves.signed() or not whole.mendable:
        return leaves
    broken = {at + tile * WIDTH for level, tile, at in upper_tiles(bundle, whole.roots) if level == 1}
    full, partial = [one for one in whole.mendable if one in broken], whole.mendable[-1:]
    for chosen in (full, [*full, *partial]):
        tried = Leaves(bundle, whole.roots, chosen[:ROW])
        if tried.signed():
            for tile in chosen[:20]:
                name = tile_path("0", tile, bundle.width(tile))
                result.find("tile_altered", name, "Its leaves are not those that were signed; the entries are.")
            mended = set(chosen)
            whole.runs[:] = [run for run in whole.runs if not mended.issuperset({run[1] // WIDTH, run[2] // WIDTH})]
            return tried
    return leaves


def check_tree(bundle: Bundle, leaves: Leaves, others: list[Checkpoint], result: Result) -> bool:
    """Leaves against upper tiles and every checkpoint. True where they are those that were signed last."""
    inside = sorted((one for one in others if one.size <= bundle.size), key=lambda one: one.size)
    roots = leaves.trees([bundle.size, *(one.size for one in inside)])
    right = [one for one in inside if roots[one.size] == one.root]
    wrong = [one for one in inside if roots[one.size] != one.root]
    sound = roots[bundle.size] == bundle.root
    broken = list(upper_tiles(bundle, leaves.roots))
    if not sound:
        place_change(bundle, broken, right, wrong, result)
        return False
    for level, tile, at in broken[:20]:
        name = tile_path(str(level), tile, min(WIDTH, (bundle.size >> 8 * level) - tile * WIDTH))
        result.find("tile_altered", name, f"Its hash {at} is not the root of the tile below, which is as signed.")
    for one in wrong[:20]:
        if not authentic(bundle, one):
            result.find("checkpoint_altered", one.source, "It has not the tree's root at this size, and is not signed.")
            continue
        before = max((other.size for other in right if other.given and other.size < one.size), default=0)
        kept = "kept elsewhere" if one.given else "in the bundle"
        result.find(
            "forked", one.source,
            f"Two checkpoints are signed by {bundle.origin} and exclude each other: {one.source} ({kept}, {one.size:,} "
            f"entries) and the bundle's newest ({bundle.size:,} entries). They differ somewhere from entry {before} to "
            f"entry {one.size - 1}.", before, one.size - 1,
        )  # fmt: skip
    return True


def place_change(
    bundle: Bundle,
    broken: list[tuple[int, int, int]],
    right: list[Checkpoint],
    wrong: list[Checkpoint],
    result: Result,
) -> None:
    """Say between which entries leaves were altered: by the lowest tiles that do not fit, and by checkpoints."""
    after = next((one.size for one in reversed(right) if authentic(bundle, one)), 0)
    until = next((one.size for one in wrong if one.size > after and authentic(bundle, one)), bundle.size) - 1
    span = f"Earlier checkpoints put the change between entry {after} and entry {until}."
    if not broken:
        result.find(
            "leaf_edited", f"entries {after} to {until}",
            f"The tree over all {bundle.size:,} leaves has not the root that was signed: rows and their leaves, with "
            f"the tiles above them, were altered. {span}", after, until,
        )  # fmt: skip
    for level, tile, at in [one for one in broken if one[0] == broken[0][0]][:20]:
        child, width = tile * WIDTH + at, WIDTH**level
        first, last = child * width, (child + 1) * width - 1
        low, high = max(first, after), min(last, until)
        low, high = (low, high) if low <= high else (first, last)
        result.find(
            "leaf_edited", tile_path(str(level - 1), child, WIDTH),
            f"This tile does not lead to the level above and to the signed root. {span} A row and its leaf were "
            f"altered among entries {low} to {high}.", low, high,
        )  # fmt: skip


def check_entries(bundle: Bundle, whole: Part, sound: bool, result: Result) -> None:
    """Name what happened to the entries that do not hash to their leaf."""
    runs = whole.runs
    if whole.surplus:
        result.find("row_inserted", f"after entry {bundle.size - 1}", f"{whole.surplus} more entries than were signed.")
    for at, (kind, first, last) in enumerate(runs[:20]):
        if kind == "gone":
            if last == bundle.size - 1 and not bundle.withheld:
                result.find(
                    "tail_cut", f"from entry {first}",
                    f"The newest signed checkpoint has {bundle.size:,} entries; the last {last - first + 1:,} are "
                    "missing.", first, last,
                )  # fmt: skip
            else:
                where = f"entry {first}" if first == last else f"entries {first} to {last}"
                result.find("row_deleted", where, "The log has a leaf there, and no entry.", first, last)
            continue
        shift = shifted(bundle, first, last, runs[at + 1 :])
        if shift > 0:
            where = f"entry {first}" if shift == 1 else f"entries {first} to {first + shift - 1}"
            result.find(
                "row_deleted", where,
                f"From there on each entry stands {shift} too early: it hashes to the leaf of entry "
                f"{first + shift} and so on.", first, first + shift - 1,
            )  # fmt: skip
            return
        if shift < 0:
            result.find(
                "row_inserted", place(bundle, first, first - shift - 1),
                f"It was never sealed there: from entry {first - shift} on each entry stands {-shift} too late.",
                first, first - shift - 1,
            )  # fmt: skip
            return
        several = f"These {last - first + 1} entries do" if first != last else "The entry does"
        leaf = "the signed leaf" if sound else "its leaf"
        result.find("row_edited", place(bundle, first, last), f"{several} not hash to {leaf}.", first, last)
    if len(runs) > 20:
        result.find("row_edited", "further entries", f"{len(runs) - 20} further places do not match; 20 are named.")


def shifted(bundle: Bundle, first: int, last: int, later: Runs) -> int:
    """How many rows were taken out (positive) or put in (negative) before a stretch that does not match; else 0."""
    window = range(1, WIDTH)
    found = leaf_hash(bundle.entry(first))
    for shift in window:
        if first + shift >= bundle.size:
            break
        if bundle.leaf(first + shift) == found:
            if first + 1 + shift < bundle.size and first < last:
                return shift if leaf_hash(bundle.entry(first + 1)) == bundle.leaf(first + 1 + shift) else 0
            return shift if later and later[0] == ("gone", last + 1, bundle.size - 1) else 0
    wanted = bundle.leaf(first)
    for shift in window:
        if first + shift > last:
            break
        if leaf_hash(bundle.entry(first + shift)) == wanted:
            if first + shift + 1 <= last:
                return -shift if leaf_hash(bundle.entry(first + shift + 1)) == bundle.leaf(first + 1) else 0
            return -shift if last == bundle.size - 1 else 0
    return 0


def is_note(name: str) -> bool:
    """Whether an anchor's receipt is the checkpoint itself, with a witness's cosignature."""
    return name.startswith("anchors/") and name.rpartition("/")[2].partition(".")[2] in ("", "note")


def gather(bundle: Bundle, given: list[str], result: Result) -> list[Checkpoint]:
    """Every checkpoint but the newest: earlier ones and witnesses' in the bundle, and those kept elsewhere."""
    found = []
    for name in bundle.source.sizes:
        folder, _, last = name.rpartition("/")
        if folder == "checkpoints" or is_note(name):
            one = parse_checkpoint(bundle.source.read(name), name)
            if one.origin != bundle.origin or str(one.size) != last.partition(".")[0]:
                raise Unusable(f"{name} is the checkpoint of another log or size")
            found.append(one)
    for path in given:
        names = [os.path.join(path, one) for one in sorted(os.listdir(path))] if os.path.isdir(path) else [path]
        for name in names:
            one = parse_checkpoint(read_file(name), name, given=True)
            if one.origin != bundle.origin:
                raise Unusable(f"{name} is of the log {short(one.origin)}, not of {bundle.origin}")
            authentic(bundle, one)
            found.append(one)
        if not names:
            raise Unusable(f"{path} holds no checkpoint")
    return found


def check_larger(bundle: Bundle, others: list[Checkpoint], result: Result) -> None:
    """Checkpoints of more entries than the bundle has."""
    newest: dict[int, Checkpoint] = {}
    if bundle.claimed < bundle.size:
        result.find("tail_cut", f"from entry {bundle.claimed}", f"The bundle speaks of {bundle.claimed:,} entries; its "
                    f"signed checkpoint has {bundle.size:,}.", bundle.claimed, bundle.size - 1)  # fmt: skip
    for one in others:
        if one.size <= bundle.size:
            continue
        if not authentic(bundle, one):
            result.find("checkpoint_altered", one.source, "It is not signed by the log.")
            continue
        other = newest.setdefault(one.size, one)
        if other.root != one.root:
            result.find("forked", one.source, f"{other.source} is signed too, for the same {one.size:,} entries, with "
                        "another root.")  # fmt: skip
    for given, attack in ((True, "restored"), (False, "tail_cut")):
        sizes = [size for size, one in newest.items() if one.given is given]
        if sizes:
            one, kept = newest[max(sizes)], "kept elsewhere" if given else "in the bundle"
            also = " Or its tail was cut off together with its newer checkpoints." if given else ""
            result.find(
                attack, f"from entry {bundle.size}",
                f"{one.source}, a signed checkpoint {kept}, has {one.size:,} entries; this log ends at entry "
                f"{bundle.size - 1}. Entries {bundle.size} to {one.size - 1} are gone.{also}",
                bundle.size, one.size - 1,
            )  # fmt: skip


def check_witnesses(bundle: Bundle, others: list[Checkpoint], wanted: list[Key], result: Result) -> int:
    """Cosignatures by witnesses that were named, else by those it names. Returns the largest size one named saw."""
    keys = wanted or [key for key in bundle.keys.bundled if key.kind == 4]
    notes = sorted([bundle.checkpoint, *others], key=lambda one: -one.size)
    largest = 0
    for key in keys:
        for one in notes:
            try:
                signed = one.note.signed([key])
            except Forged:
                result.find("signature_invalid", one.source, f"The cosignature of {key.name} is not valid.")
                break
            if signed:
                seen = f"{key.name} saw the first {one.size:,} entries at POSIX time {moment(signed[1])}"
                result.checked.append(f"{seen} ({one.source})" + ("" if wanted else ", by a key from the bundle"))
                largest = max(largest, one.size if wanted else 0)
                break
        else:
            if wanted:
                result.find("not_witnessed", key.name, "No checkpoint here is cosigned by this witness.")
    return largest


def check_stamps(bundle: Bundle, others: list[Checkpoint], result: Result) -> None:
    """Time stamps must be over the checkpoint of their size; other receipts only say where to look."""
    notes = {one.size: one.note.raw for one in [*others, bundle.checkpoint] if "anchors/" not in one.source}
    stamps = left = 0
    for name in bundle.source.sizes:
        if not name.startswith("anchors/") or is_note(name):
            continue
        size = int(name.rpartition("/")[2].partition(".")[0])
        if not name.endswith(".tsr") or size not in notes:
            left += 1
        elif hashlib.sha256(notes[size]).digest() in bundle.source.read(name):
            stamps += 1
        else:
            result.find("anchor_altered", name, "This time stamp is not over the checkpoint of its size.")
    if stamps:
        result.checked.append(
            f"{stamps} time stamps name the digest of their checkpoint; who signed them is for openssl ts -verify"
        )
    if left:
        result.checked.append(f"{left} anchor receipts only say where a checkpoint is kept: fetch it, --checkpoint")


class Receipt(NamedTuple):
    source: str
    event: str
    leaf: bytes
    time: str


def parse_receipt(raw: bytes, source: str, bundle: Bundle, result: Result) -> Receipt:
    note = parse_note(raw, source)
    lines = note.body.decode().split("\n")
    if len(lines) != 6 or lines[0] != RECEIPT or lines[5] or not re.fullmatch(r"\S{27}", lines[4]):
        raise Unusable(f"{source} is not a receipt ({RECEIPT})")
    if lines[1] != bundle.origin:
        raise Unusable(f"{source} is a receipt of the log {short(lines[1])}, not of {bundle.origin}")
    try:
        signed = note.signed([key for key in bundle.keys.pinned + bundle.keys.bundled if key.kind == 1])
    except Forged:
        raise Unusable(f"{source} is damaged or forged: its signature is not valid") from None
    if signed is None:
        raise Unusable(f"{source} is signed by no key that is known here. Give the portal's key with --key")
    if bundle.keys.pinned and not bundle.keys.is_pinned(signed[0]):
        result.checked.append(f"{source} is signed by {signed[0].name}, a key that came from the bundle itself")
    return Receipt(source, lines[2], decode(lines[3], f"the leaf hash in {source}"), lines[4])


def check_receipts(bundle: Bundle, paths: list[str], result: Result) -> None:
    """Every event that a receipt promises must be in a tree that was signed later."""
    raws = [(name, bundle.source.read(name)) for name in bundle.source.sizes if name.startswith("receipts/")]
    raws += [(path, read_file(path)) for path in paths]
    receipts = [parse_receipt(raw, name, bundle, result) for name, raw in raws]
    if not receipts:
        return
    missing = {one.leaf: one for one in receipts}
    for tile in range(bundle.tiles()):
        leaves = bundle.source.hashes(0, tile, bundle.width(tile))
        for at in range(0, len(leaves), HASH) if missing else ():
            one = missing.pop(leaves[at : at + HASH], None)
            if one:
                result.checked.append(f"the event of {one.source} is entry {tile * WIDTH + at // HASH}")
    newest = ""
    for tile in range(bundle.tiles() - 1, -1, -1):
        times = [event_of(entry).get("time") for entry in bundle.source.entries(tile, bundle.width(tile))[0] if entry]
        newest = max((time for time in times if isinstance(time, str)), default="")
        if newest:
            break
    for one in missing.values():
        if newest <= one.time:
            result.open.append(
                f"whether the event of {one.source} was removed before it was sealed: the receipt is of {one.time} and "
                f"the newest entry here of {newest or 'no known time'}. Take a later bundle."
            )
            continue
        result.find(
            "removed_before_sealing", f"event {one.event}",
            f"{one.source} promises this event, recorded at {one.time}; the tree, signed later with entries up to "
            f"{newest}, has no leaf {base64.b64encode(one.leaf).decode()}.",
        )  # fmt: skip


def verify_bundle(options: argparse.Namespace) -> Result:
    """Everything, in the order that docs/audit-log.md describes."""
    if is_pack(options.bundle):
        return verify_pack(options)
    result = Result()
    bundle = Bundle(options.bundle, read_keys(options.key))
    keys = bundle.keys.of_log(bundle.origin)
    if not authentic(bundle, bundle.checkpoint):
        by = "the key that was given" if options.key else "a key in the bundle"
        result.find("signature_invalid", "checkpoint", f"It is not signed by {by} for {bundle.origin}.")
    others = gather(bundle, options.checkpoint, result)
    check_larger(bundle, others, result)
    processes = options.processes or min(8, os.cpu_count() or 1)
    whole, told_of = examine(bundle, processes, options.entries_only)
    sound = check_tree(bundle, mend(bundle, whole, result), others, result)
    check_entries(bundle, whole, sound, result)
    for _, findings in told_of.values():
        result.findings += findings
    witnessed = check_witnesses(bundle, others, read_keys(options.witness), result)
    check_stamps(bundle, others, result)
    check_receipts(bundle, options.receipt, result)
    inside = sum(not one.given for one in others)
    result.checked[:0] = [
        f"{whole.checked:,} entries hash to their leaves, and {bundle.size:,} leaves to the signed root",
        f"{inside:,} further checkpoints in the bundle and {len(others) - inside} kept elsewhere fit the tree",
        *(f"{count:,} {kind} fit the digests in their events" for kind, (count, _) in told_of.items()),
    ] if not result.findings else []  # fmt: skip
    if bundle.withheld or bundle.first > 0 or bundle.last < bundle.size - 1:
        result.open.append("what the entries say that this bundle withholds: only their leaves were checked")
    if options.entries_only:
        result.open.append("that disclosures or records were altered: they were not looked at (--entries-only)")
    say_open(bundle, options, keys, max([witnessed, *(one.size for one in others if one.given)]), result)
    root = base64.b64encode(bundle.root).decode()
    result.about = {"log": bundle.origin, "size": bundle.size, "root": root, "keys": [key.text for key in keys]}
    return result


def say_open(bundle: Bundle, options: argparse.Namespace, keys: list[Key], known: int, result: Result) -> None:
    """What could not be ruled out, because something to compare with was not given."""
    if not any(bundle.keys.is_pinned(key) for key in keys):
        pin = keys[0].text if keys else "VKEY"
        result.open.append(
            "that another log was put in this one's place: the key came from the bundle itself. Compare it with the "
            f"one that the log's operator publishes, and pin it: --key '{pin}'"
        )
    if not options.checkpoint:
        result.open.append(
            "that the whole database was put back to an earlier state: no checkpoint kept elsewhere was given "
            "(--checkpoint FILE)"
        )
    if not known:
        result.open.append(
            "that others are shown a forked history: neither a checkpoint kept elsewhere nor a witness was given"
        )
    elif known < bundle.size:
        result.open.append(f"a forked history from entry {known} on, which nothing kept elsewhere covers")
    if not options.receipt:
        result.open.append(
            "that an event was removed before it was sequenced: no receipt of an act was given (--receipt FILE)"
        )


def parse_proof(raw: bytes, name: str) -> tuple[int, list[bytes], Checkpoint]:
    """A c2sp.org/tlog-proof: the entry's number, its path, and the checkpoint that it leads to."""
    head, _, note = raw.partition(b"\n\n")
    lines = text_of(head, name).split("\n")
    if lines.pop(0) != PROOF or not note:
        raise Unusable(f"{name} is not a proof ({PROOF})")
    if lines and lines[0].startswith("extra "):
        lines.pop(0)
    if not lines or not lines[0].startswith("index "):
        raise Unusable(f"{name} names no index")
    index = number(lines.pop(0)[6:], f"the index in {name}")
    return index, [decode(line, f"a hash in {name}") for line in lines], parse_checkpoint(note, name)


def verify_proof(options: argparse.Namespace) -> Result:
    """One entry's bytes against a c2sp.org/tlog-proof."""
    name, result = options.file, Result()
    index, path, checkpoint = parse_proof(read_file(name), name)
    keys = Keys(read_keys(options.key), [])
    if not keys.of_log(checkpoint.origin):
        raise Unusable(f"a proof brings no key of its own: give that of {checkpoint.origin} with --key")
    if index >= checkpoint.size or len(path) > 64 or any(len(one) != HASH for one in path):
        raise Unusable(f"{name} is not a proof within a tree of {checkpoint.size} entries")
    try:
        signed = checkpoint.note.signed(keys.of_log(checkpoint.origin))
    except Forged:
        signed = None
    if signed is None:
        result.find(
            "signature_invalid", name, f"Its checkpoint is not signed by the key given for {checkpoint.origin}."
        )
    entry = read_file(options.entry)
    if not verify_inclusion(index, checkpoint.size, leaf_hash(entry), path, checkpoint.root):
        shorter = entry[:-1] if entry.endswith(b"\n") else entry
        hint = ""
        if shorter != entry and verify_inclusion(index, checkpoint.size, leaf_hash(shorter), path, checkpoint.root):
            hint = " Without the line break at the end of the file it would: an entry has none."
        result.find("row_edited", f"entry {index}", f"These bytes do not lead to the signed root.{hint}", index, index)
    check_cosigned(checkpoint, read_keys(options.witness), result)
    root = base64.b64encode(checkpoint.root).decode()
    result.about = {"log": checkpoint.origin, "size": checkpoint.size, "root": root, "index": index}
    if not result.findings:
        result.checked.insert(0, f"these bytes are entry {index} of the {checkpoint.size:,} that were signed")
    return result


def check_cosigned(checkpoint: Checkpoint, keys: list[Key], result: Result) -> None:
    for key in keys:
        try:
            signed = checkpoint.note.signed([key])
        except Forged:
            signed = None
        if signed:
            result.checked.append(f"{key.name} saw it at POSIX time {moment(signed[1])}")
        else:
            result.find("not_witnessed", key.name, "This checkpoint has no valid cosignature of this witness.")


def verify_consistency(options: argparse.Namespace) -> Result:
    """Two checkpoints against the tiles of a bundle that is at least as large."""
    result, bundle = Result(), Bundle(options.bundle, read_keys(options.key))
    pair = [parse_checkpoint(read_file(path), path, given=True) for path in (options.old, options.new)]
    for one in pair:
        if one.origin != bundle.origin:
            raise Unusable(f"{one.source} is of the log {short(one.origin)}, not of {bundle.origin}")
        authentic(bundle, one)
    old, new = sorted(pair, key=lambda one: one.size)
    result.about = {"log": bundle.origin, "size": new.size, "root": base64.b64encode(new.root).decode()}
    if old.size == new.size:
        if old.root != new.root:
            result.find("forked", new.source, f"{old.source} is signed too, for as many entries, with another root.")
    elif new.size > bundle.size:
        raise Unusable(f"the bundle has {bundle.size:,} entries, too few to compare with {new.source} ({new.size:,})")
    else:
        roots = [tile_root(bundle.source.hashes(0, tile, WIDTH)) for tile in range(bundle.full())]
        found = Leaves(bundle, roots).trees([old.size, new.size, bundle.size])
        own = found[bundle.size] == bundle.root and authentic(bundle, bundle.checkpoint)
        if found[new.size] != new.root and not own:
            raise Unusable(
                "the bundle's tiles do not lead to a signed checkpoint of its own: verify it, or take another"
            )
        for one in (old, new):
            if found[one.size] != one.root:
                result.find(
                    "forked", one.source,
                    f"It is signed for {one.size:,} entries, and is not consistent with the tree of the bundle, which "
                    "leads to another signed checkpoint.",
                )  # fmt: skip
    if not result.findings:
        result.checked.append(f"the log of {new.size:,} entries begins with that of {old.size:,}")
    if not bundle.keys.pinned:
        result.open.append("that the key is another's: it came from the bundle itself (--key VKEY)")
    return result


# An evidence pack: what one review request rests on, with proofs of the entries that sealed it


class PackSource(Source):
    """Files of a pack. Its index says which belong there, so any name that stays within it is taken."""

    what = "pack"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.digests: dict[str, str] = {}

    def known(self, name: str) -> bool:
        return True

    def limit(self, name: str) -> int:
        return MAX_STREAM if name.startswith("evidence/") else MAX_SMALL

    def digest(self, name: str) -> str:
        if name not in self.digests:
            self.digests[name] = self._digest(name)
        return self.digests[name]

    def _digest(self, name: str) -> str:
        begun, size = hashlib.sha256(), 0
        try:
            with self._open(name) as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    begun.update(piece)
                    size += len(piece)
        except Exception as error:
            raise Unusable(f"{name} is damaged: {short(str(error))}") from None
        if size != self.sizes[name]:
            raise Unusable(f"{name} is damaged: it has not the size the pack says")
        return f"sha256:{begun.hexdigest()}"


def is_pack(path: str) -> bool:
    """Whether it names itself an evidence pack. What cannot be read is not one, and is named elsewhere."""
    if os.path.isdir(path):
        return any(os.path.exists(os.path.join(path, name)) for name in (INDEX, INDEX_NOTE))
    try:
        with zipfile.ZipFile(path) as opened:
            return not {INDEX, INDEX_NOTE}.isdisjoint(opened.namelist())
    except Exception:
        return False


class Index(NamedTuple):
    """What pack.json says."""

    origin: str
    request: str
    revision: int
    made_at: str
    left_out: list[str]
    files: dict[str, tuple[str, int]]  # digest and size by name


NEEDED = ("manifest.json", "policy.json", "checkpoint", "keys/keys.txt", "keys/jwks.json", "gate.dsse.json")


def parse_index(raw: bytes) -> Index:
    about = parse_json(raw, INDEX)
    if about.get("format") != PACK:
        raise Unusable(f"{INDEX} names the format {short(str(about.get('format')))}, not {PACK}")
    texts, left_out, listed = ("origin", "request", "made_at"), about.get("left_out"), about.get("files")
    revision = about.get("revision")
    if not all(isinstance(about.get(name), str) for name in texts) or type(revision) is not int:
        raise Unusable(f"{INDEX} does not say which request this is")
    if not isinstance(left_out, list) or not isinstance(listed, dict):
        raise Unusable(f"{INDEX} lists no files")
    files = {}
    for name, one in listed.items():
        digest, size = inner(one, "sha256"), inner(one, "size")
        if not isinstance(digest, str) or type(size) is not int:
            raise Unusable(f"{INDEX} gives no digest and size of {short(name)}")
        files[name] = (digest, size)
    for name in NEEDED:
        if name not in files:
            raise Unusable(f"the pack lacks {name}: {INDEX} does not list it")
    told = [str(one) for one in left_out]
    return Index(about["origin"], about["request"], revision, about["made_at"], told, files)


def inner(value: Any, *path: str) -> Any:
    """What stands within JSON under these names, None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class Pack(Bundle):
    """A pack has the log's checkpoint and keys as a bundle has, and of its tree no more than proofs."""

    source: PackSource
    index: Index

    def __init__(self, path: str, pinned: list[Key]) -> None:
        self.source = PackSource(path)
        for name in (INDEX, INDEX_NOTE):
            if name not in self.source.sizes:
                raise Unusable(f"the pack lacks {name}")
        self.raw = self.source.read(INDEX)
        self.keys = Keys(pinned, self._keys())

    def _keys(self) -> list[Key]:
        """What keys/keys.txt holds. Where it was altered, that is found with the other files."""
        try:
            return [parse_key(line) for line in text_of(self.source.read("keys/keys.txt"), "").split("\n") if line]
        except Unusable:
            return []

    def read_log(self) -> None:
        self.checkpoint = parse_checkpoint(self.source.read("checkpoint"), "checkpoint")
        self.origin, self.size, self.root = self.checkpoint.origin, self.checkpoint.size, self.checkpoint.root
        if self.origin != self.index.origin:
            raise Unusable(f"{INDEX} and checkpoint do not name the same log")

    def json(self, name: str) -> dict[str, Any]:
        return parse_json(self.source.read(name), name)

    def numbered(self, pattern: str) -> dict[int, str]:
        """Names of files by the number in them, in its order."""
        found = ((re.fullmatch(pattern, name), name) for name in self.source.sizes)
        return dict(sorted((int(match[1]), name) for match, name in found if match))


def check_index(pack: Pack, result: Result) -> Key | None:
    """Whether pack.json is what the portal signed and every file what pack.json says. The key that signed."""
    signature: tuple[Key, bytes] | None = None
    lines: list[str] = []
    try:
        note = parse_note(pack.source.read(INDEX_NOTE), INDEX_NOTE)
        lines = note.body.decode().split("\n")
        if len(lines) == 6 and lines[0] == PACK:
            signature = note.signed(pack.keys.of_portal(lines[1]))
    except (Unusable, Forged):
        pass
    signed = signature[0] if signature else None
    altered = signed is not None and lines[3] != f"sha256:{hashlib.sha256(pack.raw).hexdigest()}"
    if altered:
        result.find("file_altered", INDEX, f"It is not the index over which {INDEX_NOTE} was signed.")
    try:
        pack.index = parse_index(pack.raw)
    except Unusable:
        if altered:
            return None
        raise
    same = altered or lines[1:3] + lines[4:5] == [pack.index.origin, pack.index.request, pack.index.made_at]
    check_files(pack, result)
    if (signed is None or not same) and "keys/keys.txt" not in {one.where for one in result.findings}:
        given = any(map(pack.keys.is_pinned, pack.keys.of_portal(pack.index.origin)))
        by = "a key that was given" if given else "a key in the pack"
        sentence = f"It is not a signature by {by} over this index, so anybody may have made this pack."
        result.findings.insert(0, Finding("signature_invalid", INDEX_NOTE, sentence))
    return signed


def check_files(pack: Pack, result: Result) -> None:
    """Every file is listed and has its digest, and every one that is listed is there."""
    listed = pack.index.files
    for name in sorted(set(pack.source.sizes) - set(listed) - {INDEX, INDEX_NOTE}):
        result.find("file_added", name if name.isprintable() else short(name), f"{INDEX} does not list it.")
    for name, (digest, size) in listed.items():
        if name not in pack.source.sizes:
            result.find("file_missing", name, f"{INDEX} lists it, and it is not here.")
        elif pack.source.sizes[name] != size or pack.source.digest(name) != digest:
            result.find("file_altered", name, f"{INDEX} lists another digest or size for it.")


Events = dict[int, dict[str, Any]]


def check_proofs(pack: Pack, result: Result) -> Events:
    """The entries that lead to the signed root, parsed, by their number."""
    events: Events = {}
    for index, name in pack.numbered(r"entries/(0|[1-9][0-9]{0,12})\.json").items():
        raw, proof = pack.source.read(name), f"proofs/{index}.tlog-proof"
        told, path, checkpoint = parse_proof(pack.source.read(proof), proof)
        if told != index or checkpoint.note.raw != pack.checkpoint.note.raw:
            result.find("row_edited", proof, f"It is no proof of entry {index} under the checkpoint of this pack.")
        elif not verify_inclusion(index, pack.size, leaf_hash(raw), path, pack.root):
            result.find("row_edited", name, "These bytes do not lead to the signed root.", index, index)
        else:
            events[index] = parse_json(raw, name)
    return events


def about_request(pack: Pack, events: Events, *names: str) -> Iterator[tuple[int, dict[str, Any], Any]]:
    """Acts of these names on the request: number of the entry, event and facts."""
    for index, event in events.items():
        on = {"type": "approvals.reviewrequest", "id": pack.index.request}
        if event.get("event") in names and event.get("object") == on and event.get("outcome") == "done":
            yield index, event, event.get("facts")


def check_revisions(pack: Pack, events: Events, result: Result) -> dict[str, Any]:
    """Each manifest is the one whose digest the log sealed when it was submitted. The newest of them."""
    files = pack.numbered(r"revisions/([1-9][0-9]{0,6})\.json")
    sealed = {
        inner(facts, "revision"): (index, inner(facts, "digest") or inner(facts, "to"))
        for index, _, facts in about_request(pack, events, "request.submitted", "request.revised")
    }
    for revision, (index, digest) in sealed.items():
        name = f"revisions/{revision}.json"
        if name not in pack.source.sizes:
            result.find("manifest_altered", name, f"Entry {index} sealed this revision, and it is not here.")
        elif pack.source.digest(name) != digest:
            result.find("manifest_altered", name, f"Entry {index} sealed another manifest for this revision.")
    for revision, name in files.items():
        if revision not in sealed:
            result.find("manifest_altered", name, "No entry here seals its digest.")
    newest = files.get(pack.index.revision)
    if newest is None or pack.index.revision != max(files):
        result.find("manifest_altered", INDEX, "The revision that it names is not the newest one here.")
    elif pack.source.digest("manifest.json") != pack.source.digest(newest):
        result.find("manifest_altered", "manifest.json", f"It is not {newest}, which the log sealed.")
    manifest = pack.json("manifest.json")
    if manifest.get("request") != pack.index.request or manifest.get("revision") != pack.index.revision:
        result.find("manifest_altered", "manifest.json", "It is of another request or revision.")
    return manifest


def check_decisions(pack: Pack, events: Events, result: Result) -> dict[str, dict[str, Any]]:
    """Each decision's record is as its entry sealed it, over a manifest that is here. Records by their file."""
    manifests = {pack.source.digest(name) for name in pack.numbered(r"revisions/([1-9][0-9]{0,6})\.json").values()}
    sealed, found = {}, {}
    for index, event, facts in about_request(pack, events, "decision.signed"):
        pk = str(inner(facts, "decision"))
        sealed[f"decisions/{pk}.json"] = (index, inner(event, "records", f"approvals.decision/{pk}"))
    for name, (index, digest) in sealed.items():
        if name not in pack.source.sizes:
            result.find("decision_missing", name, f"Entry {index} sealed it, and it is not here.")
            continue
        record = pack.json(name)
        if pack.source.digest(name) != digest:
            result.find("decision_altered", name, f"Entry {index} sealed another record.")
        elif record.get("digest") not in manifests:
            result.find("decision_altered", name, "It was signed over a manifest that is not here.")
        else:
            found[name] = record
    for name in pack.numbered(r"decisions/([1-9][0-9]{0,18})\.json").values():
        if name not in sealed:
            result.find("decision_altered", name, "No entry here seals it.")
    return found


def check_evidence(pack: Pack, manifest: dict[str, Any], result: Result) -> set[str]:
    """The files are those that the manifest names by digest. Their digests."""
    named = {str(inner(one, "id")): inner(one, "digest") for one in manifest.get("evidence") or []}
    there: dict[str, list[str]] = {pk: [] for pk in named}
    for name in pack.source.sizes:
        match = re.match("evidence/([^/]+)/", name)
        if match and match[1] in there:
            there[match[1]].append(name)
        elif name.startswith("evidence/"):
            result.find("evidence_altered", name, "The manifest names no such evidence.")
    for pk, names in there.items():
        if not names:
            result.find("evidence_altered", f"evidence/{pk}/", "The manifest names it, and it is not here.")
        for name in names:
            if pack.source.digest(name) != named[pk]:
                result.find("evidence_altered", name, "It has not the digest that the manifest names.")
    for one in manifest.get("risk_acceptances") or []:
        name = f"risk-acceptances/{inner(one, 'id')}.json"
        if name not in pack.source.sizes or pack.source.digest(name) != inner(one, "digest"):
            result.find("evidence_altered", name, "It is not the accepted risk that the manifest names by digest.")
    if pack.source.digest("policy.json") != inner(manifest, "policy", "digest"):
        result.find("policy_altered", "policy.json", "It has not the digest that the manifest names.")
    return {str(digest) for digest in named.values()}


def fingerprint(public: bytes) -> str:
    """How an envelope names an Ed25519 key: as OpenSSH does."""
    wire = b"\0\0\0\x0bssh-ed25519" + len(public).to_bytes(4, "big") + public
    return "SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).rstrip(b"=").decode()


ANSWER = "gate.dsse.json"
KINDS = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "https://slsa.dev/verification_summary/v1",
}
EXTENSION = "urn:countersign:gate-result:v1"


def open_answer(pack: Pack, result: Result) -> dict[str, Any] | None:
    """The statement in the envelope, where a key of the portal's signed it."""
    envelope = pack.json(ANSWER)
    kind, payload = envelope.get("payloadType"), envelope.get("payload")
    if kind != "application/vnd.in-toto+json" or not isinstance(payload, str):
        raise Unusable(f"{ANSWER} is not an envelope of the gate's")
    body = decode(payload, f"the payload of {ANSWER}")
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
    keys = {fingerprint(key.public): key for key in pack.keys.of_portal(pack.origin)}
    published = {inner(one, "x") for one in pack.json("keys/jwks.json").get("keys") or []}
    for one in envelope.get("signatures") or []:
        key = keys.get(str(inner(one, "keyid")))
        if key is None or not ed25519(key.public, signed, decode(str(inner(one, "sig")), f"a signature in {ANSWER}")):
            continue
        if base64.urlsafe_b64encode(key.public).rstrip(b"=").decode() not in published:
            result.find("signature_invalid", "keys/jwks.json", f"It lacks the key that signed {ANSWER}.")
        statement = parse_json(body, f"the statement in {ANSWER}")
        if any(statement.get(name) != value for name, value in KINDS.items()):
            raise Unusable(f"{ANSWER} is signed, but no answer of the gate's")
        return statement
    result.find("signature_invalid", ANSWER, "It is not signed by a key of the portal's.")
    return None


def check_pins(manifest: dict[str, Any], result: Result) -> None:
    """Of a model whose bytes are elsewhere, what is pinned has the digest that stands for them."""
    pinned = manifest.get("pinned")
    if not isinstance(pinned, dict):
        return
    document = {name: value for name, value in pinned.items() if name != "says"}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if "sha256:" + hashlib.sha256(text.encode()).hexdigest() != inner(manifest, "artifact", "digest"):
        result.find("manifest_altered", "manifest.json", "What it pins has not the digest of its artifact.")
    result.open.append(
        "which model ran: bytes not verified. It runs elsewhere, and what was signed is what could be pinned of it"
    )


def check_answer(
    pack: Pack, manifest: dict[str, Any], evidence: set[str], decisions: dict[str, dict[str, Any]], result: Result
) -> None:
    """The gate's answer is about these bytes and rests on exactly this manifest, this evidence, these decisions."""
    statement = open_answer(pack, result)
    if statement is None:
        return
    told, predicate = inner(statement, "predicate", EXTENSION), statement.get("predicate")
    subject = [inner(one, "digest", "sha256") for one in statement.get("subject") or []]
    said = f"the gate said {'yes' if inner(told, 'allowed') is True else 'no'} ({inner(told, 'state')})"
    if subject != [str(inner(manifest, "artifact", "digest")).partition(":")[2]]:
        result.find("answer_altered", ANSWER, "It is about other bytes than the manifest.")
    if str(inner(told, "request")) != pack.index.request:
        result.open.append(
            f"what follows from the gate's answer: it rests on request {inner(told, 'request')}, as {said} at "
            f"{inner(predicate, 'timeVerified')}, and not on this one"
        )
        return
    frozen = pack.source.digest("manifest.json")
    if inner(told, "revision_digest") != frozen or inner(told, "policy_digest") != pack.source.digest("policy.json"):
        result.find("answer_altered", ANSWER, "It rests on another manifest or policy than these.")
    inputs = {f"sha256:{inner(one, 'digest', 'sha256')}" for one in inner(predicate, "inputAttestations") or []}
    records = {pack.source.digest(name): name for name in decisions}
    for digest in sorted(inputs - {digest for digest, _ in pack.index.files.values()}):
        result.find("answer_altered", ANSWER, f"It rests on {digest}, which is no file here.")
    for digest in sorted({frozen, *evidence, *records} - inputs):
        name = records.get(digest, digest)
        result.find("answer_altered", ANSWER, f"{name} is here, and it does not rest on it.")
    for one in inner(told, "requirements") or []:
        for signer in inner(one, "signers") or []:
            slug = inner(one, "slug")
            if not any(counts(pack, record, str(slug), signer, manifest) for record in decisions.values()):
                where = f"the signature of {signer} for {slug}"
                result.find("decision_missing", where, f"{ANSWER} counts it, and no decision here says so.")
    result.checked.append(
        f"{said} at {inner(predicate, 'timeVerified')}, over this manifest, this evidence and these decisions"
    )


FIXED = ("environment", "use", "model", "version", "policy")  # what no signature carries over a change of


def counts(pack: Pack, record: dict[str, Any], slug: str, signer: Any, manifest: dict[str, Any]) -> bool:
    """Whether a decision approves this for this signer: over the newest manifest, or over an earlier one where the
    policy lets it carry over and what it is about is as it was."""
    if (record.get("requirement"), record.get("signer")) != (slug, signer):
        return False
    if record.get("outcome") not in ("approve", "approve_with_conditions"):
        return False
    if record.get("digest") == pack.source.digest("manifest.json"):
        return True
    asked = [
        one for stage in pack.json("policy.json").get("stages") or [] for one in inner(stage, "requirements") or []
    ]
    sections = next((inner(one, "carry_over_if") for one in asked if inner(one, "slug") == slug), None)
    for name in pack.numbered(r"revisions/([1-9][0-9]{0,6})\.json").values() if sections else ():
        if pack.source.digest(name) == record.get("digest"):
            signed = pack.json(name)
            kept = [*FIXED, *(str(one) for one in sections or [])]
            return all(one in signed and signed[one] == manifest.get(one) for one in kept)
    return False


def check_told(pack: Pack, events: Events, result: Result) -> int:
    """Names and reasons have the salted digests that their entries hold. How many there are."""
    by_id = {event.get("id"): event for event in events.values()}
    count, name = 0, "disclosures.jsonl"
    for at, line in pack.source.lines(name) if name in pack.source.sizes else ():
        value = parse_json(line, f"{name}, line {at}")
        if not all(isinstance(value.get(one), str) for one in TOLD["disclosures"][0]):
            raise Unusable(f"{name}, line {at} tells of nothing")
        key, label, raw = disclosed(value)
        if inner(by_id.get(value["event"]), key, label) != f"sha256:{hashlib.sha256(raw).hexdigest()}":
            result.find("disclosure_altered", f"{name}, line {at}", "Its event holds another digest, or is not here.")
        count += 1
    return count


def check_history(pack: Pack, others: list[Checkpoint], result: Result) -> int:
    """Other checkpoints of the log belong to the same history. The largest one kept elsewhere that was compared."""
    largest = 0
    for one in others:
        proof = f"consistency/{one.size}"
        if one.size == pack.size:
            fits = one.root == pack.root
        elif 0 < one.size < pack.size and proof in pack.source.sizes:
            lines = text_of(pack.source.read(proof), proof).splitlines()
            path = [decode(line, f"a hash in {proof}") for line in lines]
            fits = verify_growth(one.size, pack.size, one.root, pack.root, path)
        else:
            result.open.append(
                f"that {one.source} ({one.size:,} entries) is of another history: a pack has no proof from that size "
                f"to its own ({pack.size:,}). Compare it with a log bundle"
            )
            continue
        if fits:
            largest = max(largest, one.size if one.given else 0)
        elif authentic(pack, one):
            result.find("forked", one.source, f"It is signed, and not consistent with the {pack.size:,} entries here.")
        else:
            result.find("checkpoint_altered", one.source, "It is neither signed nor consistent with the one here.")
    return largest


def check_promised(pack: Pack, events: Events, paths: list[str], result: Result) -> None:
    """Receipts are of entries that are here; of others a pack says nothing."""
    known = {leaf_hash(pack.source.read(f"entries/{index}.json")): index for index in events}
    for path in paths:
        one = parse_receipt(read_file(path), path, pack, result)
        if one.leaf in known:
            result.checked.append(f"the event of {path} is entry {known[one.leaf]}")
        else:
            result.open.append(
                f"that the event of {path} was removed: a pack holds only the entries that its request rests on. "
                "Verify a log bundle with it"
            )


def verify_pack(options: argparse.Namespace) -> Result:
    """A pack, in the order that docs/approvals.md describes."""
    result, pack = Result(), Pack(options.bundle, read_keys(options.key))
    signer = check_index(pack, result)
    if hasattr(pack, "index"):
        index = pack.index
        result.about = {"pack": index.request, "revision": index.revision, "made_at": index.made_at}
    if any(one.attack.startswith("file_") for one in result.findings):
        return result
    pack.read_log()
    if not authentic(pack, pack.checkpoint):
        by = "the key that was given" if options.key else "a key in the pack"
        result.find("signature_invalid", "checkpoint", f"It is not signed by {by} for {pack.origin}.")
    events = check_proofs(pack, result)
    manifest = check_revisions(pack, events, result)
    check_pins(manifest, result)
    decisions = check_decisions(pack, events, result)
    evidence = check_evidence(pack, manifest, result)
    check_answer(pack, manifest, evidence, decisions, result)
    told = check_told(pack, events, result)
    others = gather(pack, options.checkpoint, result)
    known = check_history(pack, others, result)
    check_witnesses(pack, others, read_keys(options.witness), result)
    check_stamps(pack, others, result)
    check_promised(pack, events, options.receipt, result)
    result.checked[:0] = [
        f"{len(pack.index.files):,} files have the digests in {INDEX}, and {INDEX} the one that was signed",
        f"{len(events):,} entries are among the {pack.size:,} of the signed log, with {told:,} names and reasons",
        f"{len(decisions):,} decisions are as the log sealed them, each over a manifest that is here",
        f"{len(evidence):,} pieces of evidence and the policy have the digests that the manifest names",
    ] if not result.findings else []  # fmt: skip
    say_open_of_pack(pack, signer, known, result)
    root = base64.b64encode(pack.root).decode()
    result.about |= {"log": pack.origin, "size": pack.size, "root": root, "left_out": pack.index.left_out}
    return result


def say_open_of_pack(pack: Pack, signer: Key | None, known: int, result: Result) -> None:
    """What could not be ruled out, because something to compare with was not given."""
    keys = pack.keys.of_log(pack.origin)
    if not any(pack.keys.is_pinned(key) for key in keys):
        result.open.append(
            "that the whole pack was made up: the log's key came from the pack itself. Compare it with the one that "
            f"the log's operator publishes, and pin it: --key '{keys[0].text if keys else 'VKEY'}'"
        )
    if signer and not pack.keys.is_pinned(signer):
        result.open.append(
            "that the summary, the pages of reports and the gate's answer were made by somebody else: the portal's key "
            f"came from the pack itself. Pin it: --key '{signer.text}'"
        )
    if known < pack.size:
        result.open.append(
            "that others are shown another history of the log: no checkpoint of this size, kept elsewhere, was given"
        )
    result.open.append(f"what happened to the request after entry {pack.size - 1}: ask the gate")


# The command line


def read_keys(given: list[str]) -> list[Key]:
    """Keys as text or as files with one on each line."""
    keys = []
    for one in given:
        if os.path.exists(one):
            lines = [line.strip() for line in text_of(read_file(one), one).splitlines()]
            lines = [line for line in lines if line and not line.startswith("#")]
            if not lines:
                raise Unusable(f"{one} holds no key")
        elif "+" in one:
            lines = [one]
        else:
            raise Unusable(f"there is no file {short(one)}, and it is not a verifier key")
        keys += [parse_key(line) for line in lines]
    return keys


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Unusable(f"{message} (see --help)")


def parser(command: str) -> Parser:
    made = Parser("countersign-verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    many: dict[str, Any] = {"action": "append", "default": []}
    if command == "proof":
        made.add_argument("file", help="a proof (c2sp.org/tlog-proof)")
        made.add_argument("--entry", required=True, help="file with the entry's exact bytes")
    elif command == "consistency":
        made.add_argument("old", help="a signed checkpoint")
        made.add_argument("new", help="another")
        made.add_argument("--bundle", required=True, help="a bundle that is at least as large")
    else:
        made.add_argument("bundle", help="a log bundle or an evidence pack, as a zip or unpacked")
        made.add_argument("--checkpoint", metavar="FILE", help="a checkpoint kept elsewhere, or a folder", **many)
        made.add_argument("--receipt", metavar="FILE", help="a receipt that the portal gave for an act", **many)
        made.add_argument("--entries-only", action="store_true", help="leave disclosures and records unchecked")
        made.add_argument("--processes", type=int, default=0, help="how many work at once (default: one a core)")
    if command != "consistency":
        made.add_argument("--witness", metavar="VKEY", help="a witness that must have cosigned, or a file", **many)
    made.add_argument("--key", metavar="VKEY", help="a public key that is trusted, or a file of them", **many)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


COMMANDS = {"bundle": verify_bundle, "proof": verify_proof, "consistency": verify_consistency}


def show(result: Result) -> str:
    about, lines = result.about, []
    if "pack" in about:
        lines.append(
            f"Evidence pack: request {about['pack']}, revision {about['revision']}, made at {about['made_at']}"
        )
    if "log" in about:
        lines.append(f"Log: {about['log']}, {about['size']:,} entries, root {about['root']}")
    if not result.findings:
        lines.append("VERIFIED")
    for one in result.findings:
        lines.append(f"NOT VERIFIED: {ATTACKS[one.attack]}, {one.where}")
        lines.append(f"  {one.sentence}")
    lines += [f"Checked: {one}." for one in result.checked]
    lines += [f"Not ruled out: {one}" for one in result.open]
    lines += [f"Not in the pack: {one}" for one in about.get("left_out", [])]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        command = given.pop(0) if given and given[0] in COMMANDS else "bundle"
        result = COMMANDS[command](parser(command).parse_args(given))
    except Unusable as error:
        return _unusable(str(error), as_json)
    except KeyboardInterrupt:
        return _unusable("interrupted", as_json)
    except Exception as error:  # whatever a hostile file provokes, an auditor gets a sentence
        return _unusable(f"the input cannot be used ({type(error).__name__}: {short(str(error))})", as_json)
    finally:
        _worker.clear()
        while Source.opened:
            Source.opened.pop().close()
    if as_json:
        findings = [one.public() for one in result.findings]
        told_all = {"verified": not findings, **result.about, "findings": findings}
        print(json.dumps({**told_all, "checked": result.checked, "not_ruled_out": result.open}))
    else:
        print(show(result))
    return 1 if result.findings else 0


def _unusable(sentence: str, as_json: bool) -> int:
    line = " ".join(sentence.split())
    if as_json:
        print(json.dumps({"verified": False, "unusable": line}))
    else:
        print(f"countersign-verify: {line}", file=sys.stderr)
    return 2


def script() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a letter must not end in a traceback
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())


if __name__ == "__main__":
    script()
