"""A trade-off report as a plain dict: what less disparity would cost in accuracy, by three ways. It applies none."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fairness.bias import LIBRARIES, Progress, canonical_bytes, file_digest, quiet
from fairness.dataset import Source, opened
from fairness.naming import UNKNOWN, canonical
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.tables import number
from fairness.tradeoff.curves import Bools, Floats, Ints, halves, point, thresholds
from fairness.tradeoff.mitigating import STRENGTHS, TOLERANCES, optimised, probabilities, reweighed
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits
from registry.onnx.feeding import wanted_columns
from registry.onnx.sandbox import Scorer
from registry.roles import same_class

SCHEMA = "countersign.tradeoff/1"
USED = (*LIBRARIES, "fairlearn", "scikit-learn")
# Rows drawn by the seed where there are more, and rows of a group that is compared, in each half.
MOST_ROWS = 50_000
FEWEST = 30
TITLES = {
    "one_threshold": "One threshold for everybody",
    "group_thresholds": "Thresholds by group, selection rates at most so far apart",
    "equalised_odds": "Thresholds by group, equal error rates",
    "reweighing": "Reweighing, in a plain logistic regression of the same features",
}
SAID = [
    "Nothing here is applied: the portal serves the version as it is. It shows what other decisions would cost.",
    "Thresholds by group treat people differently because of their group. In employment in the United States that is "
    "unlawful (42 USC 2000e-2(l)); elsewhere it may be. Ask counsel before building on it.",
    "Thresholds were set on one half of the rows and judged on the other, so that they do not flatter themselves.",
    "Accuracy is agreement with the recorded outcome. Where the outcome carries a disparity of its own, agreeing "
    "with it is no virtue.",
    "Where a point draws lots between two thresholds, what it gives on average is shown.",
]


@dataclass(frozen=True)
class Scored:
    """Rows of the groups that are compared, in the file's order; `features` only where all are numbers."""

    scores: Floats
    label: Bools
    group: Ints
    names: tuple[str, ...]
    left_out: list[dict[str, Any]]
    features: Floats | None


def trade_off_report(
    dataset: Path, roles: Roles, *, positive: object, model: Path, decision: Mapping[str, Any],
    dataset_digest: str | None = None, model_digest: str | None = None, revision: str = "",
    limits: Limits | None = None, progress: Progress = quiet, tolerances: Sequence[float] = TOLERANCES,
) -> dict[str, Any]:  # fmt: skip
    """By the one attribute in `roles.sensitive`. Raises DataProblem, ModelProblem, and whatever `progress` raises."""
    progress(0.0, "Reading the dataset")
    rule = DecisionRule.from_mapping(decision)
    inputs = {"dataset": dataset_digest or file_digest(dataset), "model": model_digest or file_digest(model)}
    parameters = {
        "roles": roles.as_dict(), "positive": canonical(positive), "decision": rule.as_dict(),
        "tolerances": list(tolerances), "strengths": list(STRENGTHS), "most_rows": MOST_ROWS,
    }  # fmt: skip
    seed = hashlib.sha256(canonical_bytes({"inputs": inputs, "parameters": parameters})).hexdigest()
    with opened(dataset) as data:
        rows = read(data, roles, positive, model, rule, int(seed[:12], 16), limits, progress)
        total = data.rows
    first = np.zeros(len(rows.scores), dtype=bool)
    first[halves(len(rows.scores), int(seed[12:24], 16))[0]] = True
    rows, first = comparable(rows, first)
    fit, judged = np.flatnonzero(first), np.flatnonzero(~first)
    curves: list[dict[str, Any]] = []
    for name, points in drawn(rows, fit, judged, rule, tolerances):
        curves.append({"name": name, "title": TITLES[name], "points": points})
        progress(0.4 + 0.15 * len(curves), TITLES[name])
    own = next(each for each in curves[0]["points"] if each["own"])
    report = {
        "schema": SCHEMA,
        "attribute": roles.sensitive[0],
        "result": {"sentence": sentence(own, curves)},
        "groups": [{"name": name, "rows": int((rows.group == at).sum())} for at, name in enumerate(rows.names)],
        "left_out": rows.left_out,
        "rows": {"of": total, "used": len(rows.scores), "set_on": len(fit), "judged_on": len(judged)},
        "own": own,
        "curves": curves,
        "says": SAID,
        "provenance": {
            "calculated_by": "portal", "inputs": inputs, "rows": total, "parameters": parameters, "seed": seed,
            "revision": revision,
            "libraries": {name: version(name) for name in USED} | {"python": sys.version.split()[0]},
        },
    }  # fmt: skip
    progress(1.0, "Done")
    return report


def read(
    source: Source, roles: Roles, positive: object, model: Path, rule: DecisionRule, seed: int, limits: Limits | None,
    progress: Progress,
) -> Scored:  # fmt: skip
    """Scores made here of at most 50,000 rows, with outcome and group."""
    import pyarrow as pa

    (attribute,) = roles.sensitive
    source.need([roles.label, attribute])
    kept = np.arange(source.rows)
    if source.rows > MOST_ROWS:
        kept = np.sort(np.random.default_rng(seed).choice(source.rows, MOST_ROWS, replace=False))
    chosen = np.zeros(source.rows, dtype=bool)
    chosen[kept] = True
    scores, labels, groups, features, done = [], [], [], [], 0
    with Scorer(model, limits, len(roles.features) or None) as scorer:
        columns = wanted_columns(scorer.facts.inputs, source.columns, roles.features)
        text = {each.name for each in scorer.facts.inputs if each.type == "tensor(string)"}
        numbers, words = [c for c in columns if c not in text], [c for c in columns if c in text]
        source.numeric(numbers)
        source.complete([*words, roles.label])
        wanted = {"y": source.table[roles.label], "g": source.table[attribute]}
        wanted |= {f"n{i}": source.number(name) for i, name in enumerate(numbers)}
        wanted |= {f"w{i}": source.table[name].cast("string") for i, name in enumerate(words)}
        for batch in source.batches(wanted):
            here = np.flatnonzero(chosen[done : done + batch.num_rows])
            done += batch.num_rows
            batch = batch.take(pa.array(here))
            if not batch.num_rows:
                continue
            given = {name: batch.column(f"n{i}").to_numpy(zero_copy_only=False) for i, name in enumerate(numbers)}
            features.append(np.column_stack(list(given.values())) if given else np.empty((batch.num_rows, 0)))
            given |= {name: np.array(batch.column(f"w{i}").to_pylist(), dtype=object) for i, name in enumerate(words)}
            scores.append(rule.scores(scorer.run(given, rule.output, roles.features)))
            labels += [same_class(canonical(value)) for value in batch.column("y").to_pylist()]
            groups += [canonical(value) for value in batch.column("g").to_pylist()]
            progress(0.35 * done / source.rows, "Scoring rows")
    names = tuple(sorted(set(groups)))
    place = {name: at for at, name in enumerate(names)}
    return Scored(
        np.concatenate(scores), np.array([each == same_class(canonical(positive)) for each in labels]),
        np.array([place[name] for name in groups], dtype=np.int64), names, [],
        None if words else np.concatenate(features).astype(np.float64),
    )  # fmt: skip


def comparable(rows: Scored, first: Bools) -> tuple[Scored, Bools]:
    """Rows, and whether each is of the first half, without the unknown and groups too small to set a threshold for.

    Those left out are listed. Raises DataProblem `too_few_groups`.
    """
    keep, left_out = [], []
    for at, name in enumerate(rows.names):
        in_first, in_second = first & (rows.group == at), ~first & (rows.group == at)
        outcomes = rows.label[in_first]
        if name == UNKNOWN:
            why = "the attribute is not known"
        elif min(in_first.sum(), in_second.sum()) < FEWEST:
            why = f"fewer than {FEWEST} rows in a half"
        elif outcomes.all() or not outcomes.any():
            why = "only one outcome occurs"
        else:
            keep.append(at)
            continue
        left_out.append({"name": name, "rows": int((rows.group == at).sum()), "why": why})
    if len(keep) < 2:
        raise DataProblem(
            "too_few_groups",
            f"Fewer than two groups have {FEWEST} rows in each half and both outcomes, so nothing can be weighed up.",
        )
    here = np.isin(rows.group, keep)
    kept = Scored(
        rows.scores[here], rows.label[here], np.searchsorted(np.array(keep), rows.group[here]),
        tuple(rows.names[at] for at in keep), left_out, None if rows.features is None else rows.features[here],
    )  # fmt: skip
    return kept, first[here]


def drawn(
    rows: Scored, fit: Ints, judged: Ints, rule: DecisionRule, tolerances: Sequence[float]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Name and points of each curve; every point says what it was set to."""
    groups, own = len(rows.names), rule.at_least if rule.kind == "threshold" else 1.0
    label, group, scores = rows.label[judged], rows.group[judged], rows.scores[judged]

    def at(setting: float | None, p: Floats, own: bool = False) -> dict[str, Any]:
        return {"setting": number(setting), "own": own, **point(p, label, group, groups)}

    yield (
        "one_threshold",
        [at(each, (scores >= each).astype(np.float64), each == own) for each in thresholds(scores, own)],
    )
    fitted = rows.scores[fit], rows.label[fit], rows.group[fit]
    yield (
        "group_thresholds",
        [at(each, probabilities(optimised(*fitted, "demographic_parity", each), scores, group)) for each in tolerances],
    )
    yield "equalised_odds", [at(None, probabilities(optimised(*fitted, "equalized_odds", None), scores, group))]
    if rows.features is not None and rows.features.shape[1]:
        features = rows.features[fit], rows.label[fit], rows.group[fit], groups
        yield "reweighing", [
            at(each, reweighed(*features, each, rows.features[judged])) for each in STRENGTHS
        ]  # fmt: skip


def sentence(own: Mapping[str, Any], curves: Sequence[Mapping[str, Any]]) -> str:
    """The version's own rule, and the best that one threshold for everybody gives with less disparity."""
    said = (
        f"Under its own rule the version agrees with the outcome in {own['accuracy']:.1%} of rows, and selection rates "
        f"of groups lie {own['difference']:.3f} apart."
    )
    better = [
        each
        for each in curves[0]["points"]
        if each["difference"] < own["difference"] and each["accuracy"] >= own["accuracy"] - 0.01
    ]
    if not better:
        return f"{said} No other threshold for everybody lessens that at a cost of at most one point of accuracy."
    best = min(better, key=lambda each: (each["difference"], -each["accuracy"]))
    return (
        f"{said} With one threshold of {best['setting']:.3g} for everybody they lie {best['difference']:.3f} apart, at "
        f"an accuracy of {best['accuracy']:.1%}; it says yes to {best['selection_rate']:.1%} of rows rather than "
        f"{own['selection_rate']:.1%}."
    )
