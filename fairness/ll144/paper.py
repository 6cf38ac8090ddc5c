"""The summary of a bias audit as a PDF: typeset by typst from plain data, the same bytes for the same report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audits import typesetting
from fairness.ll144.presenting import parts

TEMPLATE = Path(__file__).parent / "summary.typ"


def summary(report: Mapping[str, Any], *, title: str, subject: str, dataset: str, digest: str) -> bytes:
    """PDF bytes, the same for the same report."""
    return typesetting.typeset(TEMPLATE, told(report, title=title, subject=subject, dataset=dataset, digest=digest))


def told(report: Mapping[str, Any], *, title: str, subject: str, dataset: str, digest: str) -> dict[str, Any]:
    said, data, unknown = parts(report), report["data"], report["unknown"]
    facts = [
        ["Tool", subject],
        ["What it does", said["kind_words"]],
        ["Independent auditor", report["auditor"] or "not said"],
        *([words, when] for words, when in said["days"]),
        ["Data", f"{said['data_words']}, dataset “{dataset}”. {said['source_words']}."],
        ["Source and explanation", data["explanation"]],
    ]
    if data["kind"] == "test":
        facts += [["Why no historical data", data["why_test"]], ["How the test data were made", data["how_made"]]]
    if median := report["median"]:
        counts = f"{median['above']:,} above it, {median['at']:,} at it, {median['below']:,} below"
        facts.append(["Median score of all", f"{median['value']:g}: {counts}"])
    facts.append(["People", f"{report['people']:,}, of whom {report['counted']:,} stand in the tables"])
    return {
        "title": title,
        "said": report["result"]["sentence"],
        "facts": facts,
        "remarks": report["dates"]["remarks"],
        "unknown": f"{unknown['either']:,} people are in no table because their sex ({unknown['sex']:,}) or race or "
        f"ethnicity ({unknown['race']:,}) is not known; of them {unknown['chosen']:,}: {said['chosen_words'].lower()}.",
        "chosen": said["chosen_words"],
        "rate": report["rate"].capitalize(),
        "tables": [
            {
                "heading": table["heading"],
                "some_left_out": table["some_left_out"],
                "rows": [line(row) for row in table["rows"]],
            }
            for each in said["outcomes"]
            for table in each["tables"]
        ],
        "left_out": [
            f"{row['label']}: {row['left_out']}"
            for each in said["outcomes"][:1]
            for table in each["tables"]
            for row in table["rows"]
            if row["left_out"]
        ],
        "footer": f"Calculated by Countersign {report['provenance']['revision']}; report {digest}. The audit is the "
        "independent auditor's, who signs for it.",
    }


def line(row: Mapping[str, Any]) -> list[str]:
    ratio = "left out" if row["left_out"] else figure(row["impact_ratio"])
    rate = "–" if row["rate"] is None else f"{row['rate'] * 100:.1f} %"
    return [
        row["label"],
        f"{row['people']:,}",
        f"{row['chosen']:,}",
        rate,
        ratio,
        figure(row["ratio_if_none_left_out"]),
    ]


def figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
