"""What would have had to be different for the other answer: few features, moved little, found by asking the model.

The row that comes out is made up: values are steps between common values of the sample, and one that equals a row of
the sample is not given out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fairness.metrics import Floats

Decide = Callable[[Floats], tuple[Floats, NDArray[np.bool_]]]
MOST_CHANGED = 3
KEPT = 3
HALVINGS = 8
QUANTILES = np.linspace(0.05, 0.95, 9)
BUDGET = 400_000


@dataclass(frozen=True)
class Field:
    """What a feature may become: `steps` to try, whether values between them exist, and how far one unit is."""

    steps: Floats
    between: bool
    whole: bool
    spread: float


def field_of(column: Floats, is_text: bool) -> Field:
    kinds = np.unique(column)
    if is_text or len(kinds) <= 10:
        spread = float(kinds[-1] - kinds[0]) or 1.0
        return Field(kinds, False, False, 1.0 if is_text else spread)
    whole = bool((column == np.round(column)).all())
    steps = np.unique(np.quantile(column, QUANTILES))
    steps = np.unique(np.round(steps)) if whole else np.array([float(f"{step:.4g}") for step in steps])
    return Field(steps, True, whole, float(np.subtract(*np.quantile(column, [0.9, 0.1]))) or 1.0)


def counterfactuals(
    decide: Decide, sample: Floats, rows: Floats, free: Sequence[int], text: Sequence[int],
    step: Callable[[float], None] = lambda share: None,
) -> list[dict[int, float] | None]:  # fmt: skip
    """For each row the features to change, with their new values; None where no change of up to three was found.

    `decide` gives scores and answers for a table; `free` are the features that may change; `step` is told the share
    done and may raise to stop.
    """
    found: list[dict[int, float] | None] = [None] * len(rows)
    if not free:
        return found
    fields = {i: field_of(sample[:, i], i in text) for i in free}
    answers = decide(rows)[1]
    open_: dict[int, list[dict[int, float]]] = {n: [{}] for n in range(len(rows))}
    for depth in range(MOST_CHANGED):
        tried = [
            (n, {**changes, i: float(value)})
            for n, starts in open_.items()
            for changes in starts
            for i in free
            if i not in changes
            for value in fields[i].steps
            if value != rows[n, i]
        ]
        if not tried or len(tried) > BUDGET:
            break
        scores, yes = _asked(decide, rows, tried, partial(_part_of, step, depth))
        by_row: dict[int, list[int]] = {}
        for at, (n, _) in enumerate(tried):
            by_row.setdefault(n, []).append(at)
        for n, places in by_row.items():
            flipped = [at for at in places if yes[at] != answers[n]]
            if flipped:
                best = min(flipped, key=lambda at: _distance(rows[n], tried[at][1], fields))
                found[n] = tried[best][1]
                del open_[n]
            else:
                way = 1 if answers[n] else -1
                nearest = sorted(places, key=lambda at: way * scores[at])
                open_[n] = _distinct([tried[at][1] for at in nearest])
    _shorten(decide, rows, found, answers, fields)
    known = {row.tobytes() for row in sample}
    return [None if c and _changed(rows, [(n, c)]).tobytes() in known else c for n, c in enumerate(found)]


def _part_of(step: Callable[[float], None], depth: int, share: float) -> None:
    step((depth + share) / MOST_CHANGED)


def _asked(
    decide: Decide, rows: Floats, tried: Sequence[tuple[int, dict[int, float]]], step: Callable[[float], None]
) -> tuple[Floats, NDArray[np.bool_]]:
    scores, yes, size = [], [], 50_000
    for at in range(0, len(tried), size):
        some, answers = decide(_changed(rows, tried[at : at + size]))
        scores.append(some)
        yes.append(answers)
        step(min(1.0, (at + size) / len(tried)))
    return np.concatenate(scores), np.concatenate(yes)


def _changed(rows: Floats, tried: Sequence[tuple[int, dict[int, float]]]) -> Floats:
    """Rows as they would be: of each the number and its changes."""
    made = rows[[n for n, _ in tried]]
    places = np.repeat(np.arange(len(tried)), [len(changes) for _, changes in tried])
    columns = [i for _, changes in tried for i in changes]
    made[places, columns] = [value for _, changes in tried for value in changes.values()]
    return made


def _distance(row: Floats, changes: dict[int, float], fields: dict[int, Field]) -> float:
    return round(float(sum(abs(value - row[i]) / fields[i].spread for i, value in changes.items())), 9)


def _distinct(changes: Sequence[dict[int, float]]) -> list[dict[int, float]]:
    """The first ones that change different features."""
    kept: dict[tuple[int, ...], dict[int, float]] = {}
    for each in changes:
        kept.setdefault(tuple(sorted(each)), each)
        if len(kept) == KEPT:
            break
    return list(kept.values())


def _shorten(
    decide: Decide, rows: Floats, found: list[dict[int, float] | None], answers: NDArray[np.bool_],
    fields: dict[int, Field],
) -> None:  # fmt: skip
    """Halve the way of each changed number as long as the answer stays the other one."""
    for turn in range(MOST_CHANGED):
        lows: dict[int, float] = {}
        at: dict[int, int] = {}
        for n, changes in enumerate(found):
            movable = [i for i in changes or () if fields[i].between]
            if turn < len(movable):
                at[n], lows[n] = movable[turn], float(rows[n, movable[turn]])
        for _ in range(HALVINGS if at else 0):
            tried = []
            for n, i in at.items():
                changes = found[n]
                assert changes is not None
                middle = (lows[n] + changes[i]) / 2
                middle = float(np.round(middle)) if fields[i].whole else float(f"{middle:.4g}")
                tried.append((n, {**changes, i: middle}))
            _, yes = _asked(decide, rows, tried, lambda share: None)
            for (n, changes), answer in zip(tried, yes, strict=True):
                if answer != answers[n] and changes[at[n]] != rows[n, at[n]]:
                    found[n] = changes
                else:
                    lows[n] = changes[at[n]]
