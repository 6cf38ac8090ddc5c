"""What shows that an entry is in the log: its place, its proof, and the checkpoint with who signed and keeps it."""

from __future__ import annotations

import base64
import shlex
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ledger import reading
from ledger.anchors import anchors_over
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.models import Anchor, Checkpoint, Event, PublicKey
from ledger.notes import Line, Proof, VerifierKey, open_note, parse_checkpoint, proof_text, split_note

ALTERED = (
    "The bytes that the database holds now are not those that were sealed. Take a log bundle, verify it, and compare "
    "the entry with a copy kept elsewhere."
)
CONTRADICTION = (
    "What the database holds of the tree does not lead to the checkpoint that the log has signed. Take a log bundle "
    "and verify it: the verifier says what differs, and where."
)


@dataclass(frozen=True)
class Signature:
    """A line of a note. `valid` is None where no published key belongs to it."""

    name: str
    id: str
    role: str
    valid: bool | None
    at: datetime | None = None


@dataclass(frozen=True)
class Head:
    """A checkpoint for showing, from its signed note alone; `root` as in the note (base64)."""

    origin: str
    size: int
    root: bytes
    note: bytes

    @property
    def root64(self) -> str:
        return base64.b64encode(self.root).decode()

    @property
    def text(self) -> str:
        return self.note.decode()

    @property
    def signers(self) -> list[str]:
        """Names below the note, each once, not verified."""
        return list(dict.fromkeys(line.name for line in split_note(self.note)[1]))

    @property
    def key_ids(self) -> list[str]:
        return [f"{line.id:08x}" for line in split_note(self.note)[1]]

    @property
    def cosigners(self) -> list[str]:
        return [name for name in self.signers if name != self.origin]

    def signatures(self, keys: Iterable[PublicKey]) -> list[Signature]:
        return [self._judged(line, keys) for line in split_note(self.note)[1]]

    def _judged(self, line: Line, keys: Iterable[PublicKey]) -> Signature:
        number = f"{line.id:08x}"
        for key in keys:
            verifier = VerifierKey.parse(key.vkey)
            if (verifier.name, verifier.id) == (line.name, line.id):
                try:
                    (signed,) = open_note(self.note, [verifier]).signatures
                except ValueError:
                    return Signature(line.name, number, key.role, False)
                at = datetime.fromtimestamp(signed.time, UTC) if signed.time else None
                return Signature(line.name, number, key.role, True, at)
        return Signature(line.name, number, "", None)


def head_of(note: bytes) -> Head:
    """Raises ValueError for what is no checkpoint."""
    told = parse_checkpoint(split_note(note)[0])
    return Head(told.origin, told.size, told.root, note)


@dataclass(frozen=True)
class Placed:
    """Where an event stands in the tree; `proof` is None while it waits for its seal.

    Where what the database holds now contradicts what was sealed, `fault` says so.
    """

    event: Event
    proof: Proof | None
    fault: str = ""

    @property
    def state(self) -> str:
        return "altered" if self.fault else "sealed" if self.proof else "pending"

    @property
    def leaf(self) -> str:
        return "sha256:" + leaf_hash(bytes(self.event.bytes)).hex()

    @cached_property
    def head(self) -> Head | None:
        return head_of(self.proof.note) if self.proof else None

    @cached_property
    def text(self) -> bytes:
        """The proof as a file (c2sp.org/tlog-proof); empty while there is none."""
        return proof_text(self.proof.index, list(self.proof.hashes), self.proof.note) if self.proof else b""

    @property
    def hashes(self) -> list[str]:
        return [base64.b64encode(one).decode() for one in self.proof.hashes] if self.proof else []

    @cached_property
    def anchors(self) -> list[Anchor]:
        """For each place outside, the first checkpoint kept there that covers this entry."""
        return list(anchors_over(self.proof.index).defer("receipt")) if self.proof else []

    @cached_property
    def first(self) -> Checkpoint | None:
        """The checkpoint that sealed it, which may be older than the one its proof leads to."""
        if not self.proof or not self.head:
            return None
        return Checkpoint.objects.filter(origin=self.head.origin, size__gt=self.proof.index).order_by("size").first()

    def as_dict(self) -> dict[str, Any]:
        head = self.head
        return {
            "state": self.state,
            "entry": self.proof.index if self.proof else None,
            "leaf_hash": self.leaf,
            "hashes": self.hashes,
            "checkpoint": {"origin": head.origin, "size": head.size, "root": head.root64, "note": head.text}
            if head
            else None,
            "proof": self.text.decode(),
        }


def placed(event: Event) -> Placed:
    """Reads the proof and holds the bytes against it."""
    try:
        proof = reading.inclusion_proof(event)
    except ValueError:
        return Placed(event, None, CONTRADICTION)
    if proof is None:
        return Placed(event, None)
    head, leaf = head_of(proof.note), leaf_hash(bytes(event.bytes))
    same = verify_inclusion(proof.index, head.size, leaf, list(proof.hashes), head.root)
    return Placed(event, proof, "" if same else ALTERED)


def command(place: Placed) -> str:
    """What to type to check the two downloaded files with the log's own keys pinned."""
    own = place.head.origin if place.head else ""
    keys = [key.vkey for key in PublicKey.objects.filter(role=PublicKey.Role.LOG).order_by("since", "pk")]
    pinned = "".join(f" \\\n    --key {shlex.quote(key)}" for key in keys if VerifierKey.parse(key).name == own)
    name = f"event-{place.event.pk}"
    return f"python3 countersign_verify.py proof {name}.tlog-proof \\\n    --entry {name}.json{pinned}"


def seals(events: Iterable[Event]) -> dict[uuid.UUID, dict[str, Any]]:
    """How the API tells the seal of each event. Three queries, however many events."""
    found, newest = reading.seals_of(events), reading.newest_checkpoint()
    return {
        pk: {"state": "pending", "entry": None, "checkpoint": None}
        if entry is None
        else {"state": "sealed", "entry": entry, "checkpoint": newest.size if newest else None}
        for pk, entry in found.items()
    }
