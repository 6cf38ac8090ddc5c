"""A comparison of two versions as a plain dict: both decide about the same rows, and the pairs are counted by group."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness import cells as reduce
from fairness import exclusions, intervals, tables
from fairness.bias import Progress, canonical_bytes, file_digest, libraries, quiet
from fairness.dataset import Source, opened
from fairness.metrics import Cells
from fairness.naming import UNKNOWN, canonical
from fairness.paired import Pairs, difference, mcnemar
from fairness.roles import Roles
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits
from registry.onnx.feeding import wanted_columns
from registry.onnx.sandbox import Scorer

SCHEMA = "countersign.comparison/1"
CONFIDENCE = 0.95
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One of the two versions: its file, its decision rule, its features in their order."""

    name: str
    model: Path
    decision: Mapping[str, Any]
    features: tuple[str, ...]
    digest: str | None = None

    def as_dict(self) -> dict[str, Any]:
        rule = DecisionRule.from_mapping(self.decision).as_dict()
        return {"name": self.name, "decision": rule, "features": list(self.features)}


def comparison_report(
    dataset: Path, roles: Roles, *, positive: object, old: Side, new: Side, dataset_digest: str | None = None,
    revision: str = "", limits: Limits | None = None, progress: Progress = quiet,
) -> dict[str, Any]:  # fmt: skip
    """Has both versions decide about every row, reading the dataset once. Raises DataProblem and ModelProblem."""
    progress(0.0, "Reading the dataset")
    inputs = {
        "dataset": dataset_digest or file_digest(dataset),
        "old": old.digest or file_digest(old.model),
        "new": new.digest or file_digest(new.model),
    }
    parameters = {
        "roles": roles.as_dict(), "positive": canonical(positive), "old": old.as_dict(), "new": new.as_dict(),
        "confidence": CONFIDENCE,
    }  # fmt: skip
    with opened(dataset) as data:
        was, now, both = decided(data, roles, positive, old, new, limits, progress)
        rows, kind = data.rows, data.kind
    progress(0.95, "Computing intervals")
    attributes = [table([name], *(part.by([name]) for part in (was, now, both))) for name in roles.sensitive]
    yes = [int(part.n[:, :, 1].sum()) for part in (was, now, both)]
    overall = row("all rows", yes[0], yes[1], yes[2], was.rows)
    report = {
        "schema": SCHEMA,
        "result": {"sentence": sentence(old, new, overall, attributes), "changed": changed(overall)},
        "old": old.name, "new": new.name, "overall": overall, "attributes": attributes, "warnings": warnings(roles),
        "provenance": {
            "calculated_by": "portal", "decisions": "made by the portal", "inputs": inputs, "rows": rows,
            "format": kind, "parameters": parameters, "revision": revision, "libraries": libraries(),
            "seed": hashlib.sha256(canonical_bytes({"inputs": inputs, "parameters": parameters})).hexdigest(),
        },
    }  # fmt: skip
    progress(1.0, "Done")
    return report


def decided(
    data: Source, roles: Roles, positive: object, old: Side, new: Side, limits: Limits | None, progress: Progress
) -> tuple[Cells, Cells, Cells]:
    """Cells by group × label × decision: of the old version, of the new one, and of both saying yes."""
    kept: list[Bits] = []
    # Pairs are counted row by row; a reason to be left out is one more attribute until they are counted.
    more = [roles.exclusion] if roles.exclusion else []
    grouping = replace(roles, cluster=None, sensitive=(*roles.sensitive, *more))

    def step(done: int) -> None:
        progress(0.05 + 0.85 * done / data.rows, "Scoring rows with both versions")

    with ExitStack() as stack:
        scorers = [stack.enter_context(Scorer(side.model, limits, len(side.features) or None)) for side in (old, new)]
        numbers, words = columns_of(scorers, (old, new), data.columns)

        def predict(batch: Mapping[str, NDArray[Any]]) -> Bits:
            was, now = (choice(scorer, side, batch) for scorer, side in zip(scorers, (old, new), strict=True))
            kept.append(np.stack([was, now]))
            return was

        was = reduce.scored_cells(data, grouping, positive, predict, numbers, words, step)
    first, second = np.concatenate(kept, axis=1)
    later = (reduce.scored_cells(data, grouping, positive, made(each), (), ()) for each in (second, first & second))
    cells = (was, *later)
    counted = [exclusions.kept(each, roles.exclusion) if roles.exclusion else each for each in cells]
    return counted[0], counted[1], counted[2]


def made(decisions: Bits) -> reduce.Predict:
    """Decisions that are there already, one a row in the file's order."""
    return lambda batch: np.asarray(decisions[batch[""]])


def choice(scorer: Scorer, side: Side, batch: Mapping[str, NDArray[Any]]) -> Bits:
    rule = DecisionRule.from_mapping(side.decision)
    wanted = wanted_columns(scorer.facts.inputs, tuple(batch), side.features)
    own = {name: batch[name] for name in wanted}
    return np.asarray(rule.decide(scorer.run(own, rule.output, side.features)), dtype=bool)


def columns_of(
    scorers: Sequence[Scorer], sides: Sequence[Side], available: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that either version reads: those that are numbers, and those that are words."""
    numbers, words = dict[str, None](), dict[str, None]()
    for scorer, side in zip(scorers, sides, strict=True):
        text = {tensor.name for tensor in scorer.facts.inputs if tensor.type == "tensor(string)"}
        for name in wanted_columns(scorer.facts.inputs, available, side.features):
            (words if name in text else numbers)[name] = None
    return tuple(name for name in numbers if name not in words), tuple(words)


def table(attributes: Sequence[str], was: Cells, now: Cells, both: Cells) -> dict[str, Any]:
    yes = [part.n[:, :, 1].sum(axis=1) for part in (was, now, both)]
    groups = [
        row(tables.group_name(attributes, group), int(yes[0][i]), int(yes[1][i]), int(yes[2][i]), int(was.sizes[i]))
        | {"unknown": UNKNOWN in group}
        for i, group in enumerate(was.groups)
    ]
    corrected = intervals.holm([group["p_value"] for group in groups])
    for group, p in zip(groups, corrected, strict=True):
        group["p_value_corrected"] = tables.number(float(p))
    return {"attributes": list(attributes), "groups": groups}


def row(name: str, was: int, now: int, both: int, size: int) -> dict[str, Any]:
    """One group from how many of its rows got a yes before, after, and both times."""
    pairs = Pairs(both, was - both, now - both, size - was - now + both)
    gap, low, high = difference(pairs, CONFIDENCE)
    within = intervals.wilson([pairs.old, pairs.new], [size, size], CONFIDENCE)
    sides = {
        side: bounded(value, float(within.low[i]), float(within.high[i]))
        for i, (side, value) in enumerate((("old", pairs.old), ("new", pairs.new)))
    }
    return {
        "name": name, "count": size, **sides, "difference": bounded(gap, low, high),
        "pairs": {"both": pairs.both, "before": pairs.before, "after": pairs.after, "neither": pairs.neither},
        "p_value": tables.number(mcnemar(pairs)),
    }  # fmt: skip


def bounded(value: float, low: float, high: float) -> dict[str, float | None]:
    return {"value": tables.number(value), "low": tables.number(low), "high": tables.number(high)}


def changed(overall: Mapping[str, Any]) -> int:
    return int(overall["pairs"]["before"] + overall["pairs"]["after"])


def sentence(old: Side, new: Side, overall: Mapping[str, Any], attributes: Sequence[Mapping[str, Any]]) -> str:
    pairs = overall["pairs"]
    if not changed(overall):
        return f"{new.name} decides as {old.name} does about each of {overall['count']:,} rows."
    said = (
        f"{new.name} decides otherwise than {old.name} about {changed(overall):,} of {overall['count']:,} rows: "
        f"{pairs['after']:,} get a yes now, {pairs['before']:,} no longer do."
    )
    clear = [g for t in attributes for g in t["groups"] if (g["p_value_corrected"] or 0.0) < 1 - CONFIDENCE]
    if not clear:
        return f"{said} No group's selection rate has clearly moved."
    most = max(clear, key=lambda group: abs(group["difference"]["value"]))
    gap = most["difference"]
    return (
        f"{said} The selection rate that moved most, and clearly, is that of {most['name']}: from "
        f"{most['old']['value']:.3f} to {most['new']['value']:.3f}, by {gap['value']:+.3f} "
        f"({gap['low']:+.3f} to {gap['high']:+.3f})."
    )


def warnings(roles: Roles) -> list[dict[str, str]]:
    found = []
    if roles.weight:
        said = f"Rows are counted one by one here: the weights in {roles.weight!r} are left out."
        found.append({"code": "unweighted", "sentence": said})
    if roles.cluster:
        said = (
            f"Rows with the same {roles.cluster!r} belong together, and are taken for independent here: intervals are "
            "narrower than they should be."
        )
        found.append({"code": "unclustered", "sentence": said})
    return found
