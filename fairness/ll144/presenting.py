"""The calculations of a bias audit made ready for a page, a sheet of numbers and a PDF: plain dicts in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from fairness.ll144.asking import DATA, KINDS, SOURCES
from fairness.ll144.rules import RACE, SEX

Report = Mapping[str, Any]
TITLES = {"sex": "Sex", "race": "Race or ethnicity", "intersection": "Sex and race or ethnicity"}
HEAD = (
    "outcome", "table", "category", "label", "people", "chosen", "rate", "impact_ratio", "left_out_because",
    "ratio_if_none_left_out", "low", "high",
)  # fmt: skip
DAY_WORDS = {
    "audit_date": "Date of the bias audit",
    "distribution_date": "Distribution date: use began",
    "notice_date": "Notice given",
    "latest_use": "Latest use",
    "usable_from": "May be used from, 10 business days after the notice",
    "current_until": "Counts as at most a year old until",
    "posted_until": "Stays posted until, 6 months after the latest use",
}
NOT_SAID = "not said"


def parts(report: Report) -> dict[str, Any]:
    """What the page and the PDF say, in their order."""
    return {
        "kind_words": KINDS[report["kind"]],
        "source_words": SOURCES[report["data"]["source"]],
        "data_words": DATA[report["data"]["kind"]],
        "chosen_words": "Above the median" if report["kind"] == "scoring" else "Selected",
        "outcomes": [outcome(report, each) for each in report["outcomes"]],
        "days": [(words, day(report["dates"][name])) for name, words in DAY_WORDS.items()],
        "ask": report["provenance"]["parameters"]["ask"],
        "mapped": mapped(report),
    }


def outcome(report: Report, found: Report) -> dict[str, Any]:
    said = f"Group “{found['name']}”: " if report["kind"] == "classification" else ""
    tables = [
        {
            **each,
            "heading": f"{said}{TITLES[each['name']]}",
            "some_left_out": any(row["left_out"] for row in each["rows"]),
        }
        for each in found["tables"]
    ]
    return {"name": found["name"], "tables": tables}


def day(iso: str | None) -> str:
    return f"{date.fromisoformat(iso):%-d %B %Y}" if iso else NOT_SAID


def mapped(report: Report) -> list[tuple[str, list[tuple[str, str, int | None]]]]:
    """Column by column: the value, what it was taken for, and for what is no category the people."""
    ask, found = report["provenance"]["parameters"]["ask"], []
    for kind, categories in (("sex", SEX), ("race", RACE)):
        rows: list[tuple[str, str, int | None]] = [
            (value, categories[category], None) for value, category in ask[f"{kind}_values"].items()
        ]
        rows += [(value, "Unknown", people) for value, people in sorted(report["unknown"]["values"][kind].items())]
        found.append((ask[kind], rows))
    return found


def csv_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    for each in report["outcomes"]:
        for table in each["tables"]:
            for row in table["rows"]:
                yield (
                    each["name"], table["name"], row["category"], row["label"], row["people"], row["chosen"],
                    row["rate"], row["impact_ratio"], row["left_out"], row["ratio_if_none_left_out"], row["low"],
                    row["high"],
                )  # fmt: skip
    unknown = report["unknown"]
    yield (
        "",
        "unknown",
        "either",
        "Unknown sex, or unknown race or ethnicity",
        unknown["either"],
        unknown["chosen"],
        *[None] * 6,
    )
