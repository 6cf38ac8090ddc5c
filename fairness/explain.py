"""Which features move a model's score: Shapley values of the model's own ONNX bytes, summed up as a plain dict.

Linear models and tree ensembles are read from their nodes and explained in closed form; any other model is a black box
behind a confined process. What is said of single rows goes into a second dict, which is kept apart from the report.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.bias import Progress, canonical_bytes, file_digest, quiet
from fairness.dataset import opened
from fairness.explanation import pairs, proxies, reasons, summing
from fairness.explanation.choosing import AGREES, RAW, RAW_WORDS, Explained, explained_by
from fairness.explanation.counterfactual import counterfactuals
from fairness.explanation.sampling import Sample, drawn
from fairness.metrics import Floats
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.tables import number
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits
from registry.onnx.feeding import wanted_columns
from registry.onnx.sandbox import Scorer

SCHEMA, ROWS_SCHEMA = "countersign.explanation/1", "countersign.explained_rows/1"
LIBRARIES = ("numpy", "duckdb", "onnx", "onnxruntime")
MAX_FEATURES = 200
# Of the largest score: what base value and attributions may miss a score by.
TOLERANCE = 1e-5
LONG = Limits(cpu_seconds=1800)


@dataclass(frozen=True)
class Explanation:
    """The report, and beside it each explained row: values of people, which fewer may see."""

    report: dict[str, Any]
    rows: dict[str, Any]


def explain_report(dataset: Path, roles: Roles, **given: Any) -> dict[str, Any]:
    """The report alone; takes and raises what `explanation` does."""
    return explanation(dataset, roles, **given).report


def explanation(
    dataset: Path,
    roles: Roles,
    *,
    model: Path,
    decision: Mapping[str, Any],
    rows: int = 300,
    background: int = 100,
    dictionary: Mapping[str, Mapping[str, Any]] | None = None,
    baseline: str = "just_passed",
    dataset_digest: str | None = None,
    model_digest: str | None = None,
    revision: str = "",
    limits: Limits | None = None,
    progress: Progress = quiet,
) -> Explanation:
    """Explains the score that the decision rule reads, on a seeded sample of rows.

    `dictionary` has a feature's plain words and whether it is fixed; `baseline` is a key of reasons.BASELINES. Raises
    DataProblem, ModelProblem, and whatever `progress(fraction, phase)` raises to stop.
    """
    progress(0.0, "Reading the dataset")
    rule, words = DecisionRule.from_mapping(decision), dict(dictionary or {})
    inputs = {"dataset": dataset_digest or file_digest(dataset), "model": model_digest or file_digest(model)}
    parameters = {
        "roles": roles.as_dict(), "decision": rule.as_dict(), "rows": rows, "background": background,
        "dictionary": words, "baseline": baseline,
    }  # fmt: skip
    seed = hashlib.sha256(canonical_bytes({"inputs": inputs, "parameters": parameters})).hexdigest()
    number_ = int(seed[:8], 16)
    with Scorer(model, limits or LONG, len(roles.features) or None) as scorer, opened(dataset) as data:
        names = wanted_columns(scorer.facts.inputs, data.columns, roles.features)
        if len(names) > MAX_FEATURES:
            raise DataProblem(
                "too_many_features",
                f"The model reads {len(names)} columns; at most {MAX_FEATURES} can be explained here.",
            )
        text = tuple(n for n in names if n in {t.name for t in scorer.facts.inputs if t.type == "tensor(string)"})
        sample = drawn(data, roles, names, text, rows, background, int(seed[:12], 16))
        total = data.rows
        made = explained_by(scorer, rule, roles, sample, names, number_, progress)
        values = made.found.values
        explained = sample.matrix[sample.explained]
        additivity = _additivity(made)
        joint = _interactions(names, made, explained, additivity["tolerance"], number_, progress)
        progress(0.7, "Shuffling features as a check")
        check = summing.shuffled(names, made.score, lambda s: s >= _least(rule), explained, values, number_)
        told = _rows(roles, names, sample, made, rule, words, baseline, progress)
    progress(0.95, "Summing up")
    again = summing.resampled(values, number_)
    report = {
        "schema": SCHEMA,
        "result": {"sentence": _sentence(names, values) + _doubt(additivity)},
        "method": made.method
        | {
            "background": len(sample.background),
            "rows": len(explained),
            "of_rows": total,
            "output": rule.as_dict()["output"],
            "scale": made.scale,
            "scale_words": RAW_WORDS if made.scale == RAW else f"the output “{rule.output}” itself",
            "evaluations": made.found.evaluations,
            "confidence": summing.CONFIDENCE,
        },
        "base_value": number(made.found.base),
        "features": summing.features(names, values, explained, text, again),
        "stability": summing.stability(names, values, again),
        "shuffled": check,
        "swarm": summing.swarm(names, values, explained),
        "dependence": summing.dependence(names, values, explained, sample.levels),
        "interactions": joint,
        "additivity": additivity,
        "groups": summing.groups(roles.sensitive, sample.groups(), names, values, made.outputs),
        "proxies": [
            proxies.associations(attribute, column, names, sample.matrix, text)
            for attribute, column in zip(roles.sensitive, sample.attributes, strict=True)
        ],
        "reasons": told.summary,
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
    about = {"schema": ROWS_SCHEMA, "seed": seed, "base_value": report["base_value"], "cut": number_or_none(made.cut)}
    return Explanation(report, about | {"rows": told.rows})


def _least(rule: DecisionRule) -> float:
    return rule.at_least if rule.kind == "threshold" else 0.5


def number_or_none(value: float | None) -> float | None:
    return None if value is None else number(value)


@dataclass(frozen=True)
class _Told:
    summary: dict[str, Any]
    rows: list[dict[str, Any]]


def _rows(
    roles: Roles, names: Sequence[str], sample: Sample, made: Explained, rule: DecisionRule,
    dictionary: Mapping[str, Mapping[str, Any]], baseline: str, progress: Progress,
) -> _Told:  # fmt: skip
    """Reasons and counterfactuals of the explained rows, one by one and counted."""
    values, matrix = made.found.values, sample.matrix[sample.explained]
    yes = made.outputs >= _least(rule)
    against = reasons.baseline_of(baseline, values, matrix, made.found.scores, yes, sample.levels)
    adverse = reasons.adverse(values, against)
    free = [
        i for i, name in enumerate(names) if name not in roles.sensitive and not dictionary.get(name, {}).get("fixed")
    ]

    def decide(table: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        scores = made.score(table)
        return scores, scores >= _least(rule)

    others = counterfactuals(
        decide, sample.matrix, matrix, free, list(sample.levels),
        lambda share: progress(0.75 + 0.2 * share, "Searching what would have changed the answers"),
    )  # fmt: skip
    summary = {
        "baseline": against.kind,
        "baseline_asked": baseline,
        "baseline_rows": against.rows,
        "baseline_words": reasons.BASELINES[against.kind],
        "justification": reasons.JUSTIFIED[against.kind],
        "most": reasons.MOST,
        "dictionary": [{"feature": name, **dictionary[name]} for name in names if name in dictionary],
        "not_in_dictionary": [name for name in names if name not in dictionary],
        "refused": int((~yes).sum()),
        "counterfactuals_found": sum(1 for i, found in enumerate(others) if found and not yes[i]),
        "groups": reasons.principal(names, adverse, ~yes, roles.sensitive, sample.groups()),
    }
    rows = []
    for n, place in enumerate(sample.explained):
        shown = [sample.shown(i, float(matrix[n, i])) for i in range(len(names))]
        usual = [sample.shown(i, float(against.usual[i])) for i in range(len(names))]
        changes = others[n]
        rows.append(
            {
                "row": n + 1,
                "row_in_dataset": int(sample.numbers[place]),
                "score": number(float(made.outputs[n])),
                "raw": number(float(made.found.scores[n])),
                "yes": bool(yes[n]),
                "features": [
                    {"feature": name, "value": shown[i], "attribution": number(float(values[n, i]))}
                    for i, name in enumerate(names)
                ],
                "reasons": [
                    {
                        "feature": names[i],
                        "words": reasons.in_words(names[i], dictionary, shown[i], usual[i]),
                        "value": shown[i],
                        "usual": usual[i],
                        "against": number(float(against.means[i] - values[n, i])),
                    }
                    for i in adverse[n]
                ],
                "counterfactual": changes
                and [
                    {"feature": names[i], "from": shown[i], "to": sample.shown(i, value)}
                    for i, value in sorted(changes.items())
                ],
            }
        )
    return _Told(summary, rows)


def _interactions(
    names: Sequence[str], made: Explained, explained: Floats, tolerance: float, seed: int, progress: Progress
) -> dict[str, Any]:
    if made.forest is None:
        return pairs.none(pairs.LINEAR if made.linear else pairs.NO_TREES)
    return pairs.found(
        names, made.forest, explained, made.found.values, tolerance, seed,
        lambda share: progress(0.6 + 0.1 * share, "Working out which features act together"),
    )  # fmt: skip


def _additivity(made: Explained) -> dict[str, Any]:
    """How far base value and attributions are from adding up to the scores, and a closed form from the model."""
    found = made.found
    residual = np.abs(found.scores - found.base - found.values.sum(axis=1))
    tolerance = TOLERANCE * max(1.0, float(np.abs(found.scores).max()))
    return {
        "largest": summing.leftover(float(residual.max())),
        "mean": summing.leftover(float(residual.mean())),
        "tolerance": number(tolerance),
        "holds": bool(residual.max() <= tolerance),
        "model": number_or_none(made.agreement),
        "model_tolerance": None if made.agreement is None else AGREES,
    }


def _doubt(additivity: Mapping[str, Any]) -> str:
    if additivity["holds"]:
        return ""
    return (
        f" But attributions miss the scores by up to {additivity['largest']:.2g}, which is over the tolerance of "
        f"{additivity['tolerance']:.2g}: do not rely on this report."
    )


def _sentence(names: Sequence[str], values: Floats) -> str:
    strength = np.abs(values).mean(axis=0)
    if not strength.sum() > 0:
        return "No feature moves the score: the model gives these rows all the same."
    top = np.argsort(-strength, kind="stable")[:3]
    share = float(strength[top].sum() / strength.sum())
    listed = ", ".join(names[i] for i in top[:-1]) + (f" and {names[top[-1]]}" if len(top) > 1 else names[top[0]])
    return f"The score is moved most by {listed}, which make {share:.0%} of all attribution."


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
