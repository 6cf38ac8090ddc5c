"""Whether a dataset suits a comparison of groups: what would make its numbers mean something else than they seem to.

Only task bodies call this. What cannot be judged raises DataProblem before anything is counted; what can be judged but
misread becomes a warning in the report, with numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from fairness.dataset import Source, in_row
from fairness.metrics import Cells
from fairness.naming import UNKNOWN, canonical
from fairness.problems import DataProblem
from fairness.roles import Roles

# Repeated rows are counted exactly up to so many rows; of more, all copies of one different row in 2^k, by its hash.
EXACT_ROWS = 1_000_000
HEAD = 1000
SHOWN = 6
DATE = re.compile(r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ]\d{1,2}:.*)?$")
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE)
WORD = re.compile(r"^[^\W\d_][^\d]*$")
# What UTF-8 becomes when somebody reads it as Windows-1252 and writes it again, and the mark of a letter that was lost.
GARBLED = re.compile("[\u00c3\u00c2][\u0080-\u00bf\u0152-\u02dc\u2013-\u2122]|\ufffd")
Warnings = list[dict[str, str]]


def check_attributes(source: Source, names: Sequence[str]) -> None:
    """Raises DataProblem for a sensitive attribute of dates, or of values that are no plain text or number."""
    source.need(names)
    for name in names:
        kind = source.table[name].type()
        if kind.is_date() or kind.is_timestamp() or kind.is_time():
            raise _dates(name, *source.first(~source.missing(name), name))
        if not (kind.is_string() or kind.is_numeric() or kind.is_boolean()):
            raise DataProblem(
                "not_groupable",
                f"The sensitive attribute {name!r} holds {kind}, which makes no groups. Write one word or number a row "
                "there, and register the dataset again.",
                column=name,
            )
    texts = [name for name in names if source.table[name].type().is_string()]
    if not texts:
        return
    for name, found in source.heads(texts, HEAD).items():
        values = [str(value).strip() for value in found if value is not None and str(value).strip()]
        if len(set(values)) > 2 and all(DATE.match(value) for value in values):
            raise _dates(name, *source.first(~source.missing(name), name))


def _dates(name: str, row: int | None, value: object) -> DataProblem:
    return DataProblem(
        "dates_as_groups",
        f"The sensitive attribute {name!r} holds dates ({in_row(row)}: {str(value)[:30]}), so that nearly every row "
        "would be a group of its own. Turn them into bands, such as decades of birth, and register the dataset again.",
        column=name,
        row=row,
    )


def repeated_rows(source: Source, exact_rows: int = EXACT_ROWS) -> dict[str, int]:
    """How many rows equal an earlier one in every column: {"looked_at", "repeated", "one_in"}.

    Of a large file all copies of one different row in `one_in` are looked at, chosen by hash, so memory stays flat and
    the share is right on average. The hash has 128 bits, in two halves. Where rows have none, none are looked at.
    """
    if not source.hashable:
        return {"looked_at": 0, "repeated": 0, "one_in": 1}
    halves = max(0, math.ceil(math.log2(source.rows / exact_rows)))
    hashed = source.hashed()
    if halves:
        hashed = hashed.filter((hashed.one & ((1 << halves) - 1)) == 0)
    rows = hashed.group_by(["one", "other"]).aggregate(n=hashed.count())
    (found,) = source.asked(rows.aggregate(different=rows.count(), looked_at=rows.n.sum()))
    looked_at = int(found["looked_at"] or 0)
    return {"looked_at": looked_at, "repeated": looked_at - int(found["different"]), "one_in": 1 << halves}


def features_like_label(source: Source, roles: Roles) -> list[str]:
    """Features that say of every row what the label says, under the same values or two others."""
    names = [name for name in roles.features if name in source.columns and name != roles.label]
    chosen = {f"c{i}": source.table[name] for i, name in enumerate([roles.label, *names])}
    head = source.table.select(**chosen).limit(HEAD).to_pyarrow()
    label = [canonical(value) for value in head["c0"].to_pylist()]
    likely = []
    for i, name in enumerate(names, 1):
        if _one_to_one(set(zip(label, (canonical(value) for value in head[f"c{i}"].to_pylist()), strict=True))):
            likely.append(name)
    found = []
    for name in likely:
        pairs = source.table.select(y=source.table[roles.label], x=source.table[name]).distinct().limit(9).to_pyarrow()
        seen = {(canonical(pair["y"]), canonical(pair["x"])) for pair in pairs.to_pylist()}
        if len(seen) == 2 and _one_to_one(seen):
            found.append(name)
    return found


def _one_to_one(pairs: set[tuple[str, str]]) -> bool:
    return len(pairs) == len({y for y, _ in pairs}) == len({x for _, x in pairs}) <= 2


def odd_values(singles: Mapping[str, Cells]) -> Warnings:
    """Groups that may be one under two names, or whose names lost their letters."""
    found: Warnings = []
    for name, cells in singles.items():
        levels = [group[0] for group in cells.groups if group[0] != UNKNOWN]
        if alike := _alike(levels):
            found.append(
                {
                    "code": "alike_groups",
                    "sentence": f"{name} has groups whose names differ only in capitals or spaces: {alike}. If they "
                    "are one group, write it in one way and register the dataset again.",
                }
            )
        numbers = [level for level in levels if NUMBER.match(level)]
        words = [level for level in levels if WORD.match(level)]
        if numbers and words:
            found.append(
                {
                    "code": "mixed_values",
                    "sentence": f"{name} mixes numbers ({_some(numbers)}) with words ({_some(words)}), so the same "
                    "group may stand under two names. If it does, write it in one way and register the dataset again.",
                }
            )
        if garbled := [level for level in levels if GARBLED.search(level)]:
            found.append(
                {
                    "code": "garbled_values",
                    "sentence": f"{name} has values whose letters were lost in a change of encoding: "
                    f"{_some(garbled)}. Export the data as UTF-8 once more and register them again.",
                }
            )
    return found


def _alike(levels: Sequence[str]) -> str:
    by_form: dict[str, list[str]] = {}
    for level in sorted(levels):
        by_form.setdefault(" ".join(level.casefold().split()), []).append(level)
    return "; ".join(" and ".join(f"“{each}”" for each in names) for names in by_form.values() if len(names) > 1)


def _some(levels: Sequence[str]) -> str:
    return ", ".join(sorted(levels)[:SHOWN]) + (" …" if len(levels) > SHOWN else "")


def warnings_of(
    roles: Roles, source: str, repeated: Mapping[str, int], leaking: Sequence[str], counted: Cells
) -> Warnings:
    """Warnings about the rows as a whole. `source` is where the decisions come from."""
    found: Warnings = []
    if repeated["repeated"]:
        share = repeated["repeated"] / repeated["looked_at"]
        among = (
            f" among one in {repeated['one_in']:,} different rows, chosen by hash," if repeated["one_in"] > 1 else ""
        )
        found.append(
            {
                "code": "duplicated_rows",
                "sentence": f"{repeated['repeated']:,} of {repeated['looked_at']:,} rows{among} equal an earlier row "
                f"in every column ({share:.1%}). With few columns that may be chance; if one case stands there more "
                "than once, intervals are too narrow. Take the copies out and register the dataset again.",
            }
        )
    for name in leaking:
        found.append(
            {
                "code": "label_as_feature",
                "sentence": f"The feature {name!r} says in every row what the outcome {roles.label!r} says. A model "
                "that is given the outcome shows nothing about the cases it will meet. Take the feature out.",
            }
        )
    if source != "historical" and not counted.n[:, 0, 1].sum() and not counted.n[:, 1, 0].sum():
        found.append(
            {
                "code": "decisions_equal_label",
                "sentence": f"The decisions equal the outcome {roles.label!r} in every row. Where the outcome is made "
                "of the decisions, or the other way round, error rates show nothing.",
            }
        )
    return found
