"""Bias reports: what they say of real data, and that they say it in the same bytes each time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairness import plot
from fairness.bias import bias_report, canonical_bytes, file_digest
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.rules import Rule
from registry.onnx.problems import ModelProblem
from tests.fairness.files import LOAN_FEATURES, LOAN_SENSITIVE, THRESHOLD, csv, loan_file, loan_model, loans

ROLES = Roles("approve", LOAN_SENSITIVE, LOAN_FEATURES)
SMALL = Roles("y", ("g",))


def small(folder: Path, rows: int = 400, **more: Any) -> Path:
    lines = [f"{int(i % 4 > 0)},{'ab'[i % 2]},{int(i % 3 > 0)},{i % 7}" for i in range(rows)]
    return csv(folder, "y,g,p,x\n" + "\n".join(lines) + "\n")


def historical(folder: Path, **more: Any) -> dict[str, Any]:
    return bias_report(loan_file(folder), ROLES, positive=1, source="historical", **more)


def modelled(folder: Path, **more: Any) -> dict[str, Any]:
    return bias_report(
        loan_file(folder), ROLES, positive=1, source="model", model=loan_model(folder), decision=THRESHOLD, **more
    )


def group(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [g for table in report["attributes"] for g in table["groups"] if g["name"] == name]
    return dict(found)


def test_the_boston_fed_sample_says_0_900_and_0_675(tmp_path: Path) -> None:
    report = historical(tmp_path)
    white, black = (group(report, f"black = {x}")["metrics"]["selection_rate"] for x in (0, 1))
    assert round(white["value"], 3) == 0.900
    assert round(black["value"], 3) == 0.675
    assert (white["size"], black["size"]) == (1792, 197)
    assert report["result"]["verdict"] == "inconclusive"
    assert not report["result"]["passes"]
    assert "black = 1 is 0.751 of that of the highest group" in report["result"]["sentence"]
    assert "That there is a difference is shown" in report["result"]["sentence"]
    ratio = next(row for row in report["attributes"][0]["impact_ratios"] if row["group"] == "black = 1")
    assert ratio["low"] < 0.7505 < ratio["high"] < 1
    (gap,) = [row for row in report["attributes"][0]["to_reference"] if row["group"] == "black = 1"]
    assert gap["difference"]["value"] == pytest.approx(0.675127 - 0.899554, abs=1e-6)
    assert gap["difference"]["high"] < -0.15
    assert gap["p_value_corrected"] < 1e-12
    assert [w["code"] for w in report["warnings"]] == ["decisions_of_the_past"]
    assert {
        "what": "male = unknown",
        "why": "the attribute is missing in 15 rows; they are reported, not tested",
    } in report["not_testable"]


def test_the_models_own_decisions_are_made_here_and_equal_scikit_learns_metrics(tmp_path: Path) -> None:
    from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate
    from onnxruntime import InferenceSession

    report = modelled(tmp_path)
    data = loans()
    x = data[list(LOAN_FEATURES)].to_numpy(np.float32)
    scores = InferenceSession(loan_model(tmp_path).read_bytes()).run(["probabilities"], {"X": x})[0][:, 1]
    frame = MetricFrame(
        metrics={"selection_rate": selection_rate, "true_positive_rate": true_positive_rate},
        y_true=data.approve, y_pred=(scores >= 0.5).astype(int), sensitive_features=data.black,
    )  # fmt: skip
    for name in ("selection_rate", "true_positive_rate"):
        for level in (0, 1):
            ours = group(report, f"black = {level}")["metrics"][name]["value"]
            assert ours == pytest.approx(frame.by_group[name][level], abs=1e-11)
        between = next(row for row in report["attributes"][0]["between"] if row["metric"] == name)
        assert between["ratio"]["value"] == pytest.approx(frame.ratio()[name], abs=1e-11)
        assert between["ratio"]["low"] < between["ratio"]["value"] < between["ratio"]["high"]
    assert report["provenance"]["decisions"] == "made by the portal"
    assert "selective_labels" in [w["code"] for w in report["warnings"]]
    assert set(report["attributes"][0]["named"]) == {"demographic_parity", "equal_opportunity", "equalised_odds"}
    assert report["intersections"][0]["attributes"] == ["black", "hispan"]
    assert report["intersections"][0]["exploratory"]


@pytest.mark.long
def test_the_same_inputs_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    bytes_here = canonical_bytes(modelled(tmp_path))
    assert bytes_here == canonical_bytes(modelled(tmp_path))
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from tests.fairness.test_bias import modelled; from fairness.bias import canonical_bytes\n"
        "sys.stdout.buffer.write(canonical_bytes(modelled(Path(sys.argv[1]))))"
    )
    root = Path(__file__).resolve().parents[2]
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(root)], capture_output=True, check=True, cwd="/"
    )  # fmt: skip
    assert other.stdout == bytes_here
    assert json.loads(bytes_here)["schema"] == "countersign.bias/1"


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    one = bias_report(loan_file(tmp_path, "csv"), ROLES, positive="1", source="historical", dataset_digest="d")
    other = bias_report(loan_file(tmp_path), ROLES, positive=1, source="historical", dataset_digest="d")
    for report in (one, other):
        report["provenance"].pop("format")
    assert canonical_bytes(one) == canonical_bytes(other)


def test_the_seed_is_the_hash_of_what_went_in(tmp_path: Path) -> None:
    path = small(tmp_path)
    one = bias_report(path, SMALL, positive=1, source="historical")
    assert one["provenance"]["inputs"]["dataset"] == file_digest(path)
    other = bias_report(path, SMALL, positive=1, source="historical", rule=Rule(bound=0.9))
    assert one["provenance"]["seed"] != other["provenance"]["seed"]


def test_decisions_made_elsewhere_may_be_given_three_ways(tmp_path: Path) -> None:
    path = small(tmp_path)
    column = bias_report(path, Roles("y", ("g",), prediction="p"), positive=1, source="submitted")
    given = np.array([i % 3 > 0 for i in range(400)])
    array = bias_report(path, SMALL, positive=1, source="submitted", predictions=given)
    score = bias_report(path, Roles("y", ("g",), score="x"), positive=1, source="submitted", at_least=3)
    assert column["attributes"] != score["attributes"]
    assert [g["metrics"]["accuracy"]["value"] for g in column["attributes"][0]["groups"]] == [
        g["metrics"]["accuracy"]["value"] for g in array["attributes"][0]["groups"]
    ]
    assert array["provenance"]["decisions"] == "submitted"
    with pytest.raises(DataProblem) as caught:
        bias_report(path, SMALL, positive=1, source="submitted", predictions=given[:-1])
    assert caught.value.code == "predictions_differ"


def test_weights_count_and_are_told(tmp_path: Path) -> None:
    rows = "\n".join(f"{int(i % 4 > 0)},{'ab'[i % 2]},{1 + i % 5}" for i in range(500))
    path = csv(tmp_path, f"y,g,w\n{rows}\n")
    report = bias_report(path, Roles("y", ("g",), weight="w"), positive=1, source="historical")
    seen = group(report, "g = a")["metrics"]["selection_rate"]
    top = sum(1 + i % 5 for i in range(500) if i % 2 == 0 and i % 4 > 0)
    bottom = sum(1 + i % 5 for i in range(500) if i % 2 == 0)
    assert seen["value"] == pytest.approx(top / bottom, abs=1e-11)
    assert seen["effective_size"] < seen["size"] == 250
    assert "weighted" in [w["code"] for w in report["warnings"]]
    counts = bias_report(path, Roles("y", ("g",), weight="w"), positive=1, source="historical", weight_kind="frequency")
    assert group(counts, "g = a")["metrics"]["selection_rate"]["effective_size"] == bottom


def test_a_reference_may_be_named_before_and_must_exist(tmp_path: Path) -> None:
    path = small(tmp_path)
    report = bias_report(path, SMALL, positive=1, source="historical", reference={"g": "b"})
    assert report["attributes"][0]["reference"] == "g = b"
    with pytest.raises(DataProblem) as caught:
        bias_report(path, SMALL, positive=1, source="historical", reference={"g": "c"})
    assert (caught.value.code, caught.value.column) == ("reference_empty", "g")


def test_what_is_tested_must_be_sensitive_and_have_predictions(tmp_path: Path) -> None:
    path = small(tmp_path)
    with pytest.raises(DataProblem) as caught:
        bias_report(path, SMALL, positive=1, source="historical", tested=["p"])
    assert caught.value.code == "not_sensitive"
    with pytest.raises(DataProblem) as caught:
        bias_report(path, SMALL, positive=1, source="historical", rule=Rule(metric="accuracy"))
    assert caught.value.code == "metric_needs_predictions"
    with pytest.raises(ValueError, match="depth"):
        bias_report(path, SMALL, positive=1, source="historical", depth=4)
    with pytest.raises(ValueError, match="decision rule"):
        bias_report(path, SMALL, positive=1, source="model")


def test_a_sensitive_feature_unknown_rows_and_few_rows_are_told(tmp_path: Path) -> None:
    lines = "\n".join(f"{i % 2},{'ab '[i % 3].strip()},{i}" for i in range(90))
    report = bias_report(csv(tmp_path, f"y,g,x\n{lines}\n"), SMALL, positive=1, source="historical")
    assert {"many_unknown", "few_rows"} <= {w["code"] for w in report["warnings"]}
    data = bias_report(
        loan_file(tmp_path), Roles("approve", ("black", "self"), LOAN_FEATURES), positive=1, source="model",
        model=loan_model(tmp_path), decision=THRESHOLD,
    )  # fmt: skip
    assert "sensitive_feature" in {w["code"] for w in data["warnings"]}


def test_one_group_only_cannot_be_compared(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,g\n" + "1,a\n0,a\n" * 60)
    report = bias_report(path, SMALL, positive=1, source="historical")
    assert report["result"]["verdict"] == "too_few"
    assert {"what": "g", "why": "only one group has a known value, so there is nothing to compare"} in report[
        "not_testable"
    ]
    assert report["attributes"][0]["between"][0]["ratio"] is None
    assert report["attributes"][0]["impact_ratios"] == []


def test_groups_in_which_nobody_is_selected_still_make_a_report(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,g,p\n" + "1,a,0\n0,b,0\n0,a,0\n1,b,0\n" * 40)
    report = bias_report(path, Roles("y", ("g",), prediction="p"), positive=1, source="submitted")
    assert report["result"]["verdict"] == "inconclusive"
    text = canonical_bytes(report).decode()
    assert "NaN" not in text
    precision = group(report, "g = a")["metrics"]["positive_predictive_value"]
    assert precision["value"] is None
    assert any("positive_predictive_value" in n["why"] for n in report["not_testable"])


def test_intersections_go_three_deep_and_too_many_are_left_out(tmp_path: Path) -> None:
    deep = historical(tmp_path, depth=3)
    assert [t["attributes"] for t in deep["intersections"]][-1] == ["black", "hispan", "male"]
    flat = historical(tmp_path, depth=1)
    assert flat["intersections"] == []
    rng = np.random.default_rng(2)
    rows = "\n".join(
        f"{a},{b},{c}" for a, b, c in zip(rng.integers(0, 2, 3000), *rng.integers(0, 9, (2, 3000)), strict=True)
    )
    wide = bias_report(csv(tmp_path, f"y,g,h\n{rows}\n"), Roles("y", ("g", "h")), positive=1, source="historical")
    assert wide["intersections"] == []
    assert {"what": "g × h", "why": "81 combinations; at most 60 are shown"} in wide["not_testable"]


def test_progress_is_told_and_may_stop_the_report(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    modelled(tmp_path, progress=lambda fraction, phase: seen.append((fraction, phase)))
    assert [f for f, _ in seen] == sorted(f for f, _ in seen)
    assert seen[0] == (0.0, "Reading the dataset")
    assert seen[-1] == (1.0, "Done")
    assert "Scoring rows" in {phase for _, phase in seen}

    class StopError(Exception):
        pass

    def stop(fraction: float, phase: str) -> None:
        if phase == "Scoring rows":
            raise StopError

    with pytest.raises(StopError):
        modelled(tmp_path, progress=stop)


def test_a_model_for_other_columns_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelProblem) as caught:
        bias_report(
            loan_file(tmp_path), Roles("approve", ("black",), LOAN_FEATURES[:5]), positive=1, source="model",
            model=loan_model(tmp_path), decision=THRESHOLD,
        )  # fmt: skip
    assert caught.value.code == "inputs_differ"
    assert "wants 14 columns; the dataset has 5 features" in caught.value.sentence


def test_every_number_is_finite_or_absent(tmp_path: Path) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, float):
            assert math.isfinite(value)

    walk(modelled(tmp_path, depth=3))


def test_plots_have_a_place_for_every_group(tmp_path: Path) -> None:
    report = modelled(tmp_path)
    drawn = plot.of_result(report, "male")
    assert drawn["title"] == "Impact ratio of the selection rate by male with 95 % intervals; the table has the numbers"
    assert drawn["bound"]["label"] == "0.80 bound"
    assert [row["name"] for row in drawn["rows"]] == ["male = 0", "male = 1", "male = unknown"]
    assert drawn["rows"][2]["dot_x"] is None
    assert drawn["rows"][2]["note"] == "not tested"
    assert [row["y"] for row in drawn["rows"]] == [40.0, 72.0, 104.0]
    assert drawn["height"] == drawn["axis_y"] + 28 == 40 + 32 * 3 - 8 + 28
    for row in drawn["rows"][:2]:
        assert 250 <= row["lo_x"] <= row["dot_x"] <= row["hi_x"] <= 740
    places = [tick["x"] for tick in drawn["ticks"]]
    assert places[0] == 250
    assert places[-1] == 740
    assert 3 <= len(places) <= 9
    metric = plot.of_metric(report["attributes"][0], "true_positive_rate")
    assert metric["rows"][0]["reference"]
    assert metric["bound"] is None
    undefined = plot.of_metric(report["attributes"][2], "false_positive_rate")
    assert undefined["rows"][2]["note"] == "not defined"
    assert undefined["rows"][2]["lo_x"] is None


def test_a_plot_shortens_names_and_marks_a_breach() -> None:
    rows = [
        plot.Row("n" * 40, 12_345, 0.5, 0.4, 0.6, "outside"),
        plot.Row("flat", None, 0.5, 0.5, 0.5, reference=True),
        plot.Row("endless", 3, math.inf, 0.1, math.inf),
    ]
    drawn = plot.dot_whisker("A plot", rows, 0.8, "bound")
    assert drawn["rows"][0]["name"] == "n" * 29 + "…"
    assert drawn["rows"][0]["n"].startswith("12")
    assert drawn["rows"][0]["outside"]
    assert drawn["rows"][2]["dot_x"] is None
    assert drawn["rows"][2]["hi_cut"]
    assert drawn["rows"][2]["hi_x"] == 740
    alone = plot.dot_whisker("One", [plot.Row("a", 1, 0.3, None, None)])
    assert alone["rows"][0]["dot_x"] == 495
    assert alone["rows"][0]["lo_x"] is None
    assert plot.dot_whisker("None", [])["rows"] == []


def test_a_group_under_the_minimum_is_listed_with_its_size(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,g\n" + "1,a\n0,a\n1,b\n0,b\n" * 50 + "1,c\n0,c\n" * 4)
    report = bias_report(path, SMALL, positive=1, source="historical")
    assert report["result"]["verdict"] == "too_few"
    assert "g = c (8)" in report["result"]["sentence"]
    why = "8 rows count for the rule's metric, under its minimum of 30"
    assert {"what": "g = c", "why": why} in report["not_testable"]
