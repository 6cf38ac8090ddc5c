"""Rows that are left out for a stated reason: who they are, and what the test would have said with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fairness.clusters import CountedCells, Moments
from fairness.metrics import Cells
from fairness.naming import UNKNOWN
from fairness.problems import DataProblem


def kept(counted: Cells, column: str) -> Cells:
    """The rows without a reason; `column`, which holds reasons, is the last attribute. Raises DataProblem for none."""
    at = np.array([group[-1] == UNKNOWN for group in counted.groups])
    if not at.any():
        sentence = f"Every row has a reason to be left out in column {column!r}. Leave it empty for rows that count."
        raise DataProblem("all_excluded", sentence, column)
    groups = tuple(group[:-1] for group in counted.groups if group[-1] == UNKNOWN)
    attributes = counted.attributes[:-1]
    if not isinstance(counted, CountedCells):
        return Cells(attributes, groups, counted.n[at], counted.w[at], counted.w2[at])
    moments = {names[:-1]: _kept(found) for names, found in counted.moments.items() if names[-1:] == (column,)}
    return CountedCells(attributes, groups, counted.n[at], counted.w[at], counted.w2[at], moments)


def _kept(found: Moments) -> Moments:
    at = [i for i, group in enumerate(found.groups) if group[-1] == UNKNOWN]
    return Moments(tuple(found.groups[i][:-1] for i in at), found.clusters[at], found.products[at])


def whole(counted: Cells) -> Cells:
    """All rows, those with a reason among them."""
    cells = counted.by(counted.attributes[:-1])
    return replace(counted, **{name: getattr(cells, name) for name in ("attributes", "groups", "n", "w", "w2")})


def told(counted: Cells, column: str, without: Mapping[str, Any]) -> dict[str, Any]:
    """The report's part: reasons, how many rows of each group they took, and the test's result `without` exclusions."""
    reasons = counted.by([column])
    groups = []
    for name in counted.attributes[:-1]:
        crossed = counted.by([name, column])
        for value in sorted({group[0] for group in crossed.groups}):
            pairs = zip(crossed.groups, crossed.sizes, strict=True)
            sizes = {group[1]: int(n) for group, n in pairs if group[0] == value}
            rows = sum(sizes.values())
            row = {"attribute": name, "group": f"{name} = {value}", "rows": rows}
            groups.append(row | {"excluded": rows - sizes.get(UNKNOWN, 0)})
    found = [(group[0], int(n)) for group, n in zip(reasons.groups, reasons.sizes, strict=True) if group[0] != UNKNOWN]
    return {
        "column": column,
        "rows": sum(n for _, n in found),
        "reasons": [{"reason": reason, "rows": n} for reason, n in found],
        "groups": groups,
        "without": {
            "verdict": without["verdict"],
            "sentence": without["sentence"],
            "attributes": {each["attribute"]: each["verdict"] for each in without["attributes"]},
        },
    }
