"""Explanation reports: attributions add up, are the same each time, and single rows stay out of the report."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairness import plot
from fairness.bias import canonical_bytes
from fairness.explain import explain_report, explanation
from fairness.problems import DataProblem
from fairness.roles import Roles
from registry.onnx.sandbox import Scorer
from tests.fairness.files import LOAN_FEATURES, LOAN_SENSITIVE, THRESHOLD, csv, fitted, loan_file, loan_model, uncounted

ROLES = Roles("approve", LOAN_SENSITIVE, LOAN_FEATURES)


def explained(folder: Path, **more: Any) -> dict[str, Any]:
    return explain_report(loan_file(folder), ROLES, model=loan_model(folder), decision=THRESHOLD, **more)


def test_the_loan_models_report(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    report = explained(tmp_path, rows=120, background=50, progress=lambda f, phase: seen.append((f, phase)))
    names = [row["feature"] for row in report["features"]]
    assert sorted(names) == sorted(LOAN_FEATURES)
    assert {"chist", "obrat", "pubrec"} <= set(names[:5])
    for row in report["features"]:
        assert row["low"] <= row["importance"] <= row["high"]
        assert abs(row["mean"]) <= row["importance"] + 1e-12
    sentence = report["result"]["sentence"]
    assert all(name in sentence for name in names[:3])
    assert report["additivity"]["largest"] < 1e-9
    assert report["method"]["background"] == 50
    assert report["method"]["rows"] == 120
    assert report["method"]["of_rows"] == 1989
    black = next(g for g in report["groups"] if g["group"] == "black = 1")
    assert black["mean_output"] < next(g for g in report["groups"] if g["group"] == "black = 0")["mean_output"]
    assert sum(g["rows"] for g in report["groups"] if g["attribute"] == "black") == 120
    credit = next(row for row in report["features"] if row["feature"] == "pubrec")
    assert credit["correlation"] < -0.9
    assert [f for f, _ in seen] == sorted(f for f, _ in seen)
    assert seen[-1] == (1.0, "Done")
    assert any("Explaining row" in phase for _, phase in seen)
    drawn = plot.of_importance(report, 5)
    assert [row["name"] for row in drawn["rows"]] == names[:5]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    one = canonical_bytes(explained(tmp_path, rows=40, background=20))
    assert one == canonical_bytes(explained(tmp_path, rows=40, background=20))
    assert json.loads(one)["provenance"]["inputs"]["model"]
    assert uncounted(json.loads(one)) == set()
    assert one != canonical_bytes(explained(tmp_path, rows=41, background=20))


def test_the_default_report_takes_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    report = explained(tmp_path)
    assert report["method"]["rows"] == 300
    assert time.process_time() - start < 20


def test_few_features_are_explained_exactly_and_words_too(tmp_path: Path) -> None:
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"age": np.arange(200.0) % 37, "town": ["north", "south"] * 100})
    steps = ColumnTransformer([("age", "passthrough", ["age"]), ("town", OneHotEncoder(), ["town"])])
    made = make_pipeline(steps, LogisticRegression(max_iter=1000)).fit(frame, (frame.town == "north") & (frame.age > 9))
    model = tmp_path / "words.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        types = [("age", FloatTensorType([None, 1])), ("town", StringTensorType([None, 1]))]
        model.write_bytes(to_onnx(made, initial_types=types, options={"zipmap": False}).SerializeToString())
    frame["y"] = np.arange(200) % 2
    text = frame.to_csv(index=False)
    path = csv(tmp_path, text)
    report = explain_report(
        path, Roles("y", ("town",), ("age", "town")), model=model, decision=THRESHOLD, rows=30, background=20
    )
    assert report["method"]["name"] == "exact Shapley values"
    assert report["features"][0]["feature"] == "town"
    assert report["features"][0]["correlation"] is None
    assert report["additivity"]["largest"] < 1e-9
    assert "sensitive_feature" in [w["code"] for w in report["warnings"]]


def test_a_report_says_scale_and_agreement_and_a_boosted_models_reasons_and_rows(tmp_path: Path) -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] * x[:, 2] + x[:, 3] > 0).astype(int)
    (tmp_path / "m.onnx").write_bytes(fitted(x, y, GradientBoostingClassifier(random_state=0, n_estimators=15)))
    lines = (f"{label},{'ab'[int(row[3] > 0)]}," + ",".join(map(str, row)) for label, row in zip(y, x, strict=True))
    path = csv(tmp_path, "y,g," + ",".join(f"f{i}" for i in range(6)) + "\n" + "\n".join(lines) + "\n")
    roles = Roles("y", ("g",), tuple(f"f{i}" for i in range(6)))
    words = {"f3": {"words": "Savings", "fixed": True}}
    made = explanation(path, roles, model=tmp_path / "m.onnx", decision=THRESHOLD, background=60, dictionary=words)
    report, rows = made.report, made.rows["rows"]
    assert report["method"]["name"] == "exact Shapley values of a tree ensemble"
    assert report["method"]["scale"] == "log-odds"
    assert report["additivity"]["holds"]
    assert report["additivity"]["model"] < 1e-5
    assert report["stability"]["rank_agreement"] > 0.8
    assert report["shuffled"]["rank_agreement"] > 0.5
    assert report["proxies"][0]["features"][0]["feature"] == "f3"
    assert report["proxies"][0]["features"][0]["tells"] == "nearly everything"
    assert report["reasons"]["groups"][0]["features"][0]["feature"] == "f3"
    assert sum(b["rows"] for b in report["swarm"]["features"][0]["bins"]) == len(rows)
    assert "value" not in str(report["reasons"]), "no person's values are in the report"
    refused = [row for row in rows if not row["yes"]]
    assert refused[0]["reasons"][0]["words"] in {"Savings: too low", "f0: too low", "f0: too high"}
    assert {reason["words"] for row in refused for reason in row["reasons"]} & {"Savings: too low"}
    changed = [row for row in rows if row["counterfactual"]]
    assert len(changed) > len(rows) / 2
    assert not any(change["feature"] == "f3" for row in changed for change in row["counterfactual"]), "it is fixed"
    with Scorer(tmp_path / "m.onnx", width=6) as scorer:
        for row in changed[:20]:
            new = {each["feature"]: each["value"] for each in row["features"]}
            new |= {change["feature"]: change["to"] for change in row["counterfactual"]}
            columns = {name: np.array([value]) for name, value in new.items()}
            answer = scorer.run(columns, "probabilities", roles.features).values[0, 1]
            assert bool(answer >= 0.5) != row["yes"]


def test_a_small_dataset_is_explained_against_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.random((40, 2)).astype(np.float32)
    (tmp_path / "m.onnx").write_bytes(fitted(x, (x[:, 0] > 0.5).astype(int)))
    rows = "\n".join(f"{int(a > 0.5)},{'ab'[i % 2]},{a},{b}" for i, (a, b) in enumerate(x))
    path = csv(tmp_path, f"y,g,a,b\n{rows}\n")
    roles = Roles("y", ("g",), ("a", "b"))
    report = explain_report(path, roles, model=tmp_path / "m.onnx", decision=THRESHOLD)
    assert report["method"]["rows"] == report["method"]["background"] == 40


def test_a_model_that_ignores_its_input_is_said_to(tmp_path: Path) -> None:
    from onnx import helper

    zero = helper.make_tensor("w", 1, [2, 1], [0.0, 0.0])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 2])],
        [helper.make_tensor_value_info("y", 1, ["n", 1])],
        [zero],
    )
    model = tmp_path / "flat.onnx"
    model.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )
    path = csv(tmp_path, "y,g,a,b\n" + "\n".join(f"{i % 2},{i % 2},{i},{i * i}" for i in range(30)) + "\n")
    report = explain_report(
        path, Roles("y", ("g",), ("a", "b")), model=model, decision={"kind": "threshold", "output": "y"}, background=10
    )
    assert report["result"]["sentence"].startswith("No feature moves the score")
    assert report["features"][0]["correlation"] is None


def test_too_many_features_are_refused(tmp_path: Path) -> None:
    from onnx import helper

    weights = helper.make_tensor("w", 1, [201, 1], [1.0] * 201)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 201])],
        [helper.make_tensor_value_info("y", 1, ["n", 1])],
        [weights],
    )
    model = tmp_path / "wide.onnx"
    model.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )
    names = tuple(f"f{i}" for i in range(201))
    path = csv(tmp_path, ",".join(["y", "g", *names]) + "\n" + (",".join(["1"] * 203) + "\n") * 3)
    with pytest.raises(DataProblem) as caught:
        explain_report(path, Roles("y", ("g",), names), model=model, decision={"kind": "threshold", "output": "y"})
    assert caught.value.code == "too_many_features"


def test_cancelling_ends_the_report_and_its_process(tmp_path: Path) -> None:
    def stop(fraction: float, phase: str) -> None:
        if "Explaining" in phase:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        explained(tmp_path, rows=100, background=100, progress=stop)
