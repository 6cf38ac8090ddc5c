"""Which features move a model's score: Shapley values of the model's own ONNX bytes, summed up as a plain dict.

The model is a black box behind a confined process. Values are exact over all coalitions where there are few features,
else sampled by permutations walked both ways (exact for models without interactions of three or more features).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.bias import Progress, canonical_bytes, file_digest, quiet
from fairness.cells import canonical
from fairness.dataset import Source, opened
from fairness.metrics import UNKNOWN, Floats
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.shapley import Attribution, by_permutations, exact
from fairness.tables import number
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits
from registry.onnx.feeding import wanted_columns
from registry.onnx.sandbox import Scorer

SCHEMA = "countersign.explanation/1"
LIBRARIES = ("numpy", "duckdb", "onnx", "onnxruntime")
MAX_FEATURES = 200
ROWS_BUDGET = 4_000_000
MOST_PASSES = 10
REPLICATES = 1000
CONFIDENCE = 0.95
SMALL_GROUP = 10
LONG = Limits(cpu_seconds=1800)


def explain_report(
    dataset: Path,
    roles: Roles,
    *,
    model: Path,
    decision: Mapping[str, Any],
    rows: int = 300,
    background: int = 100,
    dataset_digest: str | None = None,
    model_digest: str | None = None,
    revision: str = "",
    limits: Limits | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Explains the score that the decision rule reads, on a seeded sample of rows.

    Raises DataProblem, ModelProblem, and whatever `progress(fraction, phase)` raises to stop.
    """
    progress(0.0, "Reading the dataset")
    rule = DecisionRule.from_mapping(decision)
    inputs = {"dataset": dataset_digest or file_digest(dataset), "model": model_digest or file_digest(model)}
    parameters = {"roles": roles.as_dict(), "decision": rule.as_dict(), "rows": rows, "background": background}
    seed = hashlib.sha256(canonical_bytes({"inputs": inputs, "parameters": parameters})).hexdigest()
    with Scorer(model, limits or LONG, len(roles.features) or None) as scorer, opened(dataset) as data:
        names = wanted_columns(scorer.facts.inputs, data.columns, roles.features)
        if len(names) > MAX_FEATURES:
            raise DataProblem(
                "too_many_features",
                f"The model reads {len(names)} columns; at most {MAX_FEATURES} can be explained here.",
            )
        text = tuple(n for n in names if n in {t.name for t in scorer.facts.inputs if t.type == "tensor(string)"})
        sample = _sample(data, roles, names, text, rows, background, int(seed[:12], 16))
        found, method = _attributions(scorer, rule, roles, sample, names, int(seed[:8], 16), progress)
        total = data.rows
    progress(0.95, "Summing up")
    explained = sample.matrix[sample.explained]
    values, residual = found.values, np.abs(found.scores - found.base - found.values.sum(axis=1))
    report = {
        "schema": SCHEMA,
        "result": {"sentence": _sentence(names, values)},
        "method": method
        | {
            "background": len(sample.background),
            "rows": len(explained),
            "of_rows": total,
            "output": rule.as_dict()["output"],
            "evaluations": found.evaluations,
            "confidence": CONFIDENCE,
        },
        "base_value": number(found.base),
        "features": _features(names, values, explained, text, int(seed[:8], 16)),
        "additivity": {"largest": number(float(residual.max())), "mean": number(float(residual.mean()))},
        "groups": _groups(roles.sensitive, sample.attributes, names, values, found.scores),
        "warnings": _warnings(roles, names),
        "provenance": {
            "calculated_by": "portal",
            "inputs": inputs,
            "rows": total,
            "parameters": parameters,
            "seed": seed,
            "revision": revision,
            "libraries": {name: version(name) for name in LIBRARIES} | {"python": sys.version.split()[0]},
        },
    }
    progress(1.0, "Done")
    return report


class _Sample:
    """Rows drawn once: a matrix of features (text as numbers of levels) and which rows serve for what."""

    def __init__(
        self, matrix: Floats, levels: dict[int, list[str]], attributes: list[list[str]], background: int
    ) -> None:
        self.matrix = matrix
        self.levels = levels
        self.background = np.arange(min(background, len(matrix)))
        # A dataset too small for two samples is explained against itself.
        self.explained = np.arange(background, len(matrix)) if len(matrix) > background else self.background
        self.attributes = [[column[i] for i in self.explained] for column in attributes]


def _sample(
    data: Source, roles: Roles, names: Sequence[str], text: Sequence[str], rows: int, background: int, seed: int
) -> _Sample:
    numbers = [n for n in names if n not in text]
    data.numeric(numbers)
    data.complete(text)
    data.need(roles.sensitive)
    count = min(data.rows, rows + background)
    chosen = np.random.default_rng(seed).choice(data.rows, size=count, replace=False)
    wanted = {f"f{i}": data.table[n].cast("string") if n in text else data.number(n) for i, n in enumerate(names)}
    wanted |= {f"s{i}": data.table[n] for i, n in enumerate(roles.sensitive)}
    at = np.sort(chosen)
    found: list[dict[str, Any]] = []
    done = 0
    for batch in data.batches(wanted):
        inside = at[(at >= done) & (at < done + batch.num_rows)] - done
        found += batch.take(inside).to_pylist()
        done += batch.num_rows
    # Back into the drawn order, so that background and explained rows are both random.
    ordered = [found[i] for i in np.argsort(np.argsort(chosen))]
    matrix = np.zeros((count, len(names)))
    levels: dict[int, list[str]] = {}
    for i, name in enumerate(names):
        column = [row[f"f{i}"] for row in ordered]
        if name in text:
            levels[i] = sorted(set(column))
            column = [levels[i].index(value) for value in column]
        matrix[:, i] = column
    attributes = [[canonical(row[f"s{i}"]) for row in ordered] for i in range(len(roles.sensitive))]
    return _Sample(matrix, levels, attributes, background)


def _attributions(
    scorer: Scorer,
    rule: DecisionRule,
    roles: Roles,
    sample: _Sample,
    names: Sequence[str],
    seed: int,
    progress: Progress,
) -> tuple[Attribution, dict[str, Any]]:
    def score(table: Floats) -> Floats:
        columns: dict[str, NDArray[Any]] = {}
        for i, name in enumerate(names):
            columns[name] = table[:, i]
            if i in sample.levels:
                columns[name] = np.array(sample.levels[i], dtype=object)[table[:, i].astype(int)]
        return rule.scores(scorer.run(columns, rule.output, roles.features))

    def step(done: int) -> None:
        progress(0.1 + 0.85 * done / len(explained), f"Explaining row {done} of {len(explained)}")

    background, explained = sample.matrix[sample.background], sample.matrix[sample.explained]
    width, pairs = len(names), len(background) * len(explained)
    if 2**width * pairs <= ROWS_BUDGET:
        method = {"name": "exact Shapley values", "why": f"{width} features have only {2**width} coalitions"}
        return exact(score, background, explained, step), method
    passes = int(min(MOST_PASSES, max(1, ROWS_BUDGET // (2 * width * pairs))))
    method = {
        "name": "Shapley values by sampled permutations",
        "why": f"{width} features have too many coalitions; {passes} orders a row, walked both ways",
    }
    return by_permutations(score, background, explained, passes, seed, step), method


def _sentence(names: Sequence[str], values: Floats) -> str:
    strength = np.abs(values).mean(axis=0)
    if not strength.sum() > 0:
        return "No feature moves the score: the model gives these rows all the same."
    top = np.argsort(-strength, kind="stable")[:3]
    share = float(strength[top].sum() / strength.sum())
    listed = ", ".join(names[i] for i in top[:-1]) + (f" and {names[top[-1]]}" if len(top) > 1 else names[top[0]])
    return f"The score is moved most by {listed}, which make {share:.0%} of all attribution."


def _features(
    names: Sequence[str], values: Floats, matrix: Floats, text: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    size = np.abs(values)
    rng = np.random.default_rng(seed)
    drawn = np.stack([size[rng.integers(0, len(size), len(size))].mean(axis=0) for _ in range(REPLICATES)])
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    found = [
        {
            "feature": name,
            "importance": number(float(size[:, i].mean())),
            "low": number(float(low[i])),
            "high": number(float(high[i])),
            "mean": number(float(values[:, i].mean())),
            "correlation": None if name in text else number(_correlation(matrix[:, i], values[:, i])),
        }
        for i, name in enumerate(names)
    ]
    return sorted(found, key=lambda row: (-(row["importance"] or 0.0), row["feature"]))


def _correlation(a: Floats, b: Floats) -> float:
    """Whether higher values raise (over 0) or lower the score; NaN where either does not vary."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale > 1e-12 else float("nan")


def _groups(
    attributes: Sequence[str], columns: Sequence[Sequence[str]], names: Sequence[str], values: Floats, scores: Floats
) -> list[dict[str, Any]]:
    everyone = values.mean(axis=0)
    found = []
    for attribute, column in zip(attributes, columns, strict=True):
        for level in sorted(set(column)):
            inside = np.array([value == level for value in column])
            mean = values[inside].mean(axis=0)
            order = np.argsort(-np.abs(mean - everyone), kind="stable")
            found.append(
                {
                    "attribute": attribute,
                    "group": f"{attribute} = {level}",
                    "rows": int(inside.sum()),
                    "unknown": level == UNKNOWN,
                    "too_few": bool(inside.sum() < SMALL_GROUP),
                    "mean_output": number(float(scores[inside].mean())),
                    "features": [
                        {
                            "feature": names[i],
                            "mean": number(float(mean[i])),
                            "difference": number(float(mean[i] - everyone[i])),
                        }
                        for i in order
                    ],
                }
            )
    return found


def _warnings(roles: Roles, names: Sequence[str]) -> list[dict[str, str]]:
    found = [
        {
            "code": "not_causal",
            "sentence": "Attributions say what the model uses, not what causes an outcome. Features that go together "
            "share their attribution in ways that depend on the background sample.",
        }
    ]
    used = [name for name in roles.sensitive if name in names]
    if used:
        found.append(
            {
                "code": "sensitive_feature",
                "sentence": f"The model is given {', '.join(used)}, which is marked as sensitive.",
            }
        )
    return found
