"""Spans of time as the index of words has them (`ledger_spans`): an event lies in one of each length."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

# Bits of the milliseconds in a span: 18.6 hours, 3.1 days, 12.4 days, 49.7 days.
LENGTHS = (26, 28, 30, 32)


@dataclass(frozen=True)
class Spans:
    """The spans of one length, numbered from 1970 on, that hold all events from one id to another."""

    bits: int
    first: int
    last: int

    def words(self) -> str:
        """The query that finds what lies in any of them, longer ones in the place of several where they fit."""
        return " | ".join(self._fewest())

    def _fewest(self) -> Iterator[str]:
        at = self.first
        while at <= self.last:
            more = [one - self.bits for one in LENGTHS if one >= self.bits]
            shift = max(one for one in more if at % (1 << one) == 0 and at + (1 << one) - 1 <= self.last)
            yield f"@{self.bits + shift}/{at >> shift}"
            at += 1 << shift


def between(first: UUID, last: UUID, most: int) -> Spans:
    """The shortest spans of which `most` are enough, or the longest. Ids begin with their time (RFC 9562, 5.7)."""
    begin, end = first.int >> 80, last.int >> 80
    bits = next((one for one in LENGTHS if (end >> one) - (begin >> one) < most), LENGTHS[-1])
    return Spans(bits, begin >> bits, end >> bits)


def covering(first: UUID, last: UUID) -> str:
    """The query that finds what lies in the time from one id to another, and hardly more."""
    return between(first, last, sys.maxsize).words()
