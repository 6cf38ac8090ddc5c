"""A trade-off report as a paper, from what its page shows (`fairness.tradeoff.presenting.parts`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fairness.papers.blocks import Block, bullets, count, heading, number, summary, table

Parts = Mapping[str, Any]


def tradeoff(parts: Parts) -> Iterator[Block]:
    report = parts["report"]
    gone = [f"Left out: {gap['name']}, {count(gap['rows'])} rows ({gap['why']})." for gap in report["left_out"]]
    yield heading("In one minute")
    yield summary([
        ("What was found", report["result"]["sentence"], ["Nothing is applied: the version serves as it is."]),
        (
            "For whom",
            f"Groups by {report['attribute']}, on {count(report['rows']['used'])} of "
            f"{count(report['rows']['of'])} rows.",
            [f"{group['name']}: {count(group['rows'])} rows." for group in report["groups"]],
        ),
        ("How sure", "Points are what these rows gave; they have no intervals.", []),
        ("What it cannot say", "Which point is right. That is a decision of people, within the law.", gone),
    ])  # fmt: skip
    for curve in parts["curves"]:
        yield heading(curve["title"])
        head = (curve["setting_words"] or "Setting", "Accuracy", "Selected", "Difference", "Ratio", "Equalised odds")
        rows = [
            (
                setting(row), number(row["accuracy"]), number(row["selection_rate"]), number(row["difference"]),
                number(row["ratio"]), number(row["equalised_odds"]),
            )
            for row in curve["rows"]
        ]  # fmt: skip
        yield table(f"{curve['title']}: points that no other of the same way beats", head, rows)
    yield heading("What these numbers can and cannot show")
    yield bullets([*report["says"], *gone])


def setting(row: Mapping[str, Any]) -> str:
    words = "equal error rates" if row["setting"] is None else number(row["setting"])
    return f"{words}, the version's own" if row["own"] else words
