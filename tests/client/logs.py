"""Small logs as bundles, made with the portal's own rules, and the verifier to look at them."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import json
import sys
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger import merkle
from ledger.canonical import canonical, disclosure_bytes, sha256
from ledger.merkle import Tile
from ledger.notes import COSIGNATURE, Checkpoint, SigningKey, sign, with_cosignatures

SCRIPT = Path(__file__).parents[2] / "client" / "countersign_verify.py"
ORIGIN = "log.example/countersign"
LOG_KEY = SigningKey.from_text(
    "PRIVATE+KEY+log.example/countersign+ab286738+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
)
OTHER_KEY, PORTAL_KEY = SigningKey.generate(ORIGIN), SigningKey.generate("log.example/portal")
WITNESS = SigningKey.generate("witness.example/w1", COSIGNATURE)


def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("countersign_verify", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("countersign_verify", module)
    spec.loader.exec_module(module)
    return module


verifier = loaded()


def event(number: int, told: dict[str, str] | None = None, **more: Any) -> bytes:
    """The bytes of the event `number`; what is told of it is salted with its number."""
    return canonical({
        "v": 1, "id": event_id(number), "time": time(number), "actor": {"kind": "person", "id": "p1"},
        "event": "model.registered", "facts": {"number": number}, "object": None, "outcome": "done",
        "disclosures": {label: sha256(disclosure_bytes(salt(number), label, value))
                        for label, value in (told or {}).items()}, **more,
    })  # fmt: skip


def event_id(number: int) -> str:
    return str(uuid.UUID(int=(7 << 76) | (2 << 62) | number))


def time(number: int) -> str:
    return f"2026-11-24T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000000Z"


def salt(number: int) -> bytes:
    return number.to_bytes(16, "big")


def told(number: int, label: str, value: str) -> dict[str, str]:
    """The line that tells what an event only holds the digest of."""
    code = base64.urlsafe_b64encode(salt(number)).rstrip(b"=").decode()
    return {"event": event_id(number), "label": label, "salt": code, "value": value}


@dataclasses.dataclass
class Log:
    """A sealed log. `entries` and `tiles` may be altered after sealing, as somebody with the database would."""

    entries: list[bytes]
    key: SigningKey = LOG_KEY
    tiles: dict[Tile, bytes] = dataclasses.field(default_factory=dict)
    checkpoints: dict[int, bytes] = dataclasses.field(default_factory=dict)
    keys: list[SigningKey] = dataclasses.field(default_factory=lambda: [LOG_KEY, PORTAL_KEY])

    @classmethod
    def sealed(cls, entries: list[bytes], *sizes: int, key: SigningKey = LOG_KEY) -> Log:
        """Sealed in steps, with a checkpoint at each of the sizes and at the end."""
        log = cls(list(entries), key)
        log.keys = [key, PORTAL_KEY]
        hashes, before = [merkle.leaf_hash(entry) for entry in entries], 0
        for size in (*sizes, len(entries)):
            log.tiles |= merkle.grow(before, hashes[before:size], log.tiles.__getitem__)
            log.checkpoints[size], before = log.note(merkle.root(hashes[:size]), size), size
        return log

    @property
    def size(self) -> int:
        return max(self.checkpoints)

    def note(self, root: bytes, size: int) -> bytes:
        return sign(Checkpoint(ORIGIN, size, root).body(), [self.key])

    def rebuild(self, *, upto: int = 64) -> None:
        """Make the tiles anew from the entries, as somebody would who alters both; tiles above `upto` stay."""
        hashes = [merkle.leaf_hash(entry) for entry in self.entries]
        self.tiles |= {tile: data for tile, data in merkle.grow(0, hashes, self.tiles.__getitem__) if tile.level < upto}

    def files(self, **lines: list[dict[str, str]]) -> dict[str, bytes]:
        """The bundle; `disclosures=` and `records=` are the lines of those files."""
        size, newest = self.size, self.checkpoints[self.size]
        root = newest.split(b"\n")[2].decode()
        about = {
            "format": "countersign-log-bundle/1", "origin": ORIGIN, "size": size, "root": root,
            "first": 0 if size else None, "made_at": time(0), "last": size - 1, "filter": {},
            "keys": [key.vkey for key in self.keys],
        }  # fmt: skip
        files = {"bundle.json": json.dumps(about).encode(), "checkpoint": newest, "README.txt": b"", "verify.py": b""}
        files |= {f"checkpoints/{at}": note for at, note in self.checkpoints.items() if at < size}
        files |= {tile.path: data for tile, data in self.tiles.items()}
        rows = [*self.entries[:size], *[b""] * (size - len(self.entries))]
        for tile in merkle.bundles_for(0, size):
            first = tile.number * merkle.WIDTH
            files[tile.path] = merkle.encode_entries(rows[first : first + tile.width])
        for name, values in lines.items():
            files[f"{name}.jsonl"] = b"".join(json.dumps(value).encode() + b"\n" for value in values)
        return files


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def receipt(entry: bytes, number: int, key: SigningKey = PORTAL_KEY, origin: str = ORIGIN) -> bytes:
    leaf = base64.b64encode(merkle.leaf_hash(entry)).decode()
    return sign(f"countersign-receipt/1\n{origin}\n{event_id(number)}\n{leaf}\n{time(number)}\n".encode(), [key])


def cosigned(note: bytes, at: int = 1_700_000_000, by: SigningKey = WITNESS) -> bytes:
    return with_cosignatures(note, by.line(note[: note.rfind(b"\n\n") + 1], at))


def stamp(note: bytes) -> bytes:
    """Stands in for a time-stamp token: it holds the digest of what it was made over."""
    return b"0\x82" + hashlib.sha256(note).digest() + b"\x00"


@dataclasses.dataclass
class Verdict:
    code: int
    out: str
    err: str

    @property
    def attacks(self) -> list[str]:
        """Codes of what was found, in their order."""
        return [one["attack"] for one in self.json["findings"]]

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def places(self) -> list[tuple[str, int, int]]:
        return [(one["attack"], one["first"], one["last"]) for one in self.json["findings"]]

    @property
    def open(self) -> str:
        return "\n".join(self.json["not_ruled_out"])


def run(*arguments: Any) -> Verdict:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = verifier.main([str(one) for one in arguments])
    return Verdict(code, out.getvalue(), err.getvalue())


Change = Callable[[dict[str, bytes]], None]
