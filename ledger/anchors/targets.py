"""What every target of checkpoints has in common: plain values in, a receipt out, or a reason that says what to do."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Published:
    """A published checkpoint: the log's origin line, the number of entries, and the signed note verbatim."""

    origin: str
    size: int
    note: bytes

    @property
    def folder(self) -> str:
        """The origin as C2SP writes it into paths: SHA-256, lower-case hexadecimal."""
        return hashlib.sha256(self.origin.encode()).hexdigest()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.note).hexdigest()


@dataclass(frozen=True)
class Known:
    """What is known when a checkpoint is taken to a target: the size it had last, and proofs by their old size."""

    last: int = 0
    proofs: Mapping[int, Sequence[bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """Where a checkpoint now is, and the bytes that show it. Never holds a secret."""

    place: str
    content: bytes


class Failed(Exception):
    """A target has not taken the checkpoint. The sentence says what to do and holds no secret and no foreign text."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code, self.sentence = code, sentence


class NeedsProof(Exception):
    """A target wants the consistency proof from this older size."""

    def __init__(self, old: int) -> None:
        super().__init__(old)
        self.old = old


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    """A place outside the database. `every` is the least number of seconds between two checkpoints.

    `outside` says whether the portal's administrators could not alter what is kept there.
    """

    kind: ClassVar[str]

    name: str
    every: int = 0
    outside: bool = False

    @property
    @abstractmethod
    def place(self) -> str:
        """Where this is, as people may read it: without anything that could be secret."""

    @abstractmethod
    def take(self, what: Published, known: Known) -> Receipt:
        """Keep the checkpoint there. Safe to repeat. Raises Failed, or NeedsProof to be called again with it."""
