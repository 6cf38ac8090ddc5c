"""The figures of a bias audit as a plain dict. The same inputs give the same bytes; there is no clock in it."""

from __future__ import annotations

import hashlib
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fairness.bias import LIBRARIES, Progress, canonical_bytes, file_digest, quiet
from fairness.dataset import opened
from fairness.ll144 import rules
from fairness.ll144.asking import Ask
from fairness.ll144.counting import Model, Tally, tally
from fairness.ll144.schedule import schedule
from fairness.problems import DataProblem
from fairness.tables import number

SCHEMA = "countersign.ll144/1"
RATES = {"selection": "selection rate", "classification": "selection rate", "scoring": "scoring rate"}


def ll144_report(
    dataset: Path, ask: Ask, *, model: Model | None = None, dataset_digest: str | None = None,
    model_digest: str | None = None, revision: str = "", progress: Progress = quiet,
) -> dict[str, Any]:  # fmt: skip
    """Raises DataProblem, ModelProblem, and whatever `progress(fraction, phase)` raises."""
    progress(0.0, "Reading the dataset")
    inputs = {
        "dataset": dataset_digest or file_digest(dataset),
        "model": (model_digest or file_digest(model.path)) if model else None,
    }
    parameters = {"ask": ask.as_dict(), "decision": dict(model.decision) if model else None}
    with opened(dataset) as data:
        rows, kind = data.rows, data.kind
        counted = tally(data, ask, model, lambda done: progress(0.05 + 0.8 * done / rows, "Scoring rows"))
    progress(0.9, "Calculating")
    report = assembled(ask, counted, rows)
    report["provenance"] = {
        "calculated_by": "portal",
        "inputs": inputs, "rows": rows, "format": kind, "parameters": parameters,
        "seed": hashlib.sha256(canonical_bytes({"inputs": inputs, "parameters": parameters})).hexdigest(),
        "revision": revision,
        "libraries": {name: version(name) for name in LIBRARIES} | {"python": sys.version.split()[0]},
    }  # fmt: skip
    progress(1.0, "Done")
    return report


def assembled(ask: Ask, counted: Tally, rows: int) -> dict[str, Any]:
    """Raises DataProblem `no_known_category` or `left_out_not_small`."""
    counts = next(iter(counted.outcomes.values()))
    aside = rules.unknown(counts)
    if aside["either"] == rows:
        sentence = "No row has a known sex and a known race or ethnicity, so there is nothing to calculate."
        raise DataProblem("no_known_category", sentence, ask.sex)
    try:
        outcomes = [
            {"name": name, "tables": rules.tables(found, ask.left_out)} for name, found in counted.outcomes.items()
        ]
    except rules.NotSmall as fault:
        label = rules.TABLES[fault.table][fault.category]
        sentence = (
            f"“{label}” is {fault.people:,} of {fault.total:,} people, and only a category under 2 % of the data may "
            "be left out (§ 5-301(d)). Keep it in."
        )
        raise DataProblem("left_out_not_small", sentence) from fault
    return {
        "schema": SCHEMA,
        "kind": ask.kind,
        "rate": RATES[ask.kind],
        "result": {"sentence": sentence_of(ask, outcomes)},
        "people": rows,
        "counted": rows - aside["either"],
        "unknown": aside | {"values": counted.taken_as_unknown},
        "median": {**counted.median, "value": number(float(counted.median["value"]))} if counted.median else None,
        "outcomes": outcomes,
        "left_out": list(ask.left_out),
        "data": {
            "kind": ask.data_kind, "explanation": ask.explanation, "why_test": ask.why_test, "how_made": ask.how_made,
            "source": ask.source,
        },
        "auditor": ask.auditor,
        "dates": schedule({name: date.fromisoformat(day) if day else None for name, day in ask.dates.items()}),
    }  # fmt: skip


def sentence_of(ask: Ask, outcomes: list[dict[str, Any]]) -> str:
    """The lowest impact ratio of each table, or of the group of people in which it is lowest."""
    found: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        for low in rules.lowest(outcome["tables"]):
            row = low | {"of": f" ({outcome['name']})" if ask.kind == "classification" else ""}
            if low["table"] not in found or low["impact_ratio"] < found[low["table"]]["impact_ratio"]:
                found[low["table"]] = row
    if not found:
        return "Nobody was selected, so there is no impact ratio. Local Law 144 sets no threshold."
    words = {"sex": "by sex", "race": "by race or ethnicity", "intersection": "by both"}
    said = "; ".join(f"{words[at]} {row['impact_ratio']:.3f}, {row['label']}{row['of']}" for at, row in found.items())
    return f"Lowest impact ratio {said}. Local Law 144 sets no threshold."
