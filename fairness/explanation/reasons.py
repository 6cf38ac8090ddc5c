"""Why the answer was no: the factors that count most against a row, in plain words.

A factor counts against a row as far as its attribution lies below the mean attribution of the baseline's rows. The
baselines are the two methods that the official interpretation of 12 CFR 1002.9(b)(2) describes in its comment 5: how
far factors fall below their average among those who just passed, or among all applicants. Its comment 1 finds that
more than four reasons are not likely to help.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.metrics import Floats
from fairness.tables import number

MOST = 4
LEAST = 10
JUST_PASSED = 0.2
BASELINES = {
    "just_passed": "the average of the rows that got a yes and came closest to a no",
    "all": "the average of all explained rows",
}
JUSTIFIED = {
    "just_passed": "The official interpretation of 12 CFR 1002.9(b)(2), comment 5, describes it: factors that fall "
    "furthest below their average among those at or slightly above the passing score.",
    "all": "The official interpretation of 12 CFR 1002.9(b)(2), comment 5, describes it: factors that fall furthest "
    "below their average among all applicants.",
}
HEADING = re.compile(r"^#{1,6}\s+features\s*$", re.IGNORECASE)
LINE = re.compile(r"^[-*+]\s+`?(?P<name>[^:`]+?)`?\s*:\s*(?P<words>.+?)\s*(?P<fixed>\(fixed\))?\s*$")


def dictionary_of(card: str, features: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Features in plain words, from a model card's section “Features”: a line `- name: words` for each.

    A line that ends in “(fixed)” is of something that nobody can change. Names that are no features are left out.
    """
    found: dict[str, dict[str, Any]] = {}
    inside = False
    for line in card.splitlines():
        if line.startswith("#"):
            inside = bool(HEADING.match(line))
        elif inside and (match := LINE.match(line.strip())) and match["name"] in features:
            found[match["name"]] = {"words": match["words"][:200], "fixed": bool(match["fixed"])}
    return found


@dataclass(frozen=True)
class Baseline:
    """Mean attribution of each feature and its usual value (mean, or most frequent level) over so many `rows`."""

    kind: str
    rows: int
    means: Floats
    usual: Floats


def baseline_of(
    kind: str, values: Floats, matrix: Floats, scores: Floats, yes: NDArray[np.bool_], text: Collection[int] = ()
) -> Baseline:
    """Falls back to all rows where fewer than ten got a yes; `kind` says which it became."""
    passed = np.flatnonzero(yes)
    inside = np.arange(len(values))
    if kind == "just_passed" and len(passed) >= LEAST:
        closest = passed[np.lexsort((passed, scores[passed]))]
        inside = np.sort(closest[: max(LEAST, round(JUST_PASSED * len(passed)))])
    else:
        kind = "all"
    rows = matrix[inside]
    usual = rows.mean(axis=0)
    for i in text:
        usual[i] = np.bincount(rows[:, i].astype(int)).argmax()
    return Baseline(kind, len(inside), values[inside].mean(axis=0), usual)


def adverse(values: Floats, baseline: Baseline) -> list[list[int]]:
    """For each row up to four features that count against it, the strongest first."""
    against = baseline.means - values
    order = np.argsort(-against, axis=1, kind="stable")[:, :MOST]
    least = 1e-9 * max(1.0, float(np.abs(values).max()))
    return [[int(i) for i in row if against[n, i] > least] for n, row in enumerate(order)]


def in_words(name: str, dictionary: Mapping[str, Mapping[str, Any]], value: float | str, usual: float | str) -> str:
    """A reason as somebody reads it who was refused."""
    words = dictionary.get(name, {}).get("words") or name
    if isinstance(value, str) or isinstance(usual, str):
        return f"{words}: “{value}”"
    if value == usual:
        return f"{words}: as it is"
    return f"{words}: too {'high' if value > usual else 'low'}"


def principal(
    names: Sequence[str], adverse_of: Sequence[Sequence[int]], no: NDArray[np.bool_],
    attributes: Sequence[str], groups: Sequence[Sequence[str]],
) -> list[dict[str, Any]]:  # fmt: skip
    """How often each feature is the first reason, or among the four, of those who got a no: of all and by group."""
    found = [{"attribute": None, "group": "all", **_counted(names, adverse_of, no)}]
    for attribute, column in zip(attributes, groups, strict=True):
        for level in sorted(set(column)):
            inside = no & np.array([value == level for value in column])
            found.append(
                {"attribute": attribute, "group": f"{attribute} = {level}", **_counted(names, adverse_of, inside)}
            )
    return found


def _counted(names: Sequence[str], adverse_of: Sequence[Sequence[int]], inside: NDArray[np.bool_]) -> dict[str, Any]:
    """Groups in which fewer than ten got a no are not told apart: their rows would be recognised."""
    rows = [row for row, counts in zip(adverse_of, inside, strict=True) if counts]
    if len(rows) < LEAST:
        return {"refused": len(rows), "too_few": True, "features": []}
    first, any_ = np.zeros(len(names), dtype=int), np.zeros(len(names), dtype=int)
    for row in rows:
        any_[list(row)] += 1
        if row:
            first[row[0]] += 1
    order = sorted(range(len(names)), key=lambda i: (-int(first[i]), -int(any_[i]), names[i]))
    return {
        "refused": len(rows),
        "too_few": False,
        "features": [
            {
                "feature": names[i], "first": int(first[i]), "share_first": number(first[i] / len(rows)),
                "share_any": number(any_[i] / len(rows)),
            }
            for i in order
            if any_[i]
        ],
    }  # fmt: skip
