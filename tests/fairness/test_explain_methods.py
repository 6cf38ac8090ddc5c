"""Attributions are shap's, whether the model is asked or read; a node that is not understood ends the reading."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairness.explanation.ensembles import Trees, classifier
from fairness.explanation.interactions import along_paths, with_background
from fairness.explanation.reading import Columns, Form, Sum, Unreadable, form_of
from fairness.explanation.trees import interventional
from fairness.shapley import by_permutations, exact
from registry.onnx.sandbox import Scorer
from registry.onnx.structure import Node, Structure, described, restored
from tests.fairness.files import fitted

# shap's own loops over some rows take no time, compiling them takes seconds.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
WIDTH = 6


@pytest.fixture(scope="module")
def black_box() -> Any:
    """A model with interactions of many features, background rows and rows to explain."""
    from sklearn.ensemble import GradientBoostingClassifier

    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 6))
    x[:, 5] = np.round(x[:, 5])
    y = (x[:, 0] * x[:, 1] * x[:, 2] + x[:, 3] > 0).astype(int)
    model = GradientBoostingClassifier(random_state=0, max_depth=4, n_estimators=25).fit(x, y)
    return lambda rows: model.predict_proba(rows)[:, 1], x[:40], x[40:60]


def test_permutations_give_the_values_of_the_shap_package(black_box: Any) -> None:
    import shap

    score, background, explained = black_box
    ours = by_permutations(score, background, explained, passes=3, seed=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masker = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.PermutationExplainer(score, masker, seed=7)
        theirs = explainer(explained, max_evals=3 * (2 * background.shape[1] + 1), silent=True)
    assert np.abs(ours.values - theirs.values).max() < 1e-12
    assert ours.base == pytest.approx(float(np.ravel(theirs.base_values)[0]), abs=1e-12)


def test_exact_values_are_those_of_the_shap_package(black_box: Any) -> None:
    import shap

    score, background, explained = black_box
    ours = exact(score, background, explained)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.ExactExplainer(score, shap.maskers.Independent(background, max_samples=len(background)))
        theirs = explainer(explained, silent=True)
    assert np.abs(ours.values - theirs.values).max() < 1e-12


def test_both_add_up_and_agree_where_there_are_no_deep_interactions() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, 5))

    def score(rows: Any) -> Any:
        return rows @ np.arange(5.0) + rows[:, 0] * rows[:, 1]

    one, other = exact(score, x[:20], x[20:]), by_permutations(score, x[:20], x[20:], passes=2, seed=1)
    assert np.abs(one.values - other.values).max() < 1e-12
    for found in (one, other):
        assert np.abs(found.base + found.values.sum(axis=1) - found.scores).max() < 1e-12
    linear = exact(lambda rows: rows @ np.arange(5.0), x[:20], x[20:])
    assert np.abs(linear.values - (x[20:] - x[:20].mean(axis=0)) * np.arange(5.0)).max() < 1e-12


def test_a_row_equal_to_the_background_gets_nothing() -> None:
    x = np.ones((5, 3))
    found = by_permutations(lambda rows: rows.sum(axis=1), x, x[:2], passes=2, seed=1)
    assert not found.values.any()
    one = np.array([[2.0, 1.0, 1.0]])
    assert by_permutations(lambda rows: rows.sum(axis=1), x, one, passes=2, seed=1).values.tolist() == [[1.0, 0.0, 0.0]]


def test_many_rows_go_in_several_batches_and_may_be_stopped(black_box: Any) -> None:
    score, background, explained = black_box
    rows = np.tile(explained, (30, 1))
    steps: list[int] = []
    whole = by_permutations(score, background, rows, 2, 7, steps.append)
    assert len(steps) > 1
    assert steps[-1] == len(rows)
    assert whole.evaluations > 60_000
    with pytest.raises(ZeroDivisionError):
        by_permutations(score, background, rows, 2, 7, lambda done: done // 0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def table() -> Any:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, WIDTH)).astype(np.float32)
    x[:, 5] = np.round(x[:, 5])
    return x, (x[:, 0] * x[:, 1] * x[:, 2] + x[:, 3] > 0).astype(int)


def read(data: bytes, x: Any, output: str = "probabilities", column: int = 1) -> Form:
    import onnx

    model = onnx.ModelProto.FromString(data)
    name = model.graph.input[0].name
    header, parts = described(model)
    return form_of(restored(header, parts), {name: Columns(x, np.arange(x.shape[1]))}, output, column, x.shape[1])


def values(form: Form, background: int) -> Any:
    """Attributions of all rows against the first ones, with the base value."""
    if isinstance(form.raw, Sum):
        parts = form.raw.parts[:, 0]
        return parts - parts[:background].mean(axis=0), parts[:background].sum(axis=1).mean() + form.raw.rest[0]
    seen = form.raw.values
    found, sums, ground = interventional(form.raw.trees(), form.raw.owner, seen, seen[:background], WIDTH)
    assert np.abs(found.sum(axis=1) + ground.mean() - sums).max() < 1e-12
    return found, ground.mean() + form.raw.base[0]


def test_a_linear_model_has_the_values_of_shaps_linear_explainer(table: Any) -> None:
    import shap
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = table
    for model in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        form = read(fitted(x, y, model), x[:60])
        assert (form.kind, form.link) == ("linear", "logistic")
        ours, base = values(form, 40)
        scaler = model[0] if hasattr(model, "steps") else StandardScaler(with_mean=False, with_std=False).fit(x)
        seen = scaler.transform(x[:60].astype(float))
        masker = shap.maskers.Independent(seen[:40], max_samples=40)
        last = model[-1] if hasattr(model, "steps") else model
        theirs = shap.LinearExplainer((last.coef_[0], last.intercept_[0]), masker)
        assert np.abs(ours - theirs.shap_values(seen)).max() < 2e-6, "ONNX reckons with seven digits"
        assert base == pytest.approx(float(theirs.expected_value), abs=2e-6)


@pytest.mark.parametrize("kind", ["boosting", "forest", "regression"])
def test_trees_have_the_values_of_shaps_tree_explainer(table: Any, kind: str) -> None:
    import shap
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier

    x, y = table
    model = {
        "boosting": GradientBoostingClassifier(random_state=0, max_depth=4, n_estimators=12),
        "forest": RandomForestClassifier(6, random_state=0),
        "regression": GradientBoostingRegressor(random_state=0, n_estimators=12),
    }[kind]
    if kind == "regression":
        from skl2onnx import to_onnx

        data = to_onnx(model.fit(x, x[:, 0] * x[:, 1]), x[:1]).SerializeToString()
        form = read(data, x[:60], "variable", 0)
    else:
        form = read(fitted(x, y, model), x[:60])
    assert (form.kind, form.link) == ("trees", "logistic" if kind == "boosting" else "none")
    ours, base = values(form, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.TreeExplainer(model, x[:40], feature_perturbation="interventional", model_output="raw")
        theirs = explainer.shap_values(x[:60], check_additivity=False)
    theirs, expected = np.asarray(theirs), np.ravel(explainer.expected_value)
    if theirs.ndim == 3:
        theirs, expected = theirs[:, :, 1], expected[1:]
    assert np.abs(ours - theirs).max() < 2e-6
    assert base == pytest.approx(float(expected[0]), abs=2e-6)


@pytest.mark.parametrize("kind", ["boosting", "deep", "forest"])
def test_interactions_along_paths_are_those_of_shaps_tree_explainer(table: Any, kind: str) -> None:
    """A tree that was fitted to all rows has been passed by as many as are counted here."""
    import shap
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    x, y = table
    model = {
        "boosting": GradientBoostingClassifier(random_state=0, max_depth=4, n_estimators=6),
        "deep": GradientBoostingClassifier(random_state=0, max_depth=9, n_estimators=2),
        "forest": RandomForestClassifier(3, random_state=0, bootstrap=False),
    }[kind]
    form = read(fitted(x, y, model), x)
    assert isinstance(form.raw, Trees)
    trees, owner, seen = form.raw.trees(), form.raw.owner, form.raw.values
    ours = along_paths(trees, owner, seen[:30], seen, WIDTH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent", model_output="raw")
        theirs = np.asarray(explainer.shap_interaction_values(x[:30]))
        alone = np.asarray(explainer.shap_values(x[:30], check_additivity=False))
    if theirs.ndim == 4:
        theirs, alone = theirs[..., 1], alone[..., 1]
    assert np.abs(theirs).max() > 0.1
    assert np.abs(ours - theirs).max() < 2e-6
    assert np.abs(ours.sum(axis=2) - alone).max() < 2e-6
    joint = with_background(trees, owner, seen[:30], seen[30:60], WIDTH)
    values, _, _ = interventional(trees, owner, seen[:30], seen[30:60], WIDTH)
    assert np.abs(joint.sum(axis=2) - values).max() < 1e-12


def test_trees_are_exact_over_all_coalitions_also_on_long_paths(table: Any) -> None:
    """Ten features lie on a path of the deep tree, so that both ways of working a leaf out are gone."""
    from sklearn.ensemble import GradientBoostingClassifier

    x: Any = np.hstack([table[0], np.roll(table[0], 7, axis=0)])[:, :9].astype(np.float32)
    y = (np.sin(x).prod(axis=1) > 0).astype(int)
    model = GradientBoostingClassifier(n_estimators=2, max_depth=9, random_state=0)
    form = read(fitted(x, y, model), x[:30])
    assert isinstance(form.raw, Trees)
    trees, owner = form.raw.trees(), form.raw.owner
    ours, _, _ = interventional(trees, owner, x[20:30], x[:20], 9)

    def score(rows: Any) -> Any:
        return interventional(trees, owner, rows, rows[:1], 9)[1]

    assert np.abs(ours - exact(score, x[:20], x[20:30]).values).max() < 1e-12


def small(*nodes: Node, **constants: Any) -> Structure:
    return Structure(nodes, {name: np.asarray(value, dtype=np.float32) for name, value in constants.items()})


def node(operator: str, given: str, output: str, **attributes: Any) -> Node:
    return Node(operator, tuple(given.split()), (output,), attributes)


def test_sums_are_followed_through_arithmetic_and_several_inputs() -> None:
    """2 (a/2 - b + 3) and its negative, by hand."""
    inputs = {name: Columns(np.array([[1.0], [5.0]]), np.array([i])) for i, name in enumerate("ab")}
    structure = small(
        node("Concat", "a b", "x"), node("Mul", "x half", "y"), node("Gemm", "y w c", "z", transB=1, alpha=1.0),
        node("Mul", "two z", "t"), node("MatMul", "t sign", "u"), node("Identity", "u", "out"),
        half=[0.5, 1], w=[[1, -1]], c=[3], two=2, sign=[[1, -1]],
    )  # fmt: skip
    form = form_of(structure, inputs, "out", 1, 2)
    assert isinstance(form.raw, Sum)
    assert form.raw.parts[:, 0].tolist() == [[-1, 2], [-5, 10]]
    assert form.raw.rest.tolist() == [-6]
    soft = small(node("MatMul", "a sign", "s"), node("Softmax", "s", "out"), sign=[[1, -1]])
    first, second = (form_of(soft, inputs, "out", column, 2).raw for column in (0, 1))
    assert isinstance(first, Sum)
    assert isinstance(second, Sum)
    assert (first.parts[:, 0, 0].tolist(), second.parts[:, 0, 0].tolist()) == ([2, 10], [-2, -10])


@pytest.mark.parametrize(
    ("structure", "why"),
    [
        (None, "branches or functions"),
        (small(node("Relu", "a", "h"), node("MatMul", "h w", "out"), w=[[1.0]]), "operator Relu"),
        (small(node("Mul", "a a", "out")), "operator Mul"),
        (small(node("Identity", "a", "out")), "a feature itself"),
        (small(node("Constant", "", "out", value=np.ones(1))), "on no feature"),
        (small(node("MatMul", "a w", "s"), node("Softmax", "s", "out"), w=[[1.0, 2.0, 3.0]]), "3 classes"),
        (small(node("MatMul", "a w", "out"), w=[[1.0] * 65]), "operator MatMul"),
        (small(node("LinearRegressor", "a", "out", coefficients=[1.0], post_transform="PROBIT")), "LinearRegressor"),
    ],
    ids=["none", "relu", "product", "feature", "constant", "classes", "wide", "probit"],
)
def test_what_is_not_understood_is_said(structure: Any, why: str) -> None:
    inputs = {"a": Columns(np.ones((2, 1)), np.zeros(1, dtype=np.int64))}
    with pytest.raises(Unreadable, match=why):
        form_of(structure, inputs, "out", 0, 1)


def forest(**changes: Any) -> dict[str, Any]:
    """One tree: below 0 the first class gets a vote, else the second."""
    given: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_modes": ["BRANCH_LT", "LEAF", "LEAF"],
        "nodes_featureids": [0, 0, 0], "nodes_values": [0.0, 0.0, 0.0], "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0], "class_treeids": [0, 0], "class_nodeids": [1, 2], "class_ids": [0, 1],
        "class_weights": [1.0, 1.0], "classlabels_int64s": [0, 1],
    }  # fmt: skip
    return {name: each if name == "nodes_modes" else np.array(each) for name, each in {**given, **changes}.items()}


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes_truenodeids": [0, 0, 0]}, {"nodes_truenodeids": [2, 0, 0]}, {"nodes_falsenodeids": [9, 0, 0]},
        {"nodes_featureids": [7, 0, 0]}, {"class_ids": [0, 5]}, {"class_nodeids": [1, 9]},
        {"nodes_modes": ["BRANCH_MEMBER", "LEAF", "LEAF"]},
    ],
    ids=["circle", "two parents", "no such node", "no such column", "no such class", "no such leaf", "mode"],
)  # fmt: skip
def test_an_unsound_forest_is_not_read(changes: dict[str, Any]) -> None:
    values, owner = np.array([[-1.0], [1.0]]), np.zeros(1, dtype=np.int64)
    sound = classifier(forest(), values, owner)
    assert sound is not None
    ours, _, _ = interventional(sound.only(1).trees(), owner, values, values, 1)
    assert ours.tolist() == [[-0.5], [0.5]]
    assert classifier(forest(**changes), values, owner) is None


def test_a_models_structure_comes_out_of_the_confined_process(table: Any, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(fitted(*table))
    with Scorer(tmp_path / "m.onnx") as scorer:
        found = scorer.structure()
        assert found is not None
        assert [n.operator for n in found.nodes][:2] == ["Scaler", "LinearClassifier"]
        assert found.nodes[0].attributes["offset"].shape == (WIDTH,)
        assert scorer.structure() is not None, "it may be asked again"
