"""The figures of a bias audit under 6 RCNY § 5-301: rates and impact ratios by category.

Pure: counts in, plain values out. The rules set no bound, so nothing here passes or fails. Categories are those of
component 1 of the EEO-1 report, to which § 5-300 refers. Whoever is in no known category of either kind is counted,
and stands in no table: so do the examples of § 5-301.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairness.extremes import impact_ratios
from fairness.intervals import simultaneous, wilson
from fairness.tables import number

SEX = {"male": "Male", "female": "Female"}
RACE = {
    "hispanic_or_latino": "Hispanic or Latino",
    "white": "White (not Hispanic or Latino)",
    "black_or_african_american": "Black or African American (not Hispanic or Latino)",
    "pacific_islander": "Native Hawaiian or Pacific Islander (not Hispanic or Latino)",
    "asian": "Asian (not Hispanic or Latino)",
    "native_american": "Native American or Alaska Native (not Hispanic or Latino)",
    "two_or_more_races": "Two or more races (not Hispanic or Latino)",
}
INTERSECTION = {f"{sex}/{race}": f"{SEX[sex]}, {RACE[race]}" for race in RACE for sex in SEX}
TABLES = {"sex": SEX, "race": RACE, "intersection": INTERSECTION}
# § 5-301(d): a category that represents less than so much of the data may be left out of the impact ratios.
SMALL = 0.02
CONFIDENCE = 0.95
Known = str | None


@dataclass(frozen=True)
class Count:
    """People of one category, and how many of them were selected, classified so, or scored above the median."""

    people: int
    chosen: int

    def __add__(self, other: Count) -> Count:
        return Count(self.people + other.people, self.chosen + other.chosen)

    @property
    def rate(self) -> float | None:
        return self.chosen / self.people if self.people else None


NOBODY = Count(0, 0)
Counts = Mapping[tuple[Known, Known], Count]


class NotSmall(Exception):
    """A category that may not be left out. `people` of `total` are in it."""

    def __init__(self, table: str, category: str, people: int, total: int) -> None:
        super().__init__(f"{table}: {category}")
        self.table, self.category, self.people, self.total = table, category, people, total


def total(counts: Iterable[Count]) -> Count:
    return sum(counts, NOBODY)


def known(counts: Counts) -> dict[tuple[Known, Known], Count]:
    """Those who are in a known category of both kinds."""
    return {key: count for key, count in counts.items() if None not in key}


def by_category(counts: Counts) -> dict[str, dict[str, Count]]:
    """The three tables' counts, each with all its categories, empty ones too."""
    sure = known(counts)
    return {
        "sex": {sex: total(count for key, count in sure.items() if key[0] == sex) for sex in SEX},
        "race": {race: total(count for key, count in sure.items() if key[1] == race) for race in RACE},
        "intersection": {f"{sex}/{race}": sure.get((sex, race), NOBODY) for race in RACE for sex in SEX},
    }


def unknown(counts: Counts) -> dict[str, int]:
    """People in no table, because their sex, their race or ethnicity, or either is not known; `chosen` of them."""
    gone = {key: count for key, count in counts.items() if None in key}
    return {
        "sex": total(count for key, count in gone.items() if key[0] is None).people,
        "race": total(count for key, count in gone.items() if key[1] is None).people,
        "either": total(gone.values()).people,
        "chosen": total(gone.values()).chosen,
    }


def to_highest(rates: Sequence[float | None], compared: Sequence[bool]) -> tuple[list[float | None], float | None]:
    """Each compared rate over the highest compared one, and that one; None where there is nothing to divide by."""
    top = max((rate for rate, at in zip(rates, compared, strict=True) if at and rate is not None), default=None)
    ratios = [rate / top if at and rate is not None and top else None for rate, at in zip(rates, compared, strict=True)]
    return ratios, top


def table(name: str, counts: Mapping[str, Count], left_out: Mapping[str, str]) -> dict[str, Any]:
    """One table: every category with its people, rate and impact ratio. `left_out` has the written reasons.

    Beside the figures that the rules ask for: the ratios with nobody left out, and intervals that hold for all compared
    categories together at 95 %. Raises NotSmall for a category left out that is no less than 2 % of the people counted.
    """
    people = total(counts.values()).people
    for category in left_out:
        if counts[category].people >= SMALL * people:
            raise NotSmall(name, category, counts[category].people, people)
    rates = [count.rate for count in counts.values()]
    ratios, top = to_highest(rates, [category not in left_out for category in counts])
    whole, top_of_all = to_highest(rates, [True] * len(rates))
    bounds = intervals([count for category, count in counts.items() if category not in left_out])
    rows = [
        {
            "category": category, "label": TABLES[name][category], "people": count.people, "chosen": count.chosen,
            "share": number(count.people / people) if people else None, "rate": number(rates[at]),
            "impact_ratio": number(ratios[at]), "left_out": left_out.get(category),
            "highest": ratios[at] == 1.0, "ratio_if_none_left_out": number(whole[at]),
            **(next(bounds) if category not in left_out and count.people else NO_BOUNDS),
        }
        for at, (category, count) in enumerate(counts.items())
    ]  # fmt: skip
    return {
        "name": name, "people": people, "rows": rows, "denominator": number(top),
        "denominator_if_none_left_out": number(top_of_all),
    }  # fmt: skip


NO_BOUNDS = {"low": None, "high": None}


def intervals(counts: Sequence[Count]) -> Any:
    """Bounds of the impact ratios of those categories that hold somebody, in their order."""
    held = [count for count in counts if count.people]
    if not held:
        return iter(())
    n = np.array([count.people for count in held], dtype=np.float64)
    p = np.array([count.chosen for count in held], dtype=np.float64) / n
    each = impact_ratios(wilson(p, n, simultaneous(CONFIDENCE, len(held))))
    return iter([
        {"low": number(float(low)), "high": number(float(high))}
        for low, high in zip(each.low, each.high, strict=True)
    ])  # fmt: skip


def tables(counts: Counts, left_out: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Sex, race or ethnicity, and their intersection. Raises NotSmall."""
    return [
        table(name, found, {row["category"]: row["reason"] for row in left_out if row["table"] == name})
        for name, found in by_category(counts).items()
    ]


def lowest(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In each table the category with the lowest impact ratio, where there is one."""
    out = []
    for each in found:
        rows = [row for row in each["rows"] if row["impact_ratio"] is not None]
        if rows:
            row = min(rows, key=lambda row: row["impact_ratio"])
            out.append({"table": each["name"], "label": row["label"], "impact_ratio": row["impact_ratio"]})
    return out
