"""The model's own predictions of a number or of several classes, and such outcomes as recorded, up to their copies."""

from __future__ import annotations

import csv
import functools
import io
import json
from typing import Any

import numpy as np
import pytest
from django.urls import reverse

from fairness.bias import bias_report, canonical_bytes
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.services import request_bias_report, submit_predictions
from jobs.models import Job
from ledger.refusals import Refusal
from registry import storage
from registry.models import Evidence
from registry.services import register_version
from tests import worlds
from tests.fairness.files import csv as written
from tests.fairness.files import fitted
from tests.fairness.reporting import done
from tests.forms import fields_of

NUMBER = {"loss": "label_number", "group": "sensitive", "income": "feature", "debt": "feature"}
GRADE = {"grade": "label_classes", "group": "sensitive", "income": "feature", "debt": "feature"}
BY_NUMBER = {"kind": "threshold", "output": "variable", "class": 0, "at_least": 0.5}
BY_SCORE = {"kind": "threshold", "output": "probabilities", "class": 0, "at_least": 0.3}
BY_CLASS = {"kind": "label", "output": "label", "equals": "high"}
# Of a version whose bytes are elsewhere.
DECLARED = {
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "variable", "datatype": "FP32", "shape": [-1, 1]}],
    "features": list(worlds.FEATURES),
    "decision_rule": BY_NUMBER,
}
HEAD = ("loss", "grade", "group", "income", "debt", "weight", "person", "reason")


@functools.cache
def frame() -> Any:
    """300 loans: the share that was lost, a grade, and what a model may see; the last rows have a reason."""
    import pandas as pd

    dice = np.random.default_rng(5)
    income, debt = dice.normal(size=300).round(3), dice.normal(size=300).round(3)
    group = np.where(np.arange(300) % 3 == 0, "b", "a")
    loss = (0.5 + 0.1 * debt - 0.1 * income + 0.05 * (group == "b") + 0.05 * dice.normal(size=300)).round(4)
    grade = np.array(["low", "middle", "high"])[np.digitize(loss + 0.05 * dice.normal(size=300), [0.42, 0.55])]
    more = 1 + np.arange(300) % 4, np.arange(300) // 2, np.where(np.arange(300) < 280, "", "test case")
    return pd.DataFrame(dict(zip(HEAD, (loss, grade, group, income, debt, *more), strict=True)))


def rows() -> bytes:
    return bytes(frame().to_csv(index=False, lineterminator="\n").encode())


def inputs() -> Any:
    return frame()[["income", "debt"]].to_numpy(np.float32)


@functools.cache
def a_regressor() -> bytes:
    from sklearn.linear_model import LinearRegression

    return fitted(inputs(), frame().loss.to_numpy(), LinearRegression(), zipmap=True)


@functools.cache
def a_classifier(zipmap: bool = False) -> bytes:
    from sklearn.linear_model import LogisticRegression

    return fitted(inputs(), frame().grade.to_numpy(), LogisticRegression(), zipmap=zipmap)


def said(model: bytes, *outputs: str) -> Any:
    from onnxruntime import InferenceSession

    return InferenceSession(model).run(list(outputs), {"X": inputs()})


def a_version(cast: Any, model: bytes, rule: dict[str, Any]) -> Any:
    under = worlds.a_model(cast)
    upload = worlds.an_upload(cast, model, "model.onnx", team=under.team)
    named: dict[str, Any] = {"features": list(worlds.FEATURES), "contributors": [cast.developer]}
    return register_version(by=cast.developer, model=under, upload=upload, decision_rule=rule, **named)


def a_dataset(cast: Any, roles: dict[str, str], positive: str = "") -> Any:
    return worlds.a_dataset(cast, data=rows(), roles=roles, positive_class=positive)


def reported(job: Any) -> tuple[Evidence, dict[str, Any]]:
    job = done(job)
    assert (job.state, job.error_sentence) == ("succeeded", "")
    evidence = Evidence.objects.first()
    assert evidence is not None
    return evidence, json.loads(storage.read(evidence.artifact))


def group(report: dict[str, Any], name: str, section: str = "") -> dict[str, Any]:
    (table,) = report[section]["tables"] if section else report["attributes"]
    return next(each for each in table["groups"] if each["name"] == f"group = {name}")


def told(client: Any, evidence: Evidence, heading: str, metric: str) -> None:
    """Page, CSV, PDF and the abridged JSON show the section."""
    address = reverse("report", args=[evidence.pk])
    page = client.get(address).content.decode()
    assert f"{heading} by group" in page
    found = client.get(f"{address}report.csv").content.decode()
    assert metric in {row["metric"] for row in csv.DictReader(io.StringIO(found))}
    assert client.get(reverse("report-pdf", args=[evidence.pk])).content.startswith(b"%PDF")


def test_the_number_that_the_rule_reads_is_the_prediction_and_its_threshold_decides(committing_db, cast, signed_in):
    import sklearn.metrics as sk
    from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate

    version = a_version(cast, a_regressor(), BY_NUMBER)
    dataset = a_dataset(cast, NUMBER | {"weight": "weight"})
    asked: dict[str, Any] = {"by": cast.developer, "version": version, "dataset": dataset}
    (given,) = said(a_regressor(), "variable")
    prediction, data = given[:, 0].astype(np.float64), frame()
    evidence, report = reported(request_bias_report(source="model", **asked))
    assert (evidence.provenance, evidence.summary["task"]) == ("computed", "regression")
    weight, by = (
        data.weight,
        {"y_true": data.loss >= 0.5, "y_pred": prediction >= 0.5, "sensitive_features": data.group},
    )
    rates = MetricFrame(
        metrics={"selection_rate": selection_rate, "true_positive_rate": true_positive_rate}, **by,
        sample_params={name: {"sample_weight": weight} for name in ("selection_rate", "true_positive_rate")},
    )  # fmt: skip
    for name in ("a", "b"):
        here = data.group == name
        ours = group(report, name)["metrics"]
        for metric in ("selection_rate", "true_positive_rate"):
            assert ours[metric]["value"] == pytest.approx(rates.by_group[metric][name], rel=0, abs=1e-12)
        seen = group(report, name, "errors")["metrics"]
        y, p, w = data.loss[here], prediction[here], weight[here]
        for metric, value in (
            ("mean_error", np.average(p - y, weights=w)),
            ("mean_absolute_error", sk.mean_absolute_error(y, p, sample_weight=w)),
            ("root_mean_squared_error", sk.root_mean_squared_error(y, p, sample_weight=w)),
            ("r_squared", sk.r2_score(y, p, sample_weight=w)),
        ):
            assert seen[metric]["value"] == pytest.approx(value, rel=0, abs=1e-12), metric
    own, theirs = reported(
        submit_predictions(predictions=prediction.tolist(), task="regression", at_least=0.5, **asked)
    )  # fmt: skip
    assert (theirs["errors"], theirs["result"]) == (report["errors"], report["result"])
    assert evidence.summary["frame"] == own.summary["frame"]
    assert evidence.summary["frame"]["positive"] == "at least 0.5"
    past, recorded = reported(request_bias_report(source="historical", **asked))
    rate = np.average(data.loss[data.group == "b"] >= 0.5, weights=weight[data.group == "b"])
    assert group(recorded, "b")["metrics"]["selection_rate"]["value"] == pytest.approx(rate, rel=0, abs=1e-12)
    assert past.summary["frame"] == evidence.summary["frame"]
    assert "errors" not in recorded
    client = signed_in(cast.developer)
    told(client, evidence, "Errors", "root_mean_squared_error")
    for one, words in ((evidence, "the prediction of the outcome, is at least 0.5"), (past, "positive from 0.5 on")):
        page = client.get(reverse("report", args=[one.pk])).content.decode()
        assert words in page
        assert "Recorded decisions beside the model" in page.replace("&#x27;", "'")


def test_the_class_that_the_model_names_is_set_against_the_rest_and_the_rule_says_yes(committing_db, cast, signed_in):
    import sklearn.metrics as sk
    from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate

    dataset, data = a_dataset(cast, GRADE, "high"), frame()
    scored, chosen = said(a_classifier(), "probabilities", "label")
    yes = scored[:, 0].astype(np.float64) >= 0.3
    version = a_version(cast, a_classifier(), BY_SCORE)
    evidence, report = reported(
        request_bias_report(by=cast.developer, version=version, dataset=dataset, source="model")
    )  # fmt: skip
    rates = MetricFrame(
        metrics={"selection_rate": selection_rate, "true_positive_rate": true_positive_rate},
        y_true=data.grade == "high", y_pred=yes, sensitive_features=data.group,
    )  # fmt: skip
    for name in ("a", "b"):
        here = (data.group == name).to_numpy()
        for metric in ("selection_rate", "true_positive_rate"):
            ours = group(report, name)["metrics"][metric]["value"]
            assert ours == pytest.approx(rates.by_group[metric][name], rel=0, abs=1e-12)
        y, k = data.grade[here], chosen[here]
        seen = group(report, name, "classes")
        near: dict[str, Any] = {"rel": 0, "abs": 1e-12}
        assert seen["accuracy"]["value"] == pytest.approx(sk.accuracy_score(y, k), **near)
        assert seen["macro"]["f1"]["value"] == pytest.approx(sk.f1_score(y, k, average="macro"), **near)
        for each, value in zip(seen["classes"], sk.recall_score(y, k, average=None), strict=True):
            assert each["metrics"]["true_positive_rate"]["value"] == pytest.approx(value, **near)
        auc = sk.roc_auc_score(y == "high", scored[here, 0])
        assert group(report, name, "scores")["metrics"]["auc"]["value"] == pytest.approx(auc, **near)
    (warned,) = [each["sentence"] for each in report["warnings"] if each["code"] == "one_class_against_rest"]
    assert "output 'label' names" in warned
    assert evidence.summary["frame"]["positive"] == "high"
    told(signed_in(cast.developer), evidence, "Classes", "macro f1")

    by_label: dict[str, Any] = {
        "by": cast.developer, "version": a_version(cast, a_classifier(), BY_CLASS), "dataset": dataset,
    }  # fmt: skip
    _, own = reported(request_bias_report(source="model", **by_label))
    _, theirs = reported(submit_predictions(predictions=chosen.tolist(), task="multiclass", **by_label))
    assert (own["classes"], own["result"]) == (theirs["classes"], theirs["result"])
    assert "scores" not in own
    _, past = reported(request_bias_report(source="historical", **by_label))
    rate = (data.grade[data.group == "b"] == "high").mean()
    assert group(past, "b")["metrics"]["selection_rate"]["value"] == pytest.approx(rate, rel=0, abs=1e-12)
    assert "one_class_against_rest" in [each["code"] for each in past["warnings"]]

    other, kept = a_dataset(cast, GRADE | {"grade": "other", "weight": "label_classes"}, "1"), Evidence.objects.count()
    job = done(request_bias_report(source="model", **{**by_label, "dataset": other}))
    assert (job.state, job.error_code) == ("failed", "class_unknown")
    assert "'label' says 'middle' in row 1, which is no class of 'weight' (1, 2, 3, 4)" in job.error_sentence
    assert Evidence.objects.count() == kept


def test_what_a_version_cannot_be_asked_is_refused_and_nothing_is_kept(db, cast, signed_in, api):
    number, grades = a_dataset(cast, NUMBER), a_dataset(cast, GRADE, "high")
    apart = a_dataset(cast, GRADE | {"person": "cluster", "reason": "exclusion"}, "high")
    by_class, by_number = a_version(cast, a_classifier(), BY_CLASS), a_version(cast, a_regressor(), BY_NUMBER)
    refused = [
        (by_class, number, "model", "threshold_missing", "source"),
        (by_class, number, "historical", "threshold_missing", "source"),
        (worlds.a_pinned_version(cast), number, "historical", "threshold_missing", "source"),
        (by_number, grades, "model", "class_output_missing", "source"),
        (by_class, apart, "model", "not_for_classes", "dataset"),
        (by_number, number, "historical", "metric_needs_predictions", "rule.metric"),
    ]
    for version, dataset, source, code, field in refused:
        rule = {"metric": "accuracy"} if code == "metric_needs_predictions" else {}
        with pytest.raises(Refusal) as caught:
            request_bias_report(by=cast.developer, version=version, dataset=dataset, source=source, rule=rule)
        assert (caught.value.code, caught.value.field) == (code, field)
    assert not Job.objects.exists()
    assert not Evidence.objects.exists()
    address = f"{reverse('report-new', args=[by_class.pk])}?dataset={number.pk}"
    client = signed_in(cast.developer)
    given = fields_of(client.get(address).content.decode(), "baseline")
    answer = client.post(address, given)
    assert answer.status_code == 422
    assert "has no threshold from which on a number counts as yes" in answer.content.decode()
    path = f"/api/v1/versions/{by_class.pk}/bias-reports/"
    body = {"dataset": number.pk, "source": "model"}
    answer = api(cast.ci_bot).post(path, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (422, "threshold_missing")
    assert not Job.objects.exists()
    assert request_bias_report(by=cast.developer, version=by_class, dataset=apart, source="historical")
    upstream = worlds.a_pinned_version(cast, interface=DECLARED)
    job = request_bias_report(by=cast.developer, version=upstream, dataset=number, source="historical")
    assert (job.inputs["at_least"], job.inputs["positive"]) == (0.5, "at least 0.5")
    page = client.get(f"{reverse('self-test-new', args=[by_class.pk])}?dataset={grades.pk}").content.decode()
    assert "its positive class counts as yes" in page


def test_rows_left_out_and_rows_together_are_those_of_submitted_numbers(tmp_path):
    path, model = written(tmp_path, rows().decode()), tmp_path / "model.onnx"
    model.write_bytes(a_regressor())
    roles = Roles("loss", ("group",), ("income", "debt"), cluster="person", exclusion="reason")
    (given,) = said(a_regressor(), "variable")
    named: dict[str, Any] = {"positive": "at least 0.5", "task": "regression"}
    own = bias_report(path, roles, source="model", model=model, decision=BY_NUMBER, **named)
    theirs = bias_report(
        path, roles, source="submitted", at_least=0.5, predictions=given[:, 0].astype(np.float64), **named
    )  # fmt: skip
    for part in ("errors", "result", "exclusions"):
        assert canonical_bytes(own[part]) == canonical_bytes(theirs[part])
    assert own["exclusions"]["rows"] == 20
    assert "scores_not_clustered" in [each["code"] for each in own["warnings"]]


def test_whole_numbers_name_classes_however_the_file_writes_them(tmp_path):
    from sklearn.linear_model import LogisticRegression

    codes = frame().grade.map({"low": 0, "middle": 1, "high": 2})
    table = frame().assign(grade=codes.astype(float))
    path, model = written(tmp_path, table.to_csv(index=False)), tmp_path / "model.onnx"
    model.write_bytes(fitted(inputs(), codes.to_numpy(), LogisticRegression(), zipmap=True))
    roles = Roles("grade", ("group",), ("income", "debt"), weight="weight")
    rule = {"kind": "threshold", "output": "output_probability", "class": 2, "at_least": 0.3}
    named: dict[str, Any] = {"positive": "2", "task": "multiclass", "source": "model", "model": model}
    report = bias_report(path, roles, decision=rule, **named)
    (chosen,) = said(model.read_bytes(), "output_label")
    right = np.average(chosen == codes, weights=table.weight, axis=0)
    assert report["classes"]["classes"] == ["0", "1", "2"]
    sizes = [each["accuracy"]["value"] * table.weight[table.group == name].sum() for name, each in (
        (name, group(report, name, "classes")) for name in ("a", "b")
    )]  # fmt: skip
    assert sum(sizes) / table.weight.sum() == pytest.approx(right, rel=0, abs=1e-12)


def test_numbers_that_cannot_be_squared_or_lie_on_one_side_are_refused(tmp_path):
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["X"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Pow", ["wide", "power"], ["far"]),
    ]
    graph = helper.make_graph(
        nodes, "far", [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("far", TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor("power", TensorProto.DOUBLE, [], [6.0])],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = tmp_path / "model.onnx"
    model.write_bytes(made.SerializeToString())
    named: dict[str, Any] = {"positive": "at least 0.5", "task": "regression", "source": "model", "model": model}
    rule, roles = BY_NUMBER | {"output": "far"}, Roles("y", ("g",), ("x",))
    for text, words in (
        ("y,g,x\n" + "0.1,a,2\n0.9,b,1e30\n" * 20, "output 'far' holds numbers too large"),
        ("y,g,x\n" + "0.1,a,2\n1e200,b,3\n" * 20, "Column 'y' holds 1e200 in row 2"),
    ):
        with pytest.raises(DataProblem, match=words) as caught:
            bias_report(written(tmp_path, text), roles, decision=rule, **named)
        assert caught.value.code == "too_large_number"
    with pytest.raises(DataProblem, match="no row lies on the other side of 1e") as caught:
        bias_report(written(tmp_path, text), roles, decision=rule | {"at_least": 1e201}, **named)
    assert caught.value.code == "one_class"


def test_recorded_numbers_and_classes_are_decisions_in_ranges_of_membership_too(tmp_path):
    lines = [
        f"{i % 2},{0.4 + 0.2 * (i % 2)},{'yes' if i % 2 else ('no', 'never')[i % 4 // 2]},{i % 5 / 4},{1 - i % 5 / 4}"
        for i in range(200)
    ]
    path = written(tmp_path, "y,amount,class,likely,other\n" + "\n".join(lines) + "\n")
    found = []
    for label, positive, more in (
        ("y", "1", {}), ("amount", "at least 0.5", {"task": "regression", "at_least": 0.5}),
        ("class", "yes", {"task": "multiclass"}),
    ):  # fmt: skip
        roles = Roles(label, (), membership=("likely", "other"))
        how: dict[str, Any] = {"positive": positive, "source": "historical", "dataset_digest": "d", **more}
        found.append(canonical_bytes(bias_report(path, roles, **how)["memberships"]))
    assert len(set(found)) == 1
