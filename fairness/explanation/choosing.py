"""The method that fits a model: a closed form where its score has one, else the model asked again and again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairness.bias import Progress
from fairness.explanation.interactions import Forest
from fairness.explanation.reading import Columns, Form, Sum, Unreadable, form_of
from fairness.explanation.sampling import Sample
from fairness.explanation.trees import interventional
from fairness.metrics import Floats
from fairness.roles import Roles
from fairness.shapley import Attribution, Score, by_permutations, exact
from registry.onnx.decision import DecisionRule
from registry.onnx.feeding import DTYPES, wanted_columns
from registry.onnx.sandbox import Scorer
from registry.onnx.structure import Structure

ROWS_BUDGET = 4_000_000
MOST_PASSES = 10
# A closed form has to give what the model's own bytes give, which reckon with seven digits.
AGREES = 1e-4
RAW = "log-odds"
RAW_WORDS = "log-odds, the raw score before the logistic function makes it a probability"


@dataclass(frozen=True)
class Explained:
    """Attributions on a `scale` ("log-odds" or "output"), with what the rule reads of the explained rows (`outputs`).

    `cut` is where a yes begins on that scale; `score` asks the model; `agreement` is how far the closed form is from
    the model's own outputs, None where there is none; `forest` is there where the score is one, `linear` where it is a
    weighted sum.
    """

    found: Attribution
    outputs: Floats
    score: Score
    method: dict[str, Any]
    scale: str
    cut: float | None
    agreement: float | None = None
    forest: Forest | None = None
    linear: bool = False


def explained_by(
    scorer: Scorer,
    rule: DecisionRule,
    roles: Roles,
    sample: Sample,
    names: Sequence[str],
    seed: int,
    progress: Progress,
) -> Explained:
    background, explained = sample.matrix[sample.background], sample.matrix[sample.explained]

    def score(table: Floats) -> Floats:
        return rule.scores(scorer.run(sample.columns(names, table), rule.output, roles.features))

    def step(done: float) -> None:
        progress(0.1 + 0.5 * done / len(explained), f"Explaining row {round(done)} of {len(explained)}")

    step(0)
    try:
        return _closed(scorer, rule, roles, names, background, explained, score, step)
    except Unreadable as problem:
        why = f"no closed form: {problem}"
    cut = rule.at_least if rule.kind == "threshold" else 0.5
    width, pairs = len(names), len(background) * len(explained)
    if 2**width * pairs <= ROWS_BUDGET:
        method = {"name": "exact Shapley values", "why": f"{why}; {width} features have only {2**width} coalitions"}
        found = exact(score, background, explained, step)
    else:
        passes = int(min(MOST_PASSES, max(1, ROWS_BUDGET // (2 * width * pairs))))
        method = {
            "name": "Shapley values by sampled permutations",
            "why": f"{why}; {width} features have too many coalitions; {passes} orders a row, walked both ways",
        }
        found = by_permutations(score, background, explained, passes, seed, step)
    return Explained(found, found.scores, score, method, "output", cut)


def _closed(
    scorer: Scorer, rule: DecisionRule, roles: Roles, names: Sequence[str], background: Floats, explained: Floats,
    score: Score, step: Callable[[float], None],
) -> Explained:  # fmt: skip
    """Raises Unreadable where the model's score has no form that is known here, or does not behave like it."""
    rows = np.concatenate([explained, background])
    form = _form(scorer, rule, roles, names, rows)
    forest = None
    count, width = len(explained), len(names)
    if isinstance(form.raw, Sum):
        parts = form.raw.parts[:, 0, :]
        raw = parts.sum(axis=1) + form.raw.rest[0]
        values = parts[:count] - parts[count:].mean(axis=0)
        step(count)
    else:
        seen = form.raw.values
        forest = Forest(form.raw.trees(), form.raw.owner, seen[:count], seen[count:])
        values, sums, ground = interventional(
            forest.trees, forest.owner, forest.rows, forest.background, width, lambda share: step(share * count)
        )
        raw = np.concatenate([sums, ground]) + form.raw.base[0]
    outputs = score(rows)
    expected = _logistic(raw) if form.link == "logistic" else raw
    apart = np.abs(expected - outputs) / np.maximum(1.0, np.abs(outputs))
    if not apart.max() <= AGREES:
        raise Unreadable("what its nodes say is not what it answers")
    found = Attribution(values, float(raw[count:].mean()), raw[:count], len(rows))
    name = {"linear": "exact Shapley values of a linear model", "trees": "exact Shapley values of a tree ensemble"}
    why = {
        "linear": "a weighted sum of features has a closed form (that of shap.LinearExplainer)",
        "trees": "trees read from the model's nodes (interventional TreeSHAP, that of shap.TreeExplainer)",
    }
    scale = "output" if form.link == "none" else RAW
    method = {"name": name[form.kind], "why": why[form.kind]}
    return Explained(
        found, outputs[:count], score, method, scale, _cut(rule, form), float(apart.max()), forest, forest is None
    )


def _cut(rule: DecisionRule, form: Form) -> float | None:
    if form.link == "none":
        return rule.at_least
    return math.log(rule.at_least / (1 - rule.at_least)) if 0 < rule.at_least < 1 else None


def _logistic(raw: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -raw))


def _form(scorer: Scorer, rule: DecisionRule, roles: Roles, names: Sequence[str], rows: Floats) -> Form:
    if rule.kind != "threshold":
        raise Unreadable("its decision is a label, not a score")
    inputs = scorer.facts.inputs
    if any(DTYPES.get(each.type) not in ("float32", "float64") for each in inputs):
        raise Unreadable("it does not take decimal numbers only")
    structure = scorer.structure()
    order = wanted_columns(inputs, names, roles.features)
    if [each.name for each in inputs] == list(order):
        given = {
            each.name: Columns(rows[:, [i]].astype(DTYPES[each.type]), np.array([i])) for i, each in enumerate(inputs)
        }
    else:
        given = {inputs[0].name: Columns(rows.astype(DTYPES[inputs[0].type]), np.arange(len(names)))}
    column = _column(scorer, rule, structure)
    return form_of(structure, given, rule.output, column, len(names))


def _column(scorer: Scorer, rule: DecisionRule, structure: Structure | None) -> int:
    """The place of the class that the rule reads, by its number or by the name that a ZipMap gives it."""
    width = {each.name: each.width for each in scorer.facts.outputs}.get(rule.output)
    for node in structure.nodes if structure else ():
        if node.operator == "ZipMap" and rule.output in node.outputs:
            labels = node.attributes.get("classlabels_int64s", node.attributes.get("classlabels_strings", ()))
            names = [str(label) for label in labels]
            if rule.klass in names:
                return names.index(rule.klass)
    return 0 if width == 1 or not rule.klass.isdigit() else int(rule.klass)
