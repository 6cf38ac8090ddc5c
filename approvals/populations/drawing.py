"""Canonical bytes of a population, and a random sample of it. No database: plain values in, plain values out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger.canonical import canonical, sha256


def canonical_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """RFC 8785 of each row, one a line, in the order given: what a population's digest is of."""
    return b"".join(canonical(dict(row)) + b"\n" for row in rows)


def digest_of(rows: Iterable[Mapping[str, Any]]) -> str:
    return sha256(canonical_lines(rows))


def rank(seed: str, pk: str) -> str:
    """Where a row stands in the lottery: SHA-256 of the seed, a colon and its id, in hexadecimal."""
    return hashlib.sha256(f"{seed}:{pk}".encode()).hexdigest()


def drawn(seed: str, ids: Iterable[str], size: int) -> Sequence[str]:
    """The ids with the lowest ranks, in the order of their ranks; all of them where there are no more."""
    return sorted(ids, key=lambda pk: rank(seed, pk))[:size]
