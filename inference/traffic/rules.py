"""Latencies counted into fixed classes, and what can be said of them afterwards."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

# Upper ends of the classes, in microseconds: ten a decade from 100 µs to 63 s, so that a quantile is wrong by a
# quarter at most. Whatever took longer is in one class more.
BOUNDS = tuple(round(100 * 10 ** (step / 10)) for step in range(59))
CLASSES = len(BOUNDS) + 1


def class_of(micros: int) -> int:
    """The class of a latency in microseconds; its upper end belongs to it."""
    return bisect_left(BOUNDS, micros)


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The latency in microseconds that a `share` of requests (above 0, at most 1) did not exceed, by straight lines
    within a class; None where there were no requests. Of what took longer than the last bound, only that is said.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    seen = 0
    for number, count in enumerate(counts[: len(BOUNDS)]):
        if count and seen + count >= wanted:
            low = BOUNDS[number - 1] if number else 0
            return low + (BOUNDS[number] - low) * (wanted - seen) / count
        seen += count
    return float(BOUNDS[-1])


def summed(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Class by class."""
    total = [0] * CLASSES
    for counts in histograms:
        for number, count in enumerate(counts):
            total[number] += count
    return total


def cumulative(counts: Sequence[int], every: int = 1) -> list[tuple[int | None, int]]:
    """Pairs of an upper end in microseconds and how many did not exceed it, of every so-manieth class; the last pair
    has None for its end, and is all of them.
    """
    found: list[tuple[int | None, int]] = []
    seen = 0
    for number, bound in enumerate(BOUNDS):
        seen += counts[number]
        if number % every == 0:
            found.append((bound, seen))
    return [*found, (None, seen + counts[len(BOUNDS)])]
