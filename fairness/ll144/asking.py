"""What is asked of the calculations: columns, which values are which categories, the data and the dates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from fairness.ll144.problems import Wrong
from fairness.ll144.rules import RACE, SEX, TABLES
from fairness.ll144.schedule import DAYS
from fairness.naming import UNKNOWN, canonical

KINDS = {
    "selection": "It selects people: who moves forward and who does not",
    "classification": "It puts people into groups, such as leadership styles",
    "scoring": "It scores people: who lies above the median of all",
}
SOURCES = {
    "recorded": "A column of the dataset holds what the tool gave",
    "model": "The portal runs this version on the rows",
}
DATA = {
    "historical": "Historical data: collected while the tool was used",
    "test": "Test data",
}
LONGEST = 4000


@dataclass(frozen=True)
class Ask:
    """`sex_values` and `race_values` lead from values of the columns to categories; what is not there is unknown."""

    kind: str
    source: str
    sex: str
    race: str
    sex_values: dict[str, str]
    race_values: dict[str, str]
    outcome: str
    selected: tuple[str, ...]
    data_kind: str
    explanation: str
    why_test: str
    how_made: str
    auditor: str
    left_out: tuple[dict[str, str], ...]
    dates: dict[str, str | None]

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Ask:
        """From what `as_dict` gave."""
        known = {**given, "selected": tuple(given["selected"]), "left_out": tuple(given["left_out"])}
        return cls(**known)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "selected": list(self.selected), "left_out": list(self.left_out)}


def asked(
    *, kind: str, source: str, sex: str, race: str, sex_values: Mapping[str, str], race_values: Mapping[str, str],
    outcome: str = "", selected: Sequence[str] = (), data_kind: str, explanation: str, why_test: str = "",
    how_made: str = "", auditor: str = "", left_out: Sequence[Mapping[str, str]] = (),
    dates: Mapping[str, date | None] | None = None,
) -> Ask:  # fmt: skip
    """Raises Wrong for what no dataset could answer."""
    one_of(kind, KINDS, "kind")
    one_of(source, SOURCES, "source")
    one_of(data_kind, DATA, "data_kind")
    if sex == race:
        raise Wrong("column_twice", "Sex and race or ethnicity stand in two different columns. Name both.", "race")
    if source == "model" and kind == "classification":
        sentence = "A decision rule gives yes or no, not groups. Put the groups that the tool gave into a column."
        raise Wrong("groups_recorded_only", sentence, "source")
    if source == "recorded" and not outcome:
        raise Wrong("outcome_missing", "Name the column that holds what the tool gave.", "outcome")
    recorded = outcome if source == "recorded" else ""
    picked = tuple(sorted({canonical(value) for value in selected})) if recorded and kind == "selection" else ()
    if recorded and kind == "selection" and (not picked or UNKNOWN in picked):
        raise Wrong("selected_missing", "Say which values of that column mean that somebody was selected.", "selected")
    test = data_kind == "test"
    return Ask(
        kind=kind, source=source, sex=sex, race=race,
        sex_values=mapped(sex_values, SEX, "sex_values"), race_values=mapped(race_values, RACE, "race_values"),
        outcome=recorded, selected=picked, data_kind=data_kind,
        explanation=said(explanation, "explanation", "Say where the data come from and what they are (§ 5-303)."),
        why_test=said(why_test, "why_test", "Say why no historical data are used (§ 5-302(b)).") if test else "",
        how_made=said(how_made, "how_made", "Say how the test data were made and got (§ 5-302(b)).") if test else "",
        auditor=auditor.strip()[:200], left_out=tuple(excluded(left_out)),
        dates={name: day.isoformat() if (day := (dates or {}).get(name)) else None for name in DAYS},
    )  # fmt: skip


def one_of(value: str, allowed: Mapping[str, str], field: str) -> None:
    if value not in allowed:
        raise Wrong("not_one_of", f"This is one of: {', '.join(allowed)}.", field)


def said(text: str, field: str, sentence: str) -> str:
    words = text.strip()
    if len(words) < 3:
        raise Wrong("words_needed", sentence, field)
    return words[:LONGEST]


def mapped(values: Mapping[str, str], categories: Mapping[str, str], field: str) -> dict[str, str]:
    """With values as the data name them, in order. Raises Wrong."""
    found: dict[str, str] = {}
    for value, category in values.items():
        if category not in categories:
            sentence = f"“{category}” is no category of the EEO-1 report; these are: {', '.join(categories)}."
            raise Wrong("category_unknown", sentence, f"{field}.{value}")
        if canonical(value) == UNKNOWN:
            raise Wrong("value_unknown", "What is missing or unknown is in no category.", f"{field}.{value}")
        found[canonical(value)] = category
    if not found:
        raise Wrong("values_missing", "Say for at least one value of the column which category it is.", field)
    return dict(sorted(found.items()))


def excluded(left_out: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Sorted, each once, with a written reason. Raises Wrong."""
    found: dict[tuple[str, str], str] = {}
    for at, row in enumerate(left_out):
        one_of(row["table"], dict.fromkeys(TABLES, ""), f"left_out.{at}.table")
        one_of(row["category"], TABLES[row["table"]], f"left_out.{at}.category")
        need = "Leaving a category out takes the auditor's reason in writing (§ 5-301(d))."
        found[row["table"], row["category"]] = said(row["reason"], f"left_out.{at}.reason", need)
    return [{"table": table, "category": name, "reason": found[table, name]} for table, name in sorted(found)]
