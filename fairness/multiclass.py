"""Decisions among several classes, taken apart: each class against the rest, as the cells of a yes or no.

Whatever `fairness.metrics` says of cells then holds of each class. A macro average is the plain mean of a metric over
the classes that have it in a group (as scikit-learn's with `zero_division=nan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.metrics import Cells, Floats, Ints, values

MAX_CLASSES = 20


@dataclass(frozen=True)
class ClassCells:
    """Rows `n`, sums of weights `w` and of squared weights `w2`, each of shape (groups, classes, classes).

    The label is on the axis before the last, the prediction on the last.
    """

    attributes: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...]
    n: Ints
    w: Floats
    w2: Floats

    def against_rest(self, name: str) -> Cells:
        """Cells in which a row is positive where it is of this class."""
        at = self.classes.index(name)
        return Cells(self.attributes, self.groups, _folded(self.n, at), _folded(self.w, at), _folded(self.w2, at))

    def agreement(self) -> Cells:
        """Cells in which the prediction is right or wrong, so that the selection rate is the accuracy."""
        return Cells(self.attributes, self.groups, _agreeing(self.n), _agreeing(self.w), _agreeing(self.w2))


def _folded(part: NDArray[Any], at: int) -> NDArray[Any]:
    # Sums, never differences: of weights those would leave a little where nothing is.
    others = np.arange(part.shape[1]) != at
    rest = part[:, others]
    of_rest, of_class = rest[:, :, others].sum(axis=(1, 2)), rest[:, :, at].sum(axis=1)
    return np.stack([of_rest, of_class, part[:, at, others].sum(axis=1), part[:, at, at]], axis=1).reshape(-1, 2, 2)


def _agreeing(part: NDArray[Any]) -> NDArray[Any]:
    diagonal = np.eye(part.shape[1], dtype=bool)
    right, wrong = part[:, diagonal].sum(axis=1), part[:, ~diagonal].sum(axis=1)
    nothing = np.zeros_like(right)
    return np.stack([nothing, nothing, wrong, right], axis=1).reshape(-1, 2, 2)


def macro(name: str, classes: Sequence[Cells]) -> tuple[Floats, Ints]:
    """Mean of a metric over classes by group, NaN where no class has it; and how many classes have it."""
    each = np.stack([values(name, cells.w, np.nan) for cells in classes])
    known = ~np.isnan(each)
    count = known.sum(axis=0)
    total = np.where(known, each, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0), count
