"""Rows drawn once from a dataset: some for what is usual, some to be explained, all to see what goes together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.dataset import Source
from fairness.metrics import Floats
from fairness.naming import canonical
from fairness.roles import Roles

ASSOCIATED = 5000


@dataclass(frozen=True)
class Sample:
    """`matrix` (rows, features) holds text as numbers of `levels`; `attributes` are lists of groups.

    `background` and `explained` are places in the matrix; `numbers` are the rows' places in the dataset, from 1.
    """

    matrix: Floats
    levels: dict[int, list[str]]
    attributes: list[list[str]]
    background: NDArray[np.int64]
    explained: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def columns(self, names: Sequence[str], table: Floats) -> dict[str, NDArray[Any]]:
        """A table of features as named columns, text as text again."""
        found: dict[str, NDArray[Any]] = {}
        for i, name in enumerate(names):
            found[name] = table[:, i]
            if i in self.levels:
                found[name] = np.array(self.levels[i], dtype=object)[table[:, i].astype(int)]
        return found

    def groups(self) -> list[list[str]]:
        """The explained rows' groups by each attribute."""
        return [[column[i] for i in self.explained] for column in self.attributes]

    def shown(self, feature: int, value: float) -> float | str:
        return self.levels[feature][int(value)] if feature in self.levels else value


def drawn(
    data: Source, roles: Roles, names: Sequence[str], text: Sequence[str], rows: int, background: int, seed: int
) -> Sample:
    """Raises DataProblem for a column that is missing, incomplete or not numeric."""
    numbers = [n for n in names if n not in text]
    data.numeric(numbers)
    data.complete(text)
    data.need(roles.sensitive)
    count = min(data.rows, max(rows + background, ASSOCIATED))
    chosen = np.random.default_rng(seed).choice(data.rows, size=count, replace=False)
    wanted = {f"f{i}": data.table[n].cast("string") if n in text else data.number(n) for i, n in enumerate(names)}
    wanted |= {f"s{i}": data.table[n] for i, n in enumerate(roles.sensitive)}
    at = np.sort(chosen)
    found: list[dict[str, Any]] = []
    done = 0
    for batch in data.batches(wanted):
        inside = at[(at >= done) & (at < done + batch.num_rows)] - done
        found += batch.take(inside).to_pylist()
        done += batch.num_rows
    # Back into the drawn order, so that background and explained rows are both random.
    ordered = [found[i] for i in np.argsort(np.argsort(chosen))]
    matrix = np.zeros((count, len(names)))
    levels: dict[int, list[str]] = {}
    for i, name in enumerate(names):
        column = [row[f"f{i}"] for row in ordered]
        if name in text:
            levels[i] = sorted(set(column))
            column = [levels[i].index(value) for value in column]
        matrix[:, i] = column
    attributes = [[canonical(row[f"s{i}"]) for row in ordered] for i in range(len(roles.sensitive))]
    ground = np.arange(min(background, count))
    # A dataset too small for two samples is explained against itself.
    explained = np.arange(background, min(count, background + rows)) if count > background else ground
    return Sample(matrix, levels, attributes, ground, explained, chosen + 1)
