"""Signed notes (c2sp.org/signed-note), checkpoints (tlog-checkpoint), cosignatures and proofs of a log (tlog-proof).

Pure but for `cryptography`. Everything is bytes as it is stored and sent; what cannot be read raises ValueError.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 1
COSIGNATURE = 4  # Ed25519 over the checkpoint and the time: what a witness does
KINDS = (ED25519, COSIGNATURE)
MAX_NOTE = 1_000_000
MAX_SIGNATURES = 100
PROOF_HEADER = b"c2sp.org/tlog-proof@v1"


def _decode(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise ValueError(f"{what} is not base64")
    return data


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise ValueError(f"a key's name is not empty and has no spaces and no plus sign, unlike {name!r}")


def key_id(name: str, kind: int, public: bytes) -> int:
    return int.from_bytes(sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4], "big")


def _key_parts(text: str, what: str) -> tuple[str, int, bytes]:
    """Name, kind and 32 bytes of `name+id+base64(kind || bytes)`; the id is checked by the caller."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise ValueError(f"{what} has the form name+8 hexadecimal digits+base64")
    _check_name(parts[0])
    data = _decode(parts[2], f"the last part of {what}")
    if data[0] not in KINDS or len(data) != 33:
        raise ValueError(f"{what} is not an Ed25519 key")
    return parts[0], data[0], data[1:]


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name. `kind` is ED25519 or COSIGNATURE."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        name, kind, public = _key_parts(vkey, "a verifier key")
        key = cls(name, kind, public)
        if key.vkey != vkey:
            raise ValueError(f"the verifier key of {name} does not match its id")
        return key

    @property
    def id(self) -> int:
        return key_id(self.name, self.kind, self.public)

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id:08x}+{_encode(bytes([self.kind]) + self.public)}"

    def verify(self, body: bytes, signature: bytes) -> bool:
        """Whether these bytes, as they stand after the key id in a signature line, sign the body."""
        if self.kind == COSIGNATURE:
            if len(signature) != 72:
                return False
            body, signature = _cosigned(body, _time(signature)), signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, body)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key with its name. `text` is secret; `vkey` is what to publish."""

    name: str
    kind: int
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str, kind: int = ED25519) -> SigningKey:
        _check_name(name)
        return cls(name, kind, Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """`PRIVATE+KEY+name+id+base64(kind || seed)`, as golang.org/x/mod/sumdb/note writes it."""
        text, prefix = text.strip(), "PRIVATE+KEY+"
        if not text.startswith(prefix):
            raise ValueError("a signing key begins with PRIVATE+KEY+")
        name, kind, seed = _key_parts(text[len(prefix) :], "a signing key")
        key = cls(name, kind, Ed25519PrivateKey.from_private_bytes(seed))
        if key.text != text:
            raise ValueError(f"the signing key of {name} does not match its id")
        return key

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.kind, self.private.public_key().public_bytes_raw())

    @property
    def vkey(self) -> str:
        return self.verifier.vkey

    @property
    def text(self) -> str:
        seed = self.private.private_bytes_raw()
        return f"PRIVATE+KEY+{self.name}+{self.verifier.id:08x}+{_encode(bytes([self.kind]) + seed)}"

    def __repr__(self) -> str:
        return f"<SigningKey {self.vkey}>"

    def line(self, body: bytes, at: int | None = None) -> bytes:
        """Signature line over a note's body; a witness's key also needs the POSIX time."""
        if (at is None) is (self.kind == COSIGNATURE):
            raise ValueError("a cosignature, and nothing else, is made at a time")
        stamp = b"" if at is None else at.to_bytes(8, "big")
        signed = body if at is None else _cosigned(body, at)
        data = self.verifier.id.to_bytes(4, "big") + stamp + self.private.sign(signed)
        return f"— {self.name} {_encode(data)}\n".encode()


def _time(signature: bytes) -> int:
    return int.from_bytes(signature[:8], "big")


def _cosigned(body: bytes, at: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % at + body


def sign(body: bytes, keys: Iterable[SigningKey]) -> bytes:
    """The signed note over a body, a line for each key. Raises ValueError for a body that no note may hold."""
    _check_text(body)
    if not body.endswith(b"\n"):
        raise ValueError("the body of a note ends with a newline")
    return body + b"\n" + b"".join(key.line(body) for key in keys)


def with_cosignatures(note: bytes, lines: bytes) -> bytes:
    """The note with the signature lines that a witness answered behind its own; those it has are not repeated."""
    body, had = split_note(note)
    _, added = split_note(body + b"\n" + lines)
    return note + b"".join(one.line for one in dict.fromkeys(added) if one not in had)


class Line(NamedTuple):
    """One signature line, not verified."""

    name: str
    id: int
    signature: bytes

    @property
    def line(self) -> bytes:
        return f"— {self.name} {_encode(self.id.to_bytes(4, 'big') + self.signature)}\n".encode()


def _check_text(data: bytes) -> str:
    if len(data) > MAX_NOTE:
        raise ValueError(f"a note has at most {MAX_NOTE} bytes, not {len(data)}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ValueError("a note is UTF-8 text") from error
    if any(char < " " and char != "\n" for char in text):
        raise ValueError("a note has no control characters")
    return text


def split_note(note: bytes) -> tuple[bytes, list[Line]]:
    """Body and signature lines of a note, without verifying any."""
    _check_text(note)
    at = note.rfind(b"\n\n")
    body, tail = note[: at + 1], note[at + 2 :]
    if at < 0 or not tail.endswith(b"\n"):
        raise ValueError("a note has a body, an empty line, and signature lines that end with a newline")
    lines = []
    for text in tail.decode()[:-1].split("\n"):
        dash, _, rest = text.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "—":
            raise ValueError("a signature line begins with a dash (U+2014) and a space")
        _check_name(name)
        data = _decode(encoded, f"the signature of {name}")
        if len(data) < 5:
            raise ValueError(f"the signature of {name} is too short")
        lines.append(Line(name, int.from_bytes(data[:4], "big"), data[4:]))
    if len(lines) > MAX_SIGNATURES:
        raise ValueError(f"a note has at most {MAX_SIGNATURES} signatures, not {len(lines)}")
    return body, lines


class Signature(NamedTuple):
    """A verified signature; `time` (POSIX seconds) is what a witness signed, None otherwise."""

    key: VerifierKey
    time: int | None


class Note(NamedTuple):
    """A note whose signatures by known keys are all valid, at least one."""

    body: bytes
    signatures: tuple[Signature, ...]
    unknown: tuple[Line, ...]

    def signed_by(self, name: str, kind: int = ED25519) -> bool:
        return any((one.key.name, one.key.kind) == (name, kind) for one in self.signatures)


def open_note(note: bytes, keys: Iterable[str | VerifierKey]) -> Note:
    """Verify a note with these keys (vkeys or parsed).

    Raises ValueError when it is no note, when a known key's signature is wrong, or when no known key signed.
    """
    parsed = [VerifierKey.parse(key) if isinstance(key, str) else key for key in keys]
    known = {(key.name, key.id): key for key in parsed}
    body, lines = split_note(note)
    signatures: dict[VerifierKey, Signature] = {}
    unknown = []
    for line in lines:
        key = known.get((line.name, line.id))
        if key is None:
            unknown.append(line)
        elif key not in signatures:
            if not key.verify(body, line.signature):
                raise ValueError(f"the signature of {line.name} is not valid")
            time = _time(line.signature) if key.kind == COSIGNATURE else None
            signatures[key] = Signature(key, time)
    if not signatures:
        raise ValueError("no known key signed this note")
    return Note(body, tuple(signatures.values()), tuple(unknown))


@dataclass(frozen=True)
class Checkpoint:
    """Size and root of a log's tree: what the log signs."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def body(self) -> bytes:
        lines = (self.origin, str(self.size), _encode(self.root), *self.extensions)
        text = "".join(f"{line}\n" for line in lines).encode()
        if parse_checkpoint(text) != self:
            raise ValueError("a line of a checkpoint is not empty and has no newline")
        return text


def parse_checkpoint(body: bytes) -> Checkpoint:
    """Checkpoint of a note's body. Raises ValueError for anything that is not exactly one."""
    text = _check_text(body)
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:
        raise ValueError("a checkpoint has at least three lines, none empty, each ended by a newline")
    tree = _decode(lines[2], "the root of a checkpoint")
    if len(tree) != 32:
        raise ValueError(f"the root of a checkpoint has 32 bytes, not {len(tree)}")
    return Checkpoint(lines[0], _number(lines[1], "the size of a checkpoint"), tree, tuple(lines[3:]))


def open_checkpoint(note: bytes, keys: Iterable[str | VerifierKey], origin: str) -> tuple[Checkpoint, Note]:
    """Verify a signed checkpoint of this log, whose own key has the origin's name. Raises ValueError otherwise."""
    opened = open_note(note, keys)
    checkpoint = parse_checkpoint(opened.body)
    if checkpoint.origin != origin:
        raise ValueError(f"the checkpoint is of {checkpoint.origin}, not of {origin}")
    if not opened.signed_by(origin):
        raise ValueError(f"{origin} itself did not sign the checkpoint")
    return checkpoint, opened


def _number(text: str, what: str) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text) or int(text) >= 1 << 63:
        raise ValueError(f"{what} is a decimal number without leading zeroes below 2**63")
    return int(text)


@dataclass(frozen=True)
class Proof:
    """That an entry is in a log: its index, its audit path from the leaf upwards, and the signed checkpoint."""

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes = b""


def proof_text(index: int, hashes: Iterable[bytes], note: bytes, extra: bytes = b"") -> bytes:
    """The proof as c2sp.org/tlog-proof@v1 writes it; `extra` is unauthenticated."""
    head = [PROOF_HEADER.decode(), *([f"extra {_encode(extra)}"] if extra else []), f"index {index}"]
    return "\n".join([*head, *map(_encode, hashes), "", ""]).encode() + note


def parse_proof(text: bytes) -> Proof:
    """Raises ValueError for anything but a c2sp.org/tlog-proof@v1; neither note nor path are verified."""
    head, found, note = text.partition(b"\n\n")
    lines = _check_text(head).split("\n")
    if not found or lines.pop(0) != PROOF_HEADER.decode():
        raise ValueError("a proof begins with c2sp.org/tlog-proof@v1 and ends with a checkpoint after an empty line")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _decode(lines.pop(0)[6:], "the extra data of a proof")
    if not lines or not lines[0].startswith("index "):
        raise ValueError("a proof names the index of its entry")
    index = _number(lines.pop(0)[6:], "the index of a proof")
    hashes = tuple(_decode(line, "a hash of a proof") for line in lines)
    if len(hashes) > 63 or any(len(one) != 32 for one in hashes):
        raise ValueError("a proof has at most 63 hashes of 32 bytes")
    split_note(note)
    return Proof(index, hashes, note, extra)
