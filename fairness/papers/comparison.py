"""A comparison of two versions as a paper, from what its page shows (`fairness.views.comparison_parts`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fairness.papers.blocks import Block, bullets, count, estimate, heading, summary, table

Parts = Mapping[str, Any]
PAIRS = ("both", "before", "after", "neither")


def comparison(parts: Parts) -> Iterator[Block]:
    report = parts["report"]
    names = [", ".join(row["name"].split(" = ", 1)[-1] for row in move["rows"]) for move in parts["moves"][1:]]
    yield heading("In one minute")
    yield summary([
        ("What was found", report["result"]["sentence"], []),
        (
            "For whom",
            f"{count(report['provenance']['rows'])} rows, about each of which both versions decided.",
            [f"{move['name']}: {told}." for move, told in zip(parts["moves"][1:], names, strict=True)],
        ),
        (
            "How sure",
            "Each change has a 95 % interval for decisions about the same rows.",
            ["Newcombe's method 10 for pairs (1998); p is McNemar's, corrected over an attribute's groups (Holm)."],
        ),
        (
            "What it cannot say",
            "Whether a change is for the better: it compares decisions with decisions, not with what was right.",
            [warning["sentence"] for warning in report["warnings"]],
        ),
    ])  # fmt: skip
    for move in parts["moves"]:
        yield heading(f"Selection rate, {move['name']}")
        head = ("Group", "Rows", report["old"], report["new"], "Change", "p")
        rows = [
            (
                row["name"],
                count(row["count"]),
                *(estimate(row[side]) for side in ("old", "new", "difference")),
                row["p"],
            )
            for row in move["rows"]
        ]
        yield table(f"Selection rates before and after, {move['name']}", head, rows)
        sides = ("Group", "Yes both times", "Yes only before", "Yes only now", "No both times")
        cells = [(row["name"], *(count(row["pairs"][side]) for side in PAIRS)) for row in move["rows"]]
        yield table(f"Rows by both decisions, {move['name']}", sides, cells)
    yield heading("What these numbers can and cannot show")
    yield bullets([
        "A change of decisions is a difference. Whether it is justified, lawful or fair, no number says.",
        *(warning["sentence"] for warning in report["warnings"]),
    ])  # fmt: skip
