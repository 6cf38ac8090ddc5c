"""Predictions made elsewhere: the door for notebooks and CI, what it refuses, and the report that comes of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairness import figuring, presenting, tabling
from fairness.bias import bias_report, canonical_bytes
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.services import submit_predictions
from fairness.submitting import as_array
from jobs.models import Job
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Artifact, Evidence
from tests import worlds
from tests.fairness.files import csv as written
from tests.fairness.files import loan_file, loan_model, loans, uncounted
from tests.fairness.reporting import done
from tests.fairness.test_bias import SMALL, group, modelled, small

SCORES = [round((row * 37 % 100) / 100, 2) for row in range(200)]


@pytest.fixture
def submit(cast):
    """`submit(predictions, …)` submits them for the usual world."""
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)

    def ask(predictions=None, by=None, **more):
        given = {"version": version, "dataset": dataset, **more}
        return submit_predictions(by=by or cast.developer, predictions=predictions, **given)

    ask.version, ask.dataset = version, dataset
    return ask


def test_the_same_predictions_are_one_job_and_every_submission_an_event(db, cast, submit):
    first = submit(SCORES, at_least=0.5)
    assert submit(list(SCORES), at_least=0.5, by=cast.ci_bot).pk == first.pk
    others = {submit(SCORES, at_least=0.6).pk, submit([row % 2 for row in range(200)]).pk}
    others |= {submit(SCORES, at_least=0.5, scale="probability").pk}
    assert first.pk not in others
    assert len(others) == 3
    numbers = submit(SCORES, task="regression", at_least=0.5, outcome="income")
    assert (numbers.inputs["positive"], numbers.inputs["roles"]["label"]) == ("at least 0.5", "income")
    told = [event.content["facts"] for event in Event.objects.filter(event="report.requested")]
    assert len(told) == 6
    assert {facts["source"] for facts in told} == {"submitted"}
    assert {facts["predictions"] for facts in told} == set(Artifact.objects.values_list("digest", flat=True)) & {
        facts["predictions"] for facts in told
    }


REFUSED = [
    ({"predictions": [1, 0]}, "predictions_differ", "predictions"),
    ({"predictions": [*SCORES[:-1], None], "at_least": 0.5}, "prediction_invalid", "predictions"),
    ({"predictions": [*SCORES[:-1], "high"], "at_least": 0.5}, "prediction_invalid", "predictions"),
    ({"predictions": [*[1] * 199, " "]}, "prediction_invalid", "predictions"),
    ({"predictions": None}, "predictions_missing", "predictions"),
    ({"predictions": None, "at_least": 0.5}, "predictions_missing", "predictions"),
    ({"predictions": None, "at_least": 0.5, "task": "regression"}, "predictions_missing", "predictions"),
    ({"predictions": SCORES, "task": "poetry"}, "task_unknown", "task"),
    ({"predictions": SCORES, "scale": "loud"}, "scale_unknown", "scale"),
    ({"predictions": SCORES, "task": "regression"}, "threshold_missing", "at_least"),
    ({"predictions": SCORES, "task": "multiclass", "at_least": 0.5}, "threshold_unused", "at_least"),
    ({"predictions": SCORES, "at_least": float("nan")}, "threshold_invalid", "at_least"),
    ({"predictions": SCORES, "at_least": 0.5, "outcome": "luck"}, "column_missing", "outcome"),
    ({"predictions": SCORES, "at_least": 0.5, "outcome": "group"}, "role_twice", "outcome"),
    ({"predictions": SCORES, "at_least": 0.5, "rule": {"bound": 3}}, "rule_invalid", "rule"),
]


def test_what_cannot_be_judged_is_refused_and_nothing_is_kept(db, cast, submit):
    before = Artifact.objects.count()
    for change, code, field in REFUSED:
        with pytest.raises(Refusal) as refused:
            submit(**change)
        assert (refused.value.code, refused.value.field) == (code, field)
    for stranger in (cast.outsider, cast.auditor):
        with pytest.raises(Denied):
            submit(SCORES, at_least=0.5, by=stranger)
    assert not Job.objects.exists()
    assert Artifact.objects.count() == before
    told = [event.content["facts"].get("code") for event in Event.objects.filter(event="report.requested.refused")]
    assert len(told) == len(REFUSED) + 2


def test_a_notebook_submits_and_reads_a_report_that_says_so(committing_db, cast, submit, api, signed_in):
    client = api(cast.ci_bot)
    path = f"/api/v1/versions/{submit.version.pk}/submitted-bias-reports/"
    body = {"dataset": submit.dataset.pk, "predictions": SCORES, "at_least": 0.5, "scale": "probability"}
    asked = client.post(path, body, content_type="application/json")
    assert asked.status_code == 202, asked.content
    assert client.post(path, body, content_type="application/json").json()["id"] == asked.json()["id"]
    for wrong, field in (({"predictions": "many"}, "predictions"), ({"task": "poetry"}, "task")):
        refused = client.post(path, body | wrong, content_type="application/json")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert api(cast.outsider).post(path, body, content_type="application/json").status_code == 404
    job = done(Job.objects.get())
    assert (job.state, job.error_sentence) == ("succeeded", "")
    evidence = Evidence.objects.get()
    assert (evidence.provenance, evidence.produced_by) == ("submitted", cast.ci_bot)
    assert evidence.summary["source"] == "submitted"
    report = json.loads(storage.read(evidence.artifact))
    assert report["provenance"]["calculated_by"] == "portal"
    assert f"sha256:{report['provenance']['inputs']['predictions']}" == evidence.summary["predictions"]
    assert report["provenance"]["decisions"] == "submitted"
    assert "submitted_predictions" in [warning["code"] for warning in report["warnings"]]
    page = signed_in(cast.developer).get(job.result_url).content.decode()
    for words in (
        "predictions made elsewhere and submitted", "Predictions submitted by", "Scores by group", "AUC",
        "Calibration slope", "Calibration of group = a by bin", "positive from 0.5 on",
    ):  # fmt: skip
        assert words in page, words
    assert "has not been looked at" not in page
    table = signed_in(cast.developer).get(f"{job.result_url}report.csv").content.decode()
    metrics = {row["metric"] for row in csv.DictReader(io.StringIO(table))}
    assert {"auc", "brier_score", "scoring_rate", "calibration_slope"} <= metrics


def test_scores_of_a_model_are_those_its_rule_reads(tmp_path: Path) -> None:
    import sklearn.metrics as sk
    from onnxruntime import InferenceSession

    from tests.fairness.files import LOAN_FEATURES

    found = modelled(tmp_path)["scores"]
    data = loans()
    x = data[list(LOAN_FEATURES)].to_numpy(np.float32)
    scores = InferenceSession(loan_model(tmp_path).read_bytes()).run(["probabilities"], {"X": x})[0][:, 1]
    assert (found["scale"], found["exact"]) == ("probability", True)
    assert found["median"] == pytest.approx(np.median(scores), rel=1e-11)
    black = next(table for table in found["tables"] if table["attributes"] == ["black"])
    for each, row in zip((0, 1), black["groups"], strict=True):
        here = data.black == each
        seen = row["metrics"]
        assert seen["auc"]["value"] == pytest.approx(sk.roc_auc_score(data.approve[here], scores[here]), rel=1e-11)
        assert seen["auc"]["low"] < seen["auc"]["value"] < seen["auc"]["high"]
        assert seen["log_loss"]["value"] == pytest.approx(
            sk.log_loss(data.approve[here], scores[here].astype(float)), rel=1e-11
        )
        assert seen["scoring_rate"]["value"] == pytest.approx((scores[here] > np.median(scores)).mean(), rel=1e-11)
        assert row["calibration"]["slope"]["low"] < 1 < row["calibration"]["slope"]["high"]
        assert sum(part["count"] for part in row["calibration"]["bins"]) == here.sum()
    crossed = next(table for table in found["tables"] if table["attributes"] == ["black", "hispan"])
    assert crossed["exploratory"]
    assert "calibration" not in crossed["groups"][0]
    assert loan_file(tmp_path).exists()


def test_scores_that_are_no_probabilities_have_no_calibration(tmp_path: Path) -> None:
    path = small(tmp_path)
    given = as_array([float(row % 7) for row in range(400)])
    report = bias_report(path, SMALL, positive=1, source="submitted", predictions=given, at_least=3)
    (row, _) = report["scores"]["tables"][0]["groups"]
    assert set(row["metrics"]) == {"auc", "mean_score", "scoring_rate", "standardised_mean_difference"}
    assert "calibration" not in row
    assert "scores_not_probabilities" in [warning["code"] for warning in report["warnings"]]
    array = given / 6
    named: dict[str, Any] = {"source": "submitted", "positive": 1, "at_least": 0.5}
    as_score = bias_report(path, SMALL, predictions=array, scale="score", **named)
    assert as_score["scores"]["scale"] == "score"
    column = bias_report(path, Roles("y", ("g",), score="x"), positive=1, source="submitted", at_least=3)
    assert column["scores"] == report["scores"]


def test_weights_reach_every_figure(tmp_path: Path) -> None:
    import sklearn.metrics as sk

    lines = [(int(i % 4 > 0), "ab"[i % 2], i % 11 / 10, 1 + i % 3) for i in range(330)]
    path = written(tmp_path, "y,g,s,w\n" + "\n".join(",".join(map(str, line)) for line in lines) + "\n")
    roles = Roles("y", ("g",), score="s", weight="w")
    for kind in ("survey", "frequency"):
        report = bias_report(path, roles, positive=1, source="submitted", at_least=0.5, weight_kind=kind)
        row = report["scores"]["tables"][0]["groups"][0]
        here = [line for line in lines if line[1] == "a"]
        y, s, w = ([line[at] for line in here] for at in (0, 2, 3))
        assert row["metrics"]["auc"]["value"] == pytest.approx(sk.roc_auc_score(y, s, sample_weight=w), rel=1e-11)
        assert row["count"] == len(here)
    numbers = bias_report(
        path, Roles("s", ("g",), prediction="w", weight="w"), positive="true", source="submitted", at_least=0.5,
        task="regression",
    )  # fmt: skip
    error = [line[3] - line[2] for line in lines]
    weight = [line[3] for line in lines]
    seen = numbers["errors"]["overall"]["metrics"]
    assert seen["mean_error"]["value"] == pytest.approx(np.average(error, weights=weight), rel=1e-11)


def test_numbers_are_judged_by_their_errors_and_from_a_threshold_on(tmp_path: Path) -> None:
    path = small(tmp_path)
    roles = Roles("x", ("g",))
    given = as_array([float(row % 5) for row in range(400)])
    named: dict[str, Any] = {"positive": "true", "source": "submitted", "predictions": given, "task": "regression"}
    report = bias_report(path, roles, at_least=3, **named)
    error = np.array([row % 5 - row % 7 for row in range(400)])
    (a, b) = report["errors"]["tables"][0]["groups"]
    assert a["metrics"]["mean_error"]["value"] == pytest.approx(error[::2].mean(), abs=1e-11)
    assert b["metrics"]["root_mean_squared_error"]["value"] == pytest.approx(np.sqrt((error[1::2] ** 2).mean()))
    assert group(report, "g = a")["metrics"]["selection_rate"]["value"] == pytest.approx(0.4)
    assert group(report, "g = a")["metrics"]["base_rate"]["value"] == pytest.approx(
        np.mean([row % 7 >= 3 for row in range(0, 400, 2)])
    )
    with pytest.raises(DataProblem) as caught:
        bias_report(path, roles, at_least=9, **named)
    assert (caught.value.code, caught.value.column) == ("one_class", "x")
    with pytest.raises(DataProblem) as caught:
        bias_report(path, roles, at_least=3, **{**named, "predictions": as_array([1e200, *[1.0] * 399])})
    assert (caught.value.code, caught.value.row) == ("too_large_number", 1)
    with pytest.raises(ValueError, match="threshold"):
        bias_report(path, roles, **named)
    assert "mean_error" in tabling.as_csv(report)
    (shown,) = figuring.sections(report)
    assert shown["heading"] == "Errors by g"
    assert [words for words, _ in shown["parts"][0]["rows"]][:2] == ["Mean error", "Mean absolute error"]
    assert shown["plot"]["title"].startswith("Mean error by g with 95 % intervals")
    assert {row["words"] for row in shown["to_reference"]} == {"Mean error", "Mean absolute error"}


def test_each_of_several_classes_is_held_against_the_rest(tmp_path: Path) -> None:
    path = small(tmp_path)
    given = as_array([int(row % 5) for row in range(400)])
    report = bias_report(path, Roles("x", ("g",)), positive=3, source="submitted", predictions=given, task="multiclass")
    found = report["classes"]
    assert found["classes"] == [str(name) for name in range(7)]
    row = found["tables"][0]["groups"][0]
    three = next(each for each in row["classes"] if each["class"] == "3")
    assert three["metrics"]["selection_rate"] == {
        key: group(report, "g = a")["metrics"]["selection_rate"][key] for key in ("value", "low", "high", "size")
    }
    label, chosen = np.arange(0, 400, 2) % 7, np.arange(0, 400, 2) % 5
    assert row["accuracy"]["value"] == pytest.approx((label == chosen).mean())
    assert row["macro"]["positive_predictive_value"]["classes"] == 5
    assert "class 3" in tabling.as_csv(report)
    (shown,) = figuring.sections(report)
    assert (shown["heading"], shown["plot"]) == ("Classes by g", None)
    rows = dict(shown["parts"][0]["rows"])
    assert rows["Class 3: selection rate"][0] == three["metrics"]["selection_rate"]
    assert rows["Accuracy over all classes"][0] == row["accuracy"]
    assert presenting.decisions_of(report) == "submitted, made elsewhere"
    assert uncounted(report) == set()
    wrong = [
        (as_array(["9"] * 400), Roles("x", ("g",)), "class_unknown", 1),
        (given, Roles("p", ("g",)), "not_binary", None),
        (given, Roles("g", ("p",)), "positive_class_missing", None),
    ]
    for predictions, roles, code, at in wrong:
        with pytest.raises(DataProblem) as caught:
            bias_report(path, roles, positive=1, source="submitted", predictions=predictions, task="multiclass")
        assert (caught.value.code, caught.value.row) == (code, at)


def test_bad_predictions_are_named_by_row(tmp_path: Path) -> None:
    path = small(tmp_path)
    flawed = as_array([0.5] * 16 + [1.5] + [0.5] * 383)
    with pytest.raises(DataProblem) as caught:
        bias_report(path, SMALL, positive=1, source="submitted", predictions=flawed, at_least=0.5, scale="probability")
    assert (caught.value.code, caught.value.column, caught.value.row) == ("not_probability", "predictions", 17)
    with pytest.raises(DataProblem) as caught:
        bias_report(path, SMALL, positive=1, source="submitted", predictions=as_array(["yes"] * 400))
    assert (caught.value.code, caught.value.row) == ("class_unknown", 1)
    truth = as_array([True, False] * 200)
    report = bias_report(path, SMALL, positive=1, source="submitted", predictions=truth)
    assert group(report, "g = a")["metrics"]["selection_rate"]["value"] == 1


def test_a_group_that_cannot_have_a_figure_is_told(tmp_path: Path) -> None:
    lines = [f"1,a,{i % 9 / 10}" for i in range(50)] + [f"{i % 2},b,{0.2 + 0.6 * (i % 2)}" for i in range(50)]
    lines += [f"{int(i == 0)},c,{i % 9 / 10}" for i in range(50)]
    path = written(tmp_path, "y,g,s\n" + "\n".join(lines) + "\n")
    report = bias_report(path, Roles("y", ("g",), score="s"), positive=1, source="submitted", at_least=0.5)
    told = {(gap["what"], gap["why"]) for gap in report["not_testable"]}
    assert {
        ("g = a", "all its outcomes are the same, so it has neither an AUC nor a calibration"),
        ("g = b", "the AUC has no interval: its scores part the outcomes wholly"),
        ("g = b", "no slope of calibration: its probabilities part the outcomes wholly"),
        ("g = c", "the AUC has no interval: one outcome occurs once"),
    } <= told
    assert b"NaN" not in canonical_bytes(report)


def test_a_submitted_column_may_have_a_name_that_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, "y,g,predictions\n" + "1,a,0\n0,a,1\n1,b,0\n0,b,1\n" * 30)
    report = bias_report(path, SMALL, positive=1, source="submitted", predictions=as_array([1, 0] * 60))
    assert report["overall"]["metrics"]["accuracy"]["value"] == 1
