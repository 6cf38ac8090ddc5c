"""What an explanation costs beside the shap package. `python -m bench.explain [--quick]`.

Three questions: the same function with the same settings, ours against shap's; the closed form that the portal takes
for this model against shap on the original scikit-learn model; and asking the model's ONNX bytes again and again, as
for any model without a closed form, against the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import emit
from fairness.explanation.reading import Columns, form_of
from fairness.explanation.trees import interventional
from fairness.shapley import by_permutations
from registry.onnx.facts import Limits
from registry.onnx.sandbox import Scorer

BENCH = "explain"
FEATURES, BACKGROUND, PASSES, SEED = 30, 100, 10, 7
# As many rows as a report explains.
REPORTED = 300
SETTINGS = f"{FEATURES} features, background {BACKGROUND}, {PASSES} permutations"

Values = NDArray[np.float64]


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = act()
    return time.perf_counter() - start, found


def turns_of(ours: Callable[[], Values], theirs: Callable[[], Values], turns: int) -> tuple[float, float, float]:
    """Median seconds of both, run in turn, and how far their values lie apart."""
    mine, others, apart = [], [], 0.0
    for _ in range(turns):
        seconds, one = timed(ours)
        mine.append(seconds)
        seconds, other = timed(theirs)
        others.append(seconds)
        apart = max(apart, float(np.abs(one - other).max()))
    return median(mine), median(others), apart


def fitted(folder: Path) -> tuple[Any, Path, Values]:
    """A gradient boosting model as scikit-learn and as ONNX have it, and rows; fixed seeds."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier

    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, FEATURES)).astype(np.float32)
    y = x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] * (x[:, 4] > 0) + rng.normal(size=len(x)) * 0.3 > 0
    model = GradientBoostingClassifier(n_estimators=100, max_depth=3, random_state=0).fit(x, y)
    path = folder / "model.onnx"
    path.write_bytes(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
    return model, path, x.astype(np.float64)


def permutations(score: Callable[[Values], Values], background: Values, rows: Values) -> Callable[[], Values]:
    """shap's PermutationExplainer on a function, with the seed and the orders that ours draws."""
    import shap

    def run() -> Values:
        masker = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.PermutationExplainer(score, masker, seed=SEED)
        found: Values = explainer(rows, max_evals=PASSES * (2 * FEATURES + 1), silent=True).values
        return found

    return run


def of_the_model(model: Any) -> Callable[[Values], Values]:
    def score(rows: Values) -> Values:
        found: Values = model.predict_proba(rows)[:, 1]
        return found

    return score


def compare(rows: int, turns: int, folder: Path) -> None:
    import shap

    model, path, x = fitted(folder)
    background, explained = x[:BACKGROUND], x[BACKGROUND : BACKGROUND + rows]
    names = [f"f{i}" for i in range(FEATURES)]
    with Scorer(path, Limits(cpu_seconds=3600)) as scorer:  # many runs of one process

        def onnx(table: Values) -> Values:
            columns = {name: table[:, i] for i, name in enumerate(names)}
            return scorer.run(columns, "probabilities", names).values[:, 1].astype(np.float64)

        def asked() -> Values:
            return by_permutations(onnx, background, explained, PASSES, SEED).values

        def read(wanted: Values) -> Values:
            table = np.concatenate([wanted, background]).astype(np.float32)
            given = {scorer.facts.inputs[0].name: Columns(table, np.arange(FEATURES))}
            form: Any = form_of(scorer.structure(), given, "probabilities", 1, FEATURES)
            seen, ends = form.raw.values, len(wanted)
            values, _, _ = interventional(form.raw.trees(), form.raw.owner, seen[:ends], seen[ends:], FEATURES)
            return values

        def theirs(wanted: Values) -> Values:
            explainer = shap.TreeExplainer(model, background, feature_perturbation="interventional", model_output="raw")
            found: Values = explainer.shap_values(wanted, check_additivity=False)
            return found

        # What is compiled or loaded at first use is not what is compared.
        timed(permutations(of_the_model(model), background, explained[:1]))
        timed(lambda: theirs(explained))
        seconds, other, apart = turns_of(asked, permutations(onnx, background, explained), turns)
        said(
            "same function and settings, seconds", rows, seconds / other, 1.1,
            "shap.PermutationExplainer asking the same confined process (a ratio of time: less is better)",
            seconds, other, apart,
        )  # fmt: skip
        original = permutations(of_the_model(model), background, explained)
        seconds, other, apart = turns_of(asked, original, turns)
        said(
            "asking the ONNX bytes", rows, other / seconds, None,
            "shap.PermutationExplainer on the scikit-learn model", seconds, other, apart,
        )  # fmt: skip
        quickest, other, _ = turns_of(lambda: read(explained), original, 1)
        emit(
            BENCH, f"the method that the portal takes, {rows} rows", ratio=other / quickest, goal=5,
            baseline="shap.PermutationExplainer on the scikit-learn model, as shap does with a function",
            detail={"seconds": round(quickest, 3), "baseline_seconds": round(other, 2), "settings": SETTINGS},
        )  # fmt: skip
        many = x[BACKGROUND : BACKGROUND + REPORTED]
        seconds, other, apart = turns_of(lambda: read(many), lambda: theirs(many), turns)
        said(
            "trees read from the ONNX bytes", REPORTED, other / seconds, 1,
            "shap.TreeExplainer, interventional, on the scikit-learn model, its C extension", seconds, other, apart,
        )  # fmt: skip


def said(
    case: str, rows: int, ratio: float, goal: float | None, baseline: str, seconds: float, other: float, apart: float
) -> None:
    if apart > 1e-5:
        raise SystemExit(f"{case}: values differ from shap's by {apart}")
    detail = {
        "seconds": round(seconds, 3), "baseline_seconds": round(other, 3), "settings": SETTINGS,
        "values_differ_at_most": float(f"{apart:.2g}"),
    }  # fmt: skip
    emit(BENCH, f"{case}, {rows} rows", ratio=ratio, goal=goal, baseline=baseline, detail=detail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and turns, under 50 s on two cores")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        compare(rows=6 if given.quick else 40, turns=1 if given.quick else 3, folder=Path(folder))


if __name__ == "__main__":
    main()
