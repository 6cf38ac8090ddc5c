"""Scores and errors by group, collected batch by batch beside the cells.

Only task bodies call this. What is wrong with attributes or labels is said by `fairness.cells`, which sees the same
rows: a collector that meets too many values just stops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.dataset import Source, in_row
from fairness.metrics import Floats, Ints
from fairness.naming import UNKNOWN, canonical, same_class
from fairness.problems import DataProblem
from fairness.regression import LARGEST, Totals
from fairness.roles import Roles
from fairness.tallying import Counter, Table

# Values of one column that are told apart; over it the cells refuse the column.
MOST = 127
Group = tuple[str, ...]


class Values:
    """Numbers the values of one column as they turn up."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def codes(self, column: Any) -> Ints:
        found = column.dictionary_encode(null_encoding="encode")
        names = [canonical(value) for value in found.dictionary.to_pylist()]
        for name in names:
            if len(self.names) <= MOST:
                self.names.setdefault(name, len(self.names))
        known = np.array([self.names.get(name, MOST) for name in names], dtype=np.int64)
        return np.asarray(known[found.indices.to_numpy(zero_copy_only=False)])

    @property
    def many(self) -> bool:
        return len(self.names) > MOST


class Groups:
    """Numbers the combinations of the sensitive attributes' values as they turn up."""

    def __init__(self, attributes: tuple[str, ...]) -> None:
        self.attributes = attributes
        self._values = [Values() for _ in attributes]
        self._codes: dict[int, int] = {}

    def codes(self, columns: Mapping[str, Any]) -> Ints:
        key = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
        for name, values in zip(self.attributes, self._values, strict=True):
            key = key * (MOST + 1) + values.codes(columns[name])
        keys, at = np.unique(key, return_inverse=True)
        for each in keys.tolist():
            self._codes.setdefault(each, len(self._codes))
        return np.array([self._codes[each] for each in keys.tolist()], dtype=np.int64)[at]

    @property
    def many(self) -> bool:
        return any(values.many for values in self._values)

    def named(self) -> list[Group]:
        """The groups by their numbers."""
        texts = [{at: name for name, at in values.names.items()} for values in self._values]
        found = []
        for key in self._codes:
            group = []
            for text in reversed(texts):
                key, at = divmod(key, MOST + 1)
                group.append(text[at])
            found.append(tuple(reversed(group)))
        return found


class Collector:
    """Feeds `add` with batches, in any order; `scores` or `totals` afterwards.

    With `numeric` the label is a number and what is added a prediction of it, else the label is one of two classes.
    Rows with a reason to be left out do not count.
    """

    def __init__(self, source: Source, roles: Roles, positive: object, *, numeric: bool = False) -> None:
        self.source, self.roles, self.numeric = source, roles, numeric
        self.positive = same_class(canonical(positive))
        self.groups = Groups(tuple(name for name in roles.sensitive if name != roles.exclusion))
        self.labels = Values()
        self.totals = Totals()
        self._counter = Counter(unit_of(source, roles))
        self._stopped = False

    def add(self, columns: Mapping[str, Any], score: Floats) -> None:
        """One batch: attributes, label and weight as Arrow arrays by column, and a score or prediction a row."""
        if self._stopped:
            return
        if self.roles.exclusion:
            counts = unreasoned(columns[self.roles.exclusion])
            columns = {name: column.filter(counts) for name, column in columns.items()}
            score = score[counts.to_numpy(zero_copy_only=False)]
        group = self.groups.codes(columns)
        weight = numbers(columns[self.roles.weight]) if self.roles.weight else None
        if self.numeric:
            self.totals.add(group, numbers(columns[self.roles.label]), score, weight)
        else:
            label = self.labels.codes(columns[self.roles.label])
            yes = [at for name, at in self.labels.names.items() if same_class(name) == self.positive]
            self._counter.add(group, np.isin(label, yes).astype(np.int64), score, weight)
        self._stopped = self.groups.many or self.labels.many

    def finish(self) -> tuple[list[Group], Table | Totals]:
        """Groups in ascending order, and what was counted of them."""
        named = self.groups.named()
        groups = sorted(named)
        order = np.array([groups.index(group) for group in named], dtype=np.int64)
        if self.numeric:
            return groups, self.totals.by(dict(enumerate(order.tolist())))
        return groups, self._counter.finish(order)


def unit_of(source: Source, roles: Roles) -> float | None:
    """The power of two that no weight exceeds; of weights that are none, which the cells refuse, anything."""
    if not roles.weight:
        return None
    source.need([roles.weight])
    high = source.number(roles.weight).max().to_pyarrow().as_py()
    usable = high is not None and math.isfinite(high) and high > 0
    return 2.0 ** math.ceil(math.log2(high)) if usable else 1.0


def unreasoned(column: Any) -> Any:
    """Whether each row has no reason to be left out, as an Arrow array."""
    import pyarrow as pa

    found = column.dictionary_encode(null_encoding="encode")
    none = np.array([canonical(value) == UNKNOWN for value in found.dictionary.to_pylist()], dtype=bool)
    return pa.array(none[found.indices.to_numpy(zero_copy_only=False)])


def numbers(column: Any) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
    return np.asarray(column.cast("float64").to_numpy(zero_copy_only=False), dtype=np.float64)


def collected(collector: Collector, column: str) -> Collector:
    """Reads the scores or predictions of a column into the collector. The column is known to hold finite numbers."""
    source, roles = collector.source, collector.roles
    more = [name for name in (roles.weight, roles.exclusion) if name]
    kept = list(dict.fromkeys([*roles.sensitive, roles.label, *more]))
    wanted = {f"c{i}": source.table[name] for i, name in enumerate(kept)} | {"score": source.number(column)}
    for batch in source.batches(wanted):
        collector.add({name: batch.column(f"c{i}") for i, name in enumerate(kept)}, numbers(batch.column("score")))
    return collector


def check_size(source: Source, columns: tuple[str, ...]) -> None:
    """Raises DataProblem for a number whose square is none, in the first of these columns that holds one."""
    for name in columns:
        if (source.number(name).abs().max() > LARGEST).to_pyarrow().as_py():
            row, value = source.first(source.number(name).abs() > LARGEST, name)
            raise DataProblem(
                "too_large_number",
                f"Column {name!r} holds {value} {in_row(row)}, which is too large to work with. Use another unit.",
                column=name,
                row=row,
            )
