"""A bias report as a plain dict: the test's result first, then groups, comparisons, and where everything came from.

The same inputs give the same bytes: no clock, no order of threads, a seed that is the hash of the inputs.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairness import exclusions, membering, overlap, sections, suitability, tables
from fairness.clusters import grouped
from fairness.dataset import Source, opened
from fairness.declared import Scale, Task
from fairness.metrics import NAMES, Cells
from fairness.modelled import modelled_cells, recorded_cells
from fairness.naming import UNKNOWN, canonical
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.rules import DEFAULT_RULE, Rule
from fairness.submitting import Beside, joined, submitted_cells
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits

SCHEMA = "countersign.bias/1"
Origin = Literal["historical", "model", "submitted"]
Progress = Callable[[float, str], None]
LIBRARIES = ("numpy", "duckdb", "ibis-framework", "onnx", "onnxruntime")
HISTORICAL_METRICS = ("selection_rate",)
MAX_INTERSECTION_GROUPS = 60
MUCH_UNKNOWN = 0.05


def quiet(fraction: float, phase: str) -> None:
    """Progress that nobody watches."""


def bias_report(
    dataset: Path | Source,
    roles: Roles,
    *,
    positive: object,
    source: Origin,
    rule: Rule = DEFAULT_RULE,
    further_rules: Sequence[Rule] = (),
    model: Path | None = None,
    decision: Mapping[str, Any] | None = None,
    predictions: NDArray[Any] | None = None,
    at_least: float | None = None,
    tested: Sequence[str] = (),
    reference: Mapping[str, str] | None = None,
    task: Task = "binary",
    scale: Scale | None = None,
    weight_kind: tables.WeightKind = "survey",
    depth: int = 2,
    dataset_digest: str | None = None,
    model_digest: str | None = None,
    predictions_digest: str | None = None,
    training: Mapping[str, Path | None] | None = None,
    revision: str = "",
    limits: Limits | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Reads the dataset once and reports. Raises DataProblem, ModelProblem, and whatever `progress` raises.

    A dataset that is no file comes open, and only with decisions that stand in it.
    historical: the label is itself the decision. model: decisions are made here, by `model` under the rule `decision`.
    submitted: from `predictions` (one a row), the column roles.prediction, or roles.score from `at_least` on. `task`
    says what they are (see `fairness.submitting`), and `scale` whether scores are probabilities, which is then checked.
    For the other two `task` says what the outcome is; a recorded number is a yes from `at_least` on, and of several
    classes the positive one is (see `fairness.modelled`).
    `tested` names the attributes under test (default: all), which `rule` and `further_rules` judge as one family; the
    worst verdict counts. `depth` up to 3 adds intersections, which are exploratory.
    `training` are the files that the model was trained on, by digest: rows that are in both are counted.
    `progress(fraction, phase)` may raise to stop.
    """
    if not 1 <= depth <= 3:
        raise ValueError("depth is 1, 2 or 3")
    if source == "submitted":  # what was sent is not read beside the dataset's probabilities of membership
        roles = replace(roles, membership=())
    progress(0.0, "Reading the dataset")
    inputs: dict[str, Any] = {
        "dataset": dataset_digest or (file_digest(dataset) if isinstance(dataset, Path) else dataset.digest),
        "model": (model_digest or file_digest(model)) if model and source == "model" else None,
        "predictions": (predictions_digest or hashlib.sha256(canonical_bytes(predictions.tolist())).hexdigest())
        if predictions is not None
        else None,
    }
    if training:
        inputs["training"] = sorted(training)
    parameters: dict[str, Any] = {
        "source": source,
        "roles": roles.as_dict(),
        "positive": canonical(positive),
        "rule": rule.as_dict(),
        "decision": DecisionRule.from_mapping(decision).as_dict() if decision and source == "model" else None,
        "at_least": at_least,
        "tested": list(tested or roles.sensitive),
        "reference": dict(reference or {}),
        "weight_kind": weight_kind if roles.weight else None,
        "depth": depth,
        # Left out where there are none, so that earlier inputs keep their seeds.
        **({"further_rules": [each.as_dict() for each in further_rules]} if further_rules else {}),
    }
    if source == "submitted":
        parameters |= {"task": task, "scale": scale}
    elif task != "binary":
        parameters["task"] = task
    seed = hashlib.sha256(canonical_bytes({"inputs": inputs, "parameters": parameters})).hexdigest()
    beside = Beside(scale=scale)
    grouping, deep = roles, depth
    if roles.exclusion:
        grouping, deep = replace(roles, sensitive=(*roles.sensitive, roles.exclusion)), depth + 1
    with opened(dataset) if isinstance(dataset, Path) else nullcontext(dataset) as data:
        suitability.check_attributes(data, roles.sensitive)
        if roles.membership:
            membering.check(data, roles, (rule, *further_rules))
        arrived, given = joined(data, grouping, predictions, at_least is not None and task != "multiclass")
        if source == "submitted":
            counted = submitted_cells(arrived, given, positive, task, at_least, beside, deep)
        elif source == "historical":
            counted = recorded_cells(data, grouping, positive, task, at_least, beside, deep)
        elif model is None or decision is None:
            raise ValueError("a report on a model needs its file and its decision rule")
        else:
            counted = modelled_cells(
                data, grouping, positive, task, model, decision, beside, deep, limits,
                lambda done: progress(0.05 + 0.79 * done / data.rows, "Scoring rows"),
            )  # fmt: skip
        rows, kind = data.rows, data.kind
        repeated = suitability.repeated_rows(data)
        shared = overlap.with_training(data, roles, training or {})
        # Only of first rows is it seen quickly which features are likely, and those of a connection stay there.
        here = data.kind != "connection"
        leaking = suitability.features_like_label(data, roles) if here and source != "historical" else []
        more, said = data.told()
    progress(0.85, "Computing intervals")
    left = exclusions.kept(counted, roles.exclusion) if roles.exclusion else counted
    report = _assemble(left, roles, (rule, *further_rules), parameters, int(seed[:12], 16))
    sections.extend(report, beside, roles, parameters["weight_kind"] or "survey", rule.confidence)
    if beside.memberships:
        membering.extend(report, beside.memberships, (rule, *further_rules))
    if roles.exclusion:
        everybody = exclusions.whole(counted)
        tested_cells = {name: grouped(everybody, [name], rule.confidence) for name in parameters["tested"]}
        named = {table["attributes"][0]: table["reference"] for table in report["attributes"]}
        without = tables.test_result((rule, *further_rules), tested_cells, named, weight_kind)
        report["exclusions"] = exclusions.told(counted, roles.exclusion, without)
    report["warnings"] += suitability.warnings_of(roles, source, repeated, leaking, counted)
    report["warnings"] += overlap.warnings_of(shared) + said
    report["rows"] = {"repeated": repeated, "shared": shared}
    report["provenance"] = {
        "calculated_by": "portal",
        "decisions": {
            "historical": "as recorded in the dataset",
            "model": "made by the portal",
            "submitted": "submitted",
        }[source],
        "inputs": inputs,
        "rows": rows,
        "format": kind,
        "parameters": parameters,
        "seed": seed,
        "revision": revision,
        "libraries": libraries(),
        **more,
    }
    progress(1.0, "Done")
    return report


def libraries() -> dict[str, str]:
    """Versions of what a report is computed with."""
    return {name: version(name) for name in LIBRARIES} | {"python": sys.version.split()[0]}


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785 canonical JSON: what is stored, and what a digest is taken of."""
    import rfc8785

    return rfc8785.dumps(value)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _assemble(
    counted: Cells, roles: Roles, rules: Sequence[Rule], parameters: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    rule = rules[0]
    source: Origin = parameters["source"]
    kind: tables.WeightKind = parameters["weight_kind"] or "survey"
    names = HISTORICAL_METRICS if source == "historical" else tuple(n for n in NAMES if n != "count")
    singles = {name: grouped(counted, [name], rule.confidence) for name in roles.sensitive}
    references = {name: _reference(singles[name], name, parameters["reference"]) for name in roles.sensitive}
    tested = {name: singles[name] for name in parameters["tested"] if name in singles}
    missing = [name for name in parameters["tested"] if name not in singles]
    if missing:
        raise DataProblem(
            "not_sensitive",
            f"{', '.join(missing)}: a tested attribute must be one of the sensitive attributes.",
            missing[0],
        )
    if source == "historical" and any(each.metric not in HISTORICAL_METRICS for each in rules):
        raise DataProblem(
            "metric_needs_predictions",
            "Historical decisions have no predictions to compare with. Test their selection rate, or report on a "
            "model.",
        )
    named = {name: tables.group_name([name], cells.groups[references[name]]) for name, cells in singles.items()}
    attributes = [
        tables.attribute_table(cells, names, rule, references[name], kind, seed) for name, cells in singles.items()
    ]
    crossed, left_out = _intersections(counted, roles, names, rule, kind, seed, parameters["depth"])
    return {
        "schema": SCHEMA,
        "result": tables.test_result(rules, tested, named, kind),
        "source": source,
        "positive": parameters["positive"],
        "overall": tables.overall_table(counted, names, rule, kind),
        "attributes": attributes,
        "intersections": crossed,
        "warnings": _warnings(counted, singles, roles, source, parameters),
        "not_testable": [*_untested(rules, singles, attributes), *left_out],
    }


def _reference(cells: Cells, name: str, wanted: Mapping[str, str]) -> int:
    if name not in wanted:
        return tables.largest_known(cells)
    group = (canonical(wanted[name]),)
    if group not in cells.groups:
        have = ", ".join(g[0] for g in cells.groups[:12])
        raise DataProblem(
            "reference_empty",
            f"The reference group {name} = {group[0]} has no rows. The dataset has {have}. Name one of these.",
            column=name,
        )
    return cells.groups.index(group)


def _intersections(
    counted: Cells, roles: Roles, names: Sequence[str], rule: Rule, kind: tables.WeightKind, seed: int, depth: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    found, left_out = [], []
    for size in range(2, min(depth, len(roles.sensitive)) + 1):
        for chosen in itertools.combinations(roles.sensitive, size):
            cells = grouped(counted, chosen, rule.confidence)
            if len(cells.groups) > MAX_INTERSECTION_GROUPS:
                why = f"{len(cells.groups)} combinations; at most {MAX_INTERSECTION_GROUPS} are shown"
                left_out.append({"what": " × ".join(chosen), "why": why})
                continue
            table = tables.attribute_table(cells, names, rule, tables.largest_known(cells), kind, seed)
            found.append(table | {"exploratory": True})
    return found, left_out


def _warnings(
    counted: Cells, singles: Mapping[str, Cells], roles: Roles, source: Origin, parameters: Mapping[str, Any]
) -> list[dict[str, str]]:
    found = []

    def warn(code: str, sentence: str) -> None:
        found.append({"code": code, "sentence": sentence})

    if source == "historical":
        warn(
            "decisions_of_the_past",
            f"These are the decisions recorded in {roles.label!r}, not those of a model. A model trained on them can "
            "learn the disparities in them.",
        )
    else:
        warn(
            "selective_labels",
            f"Error rates compare decisions with {roles.label!r}. Where that column records what happened afterwards "
            "(repayment), it is known only for those who were accepted; where it records what people decided, error "
            "rates measure agreement with those decisions, their disparities included. Selection rates need no label.",
        )
    task = parameters.get("task")
    if source == "historical" and task == "multiclass":
        warn(
            "one_class_against_rest",
            f"The outcome has several classes. Class {parameters['positive']} counts as yes, all others as no.",
        )
    if source == "historical" and task == "regression":
        warn("numbers_as_decisions", f"The outcome is a number; it counts as yes from {parameters['at_least']:g} on.")
    used = [name for name in roles.sensitive if name in roles.features]
    if used and source == "model":
        warn(
            "sensitive_feature",
            f"The model is given {', '.join(used)}, which this report treats as sensitive. In many uses that is "
            "unlawful.",
        )
    for name, cells in singles.items():
        share = float(cells.w[np.array(cells.unknown())].sum() / cells.w.sum())
        if share > MUCH_UNKNOWN:
            warn(
                "many_unknown",
                f"{name} is {UNKNOWN} in {share:.1%} of rows. They are reported as a group and not tested; if they "
                "differ from the rest, the verdict says less than it seems to.",
            )
    found += suitability.odd_values(singles)
    if roles.weight:
        warn(
            "weighted",
            f"Rows are weighted by {roles.weight!r} ({parameters['weight_kind']} weights). Intervals use the effective "
            "sample size; groups' minimum sizes count rows.",
        )
    if roles.cluster:
        warn(
            "clustered",
            f"Rows with the same {roles.cluster!r} belong together. Intervals use the number of independent rows that "
            "they are worth; groups are taken for independent of each other; groups' minimum sizes count rows.",
        )
    if counted.rows < 200:
        warn("few_rows", f"The dataset has only {counted.rows} rows; most disparities could not be detected.")
    return found


def _untested(
    rules: Sequence[Rule], singles: Mapping[str, Cells], attributes: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What the rules cannot test, each thing once."""
    found: list[dict[str, Any]] = []
    for rule in rules:
        found += [each for each in _not_testable(rule, singles, attributes) if each not in found]
    return found


def _not_testable(
    rule: Rule, singles: Mapping[str, Cells], attributes: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    found = []
    for table in attributes:
        for group in table["groups"]:
            if group["unknown"] and not rule.test_unknown:
                why = f"the attribute is missing in {group['count']:,} rows; they are reported, not tested"
                found.append({"what": group["name"], "why": why})
            elif group["metrics"][rule.metric]["size"] < rule.minimum_group_size:
                size = group["metrics"][rule.metric]["size"]
                why = f"{size} rows count for the rule's metric, under its minimum of {rule.minimum_group_size}"
                found.append({"what": group["name"], "why": why})
            empty = [m for m, seen in group["metrics"].items() if seen["value"] is None]
            if empty:
                found.append({"what": group["name"], "why": f"no rows to divide by for: {', '.join(empty)}"})
    for name, cells in singles.items():
        if len(cells.groups) - sum(cells.unknown()) < 2:
            found.append({"what": name, "why": "only one group has a known value, so there is nothing to compare"})
    return found
