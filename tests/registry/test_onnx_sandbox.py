"""Model files from strangers: recognised, confined, run, and refused with a sentence."""

from __future__ import annotations

import json
import pickle
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits, ModelFacts, Tensor
from registry.onnx.problems import ModelProblem
from registry.onnx.sandbox import Scorer, inspect_model, predict
from registry.onnx.sniff import refuse_obvious
from tests.fairness.files import LOAN_FEATURES, THRESHOLD, fitted, loan_model, loans
from tests.registry.models_onnx import endless, looked_at, model_of, refused, saved

MIB = 1 << 20


@pytest.fixture(scope="module")
def table() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.random((400, 3)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 1).astype(int)


def test_facts_of_a_real_model(tmp_path: Path) -> None:
    path = loan_model(tmp_path)
    facts = inspect_model(path)
    assert facts.size == path.stat().st_size
    assert facts.producer.startswith("skl2onnx")
    assert facts.operators == ("ai.onnx.ml.LinearClassifier", "ai.onnx.ml.Scaler")
    assert facts.inputs == (Tensor("X", "tensor(float)", (None, len(LOAN_FEATURES))),)
    assert [t.name for t in facts.outputs] == ["label", "probabilities"]
    assert {"memory", "cpu_time", "dies_with_parent", "no_new_privileges", "no_sockets_or_programs"} <= set(
        facts.protections
    )
    assert ModelFacts.from_dict(facts.as_dict()) == facts
    assert ModelFacts.from_dict(looked_at(path) | {"protections": facts.protections}) == facts


def test_scores_are_those_of_scikit_learn(tmp_path: Path, table: Any) -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    x, y = table
    model = GradientBoostingClassifier(random_state=0, n_estimators=20)
    path = saved(tmp_path, fitted(x, y, model))
    columns = {name: x[:, i].astype(np.float64) for i, name in enumerate("abc")}
    rule = DecisionRule.from_mapping(THRESHOLD)
    output = predict(path, columns, "probabilities", "abc")
    expected = model.predict_proba(x)[:, 1]
    assert np.abs(rule.scores(output) - expected).max() < 1e-6
    assert (rule.decide(output) == (expected >= 0.5)).mean() > 0.99
    label = predict(path, columns, "label", "abc")
    by_label = DecisionRule.from_mapping({"kind": "label", "output": "label", "equals": 1})
    assert np.array_equal(by_label.decide(label), model.predict(x) == 1)


def test_a_map_of_classes_is_read_by_class(tmp_path: Path, table: Any) -> None:
    x, y = table
    path = saved(tmp_path, fitted(x, np.where(y, "yes", "no"), zipmap=True))
    columns = {name: x[:, i] for i, name in enumerate("abc")}
    output = predict(path, columns, "output_probability", "abc")
    assert output.classes == ("no", "yes")
    yes = DecisionRule.from_mapping({"kind": "threshold", "output": "output_probability", "class": "yes"})
    assert ((yes.scores(output) > 0.5) == y).mean() > 0.9
    refused("bad_decision_rule", DecisionRule.from_mapping(THRESHOLD).scores, output)
    label = predict(path, columns, "output_label", "abc")
    said = DecisionRule.from_mapping({"kind": "label", "output": "output_label", "equals": "yes"}).decide(label)
    assert np.array_equal(said, yes.decide(output))


def test_batches_are_scored_the_same_here(tmp_path: Path, table: Any) -> None:
    from registry.onnx import child

    x, y = table
    path = saved(tmp_path, fitted(x, np.where(y, "yes", "no"), zipmap=True))
    session = child._session(path.read_bytes(), {"threads": 1})
    entry = {"name": "X", "dtype": "<f4", "shape": list(x.shape)}
    outputs = ["output_probability", "output_label"]
    asked = {"inputs": [entry], "outputs": outputs}
    written, parts = child._score(session, asked, [x.tobytes()])
    columns = {n: x[:, i] for i, n in enumerate("abc")}
    with Scorer(path) as scorer:
        both = scorer.outputs(columns, outputs, "abc")
    assert [each.classes for each in both] == [("no", "yes"), None]
    for output, header, data, together in zip(outputs, written, parts, both, strict=True):
        there = predict(path, columns, output, "abc")
        here = json.loads(data) if header["dtype"] == "object" else np.frombuffer(data, header["dtype"]).tolist()
        assert here == there.values.reshape(-1).tolist() == together.values.reshape(-1).tolist()
        assert list(there.classes or []) == (header["classes"] or [])
    with pytest.raises(ModelProblem, match="failed on the data"):
        child._score(session, {**asked, "inputs": [{**entry, "shape": [300, 4]}]}, [x.tobytes()])


def test_one_input_a_column_with_words(tmp_path: Path) -> None:
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"age": np.arange(100.0), "town": ["north", "south"] * 50})
    steps = ColumnTransformer([("age", "passthrough", ["age"]), ("town", OneHotEncoder(), ["town"])])
    made = make_pipeline(steps, LogisticRegression(max_iter=1000)).fit(frame, frame.age % 4 > 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        types = [("age", FloatTensorType([None, 1])), ("town", StringTensorType([None, 1]))]
        path = saved(tmp_path, to_onnx(made, initial_types=types, options={"zipmap": False}).SerializeToString())
    assert {t.name: t.width for t in inspect_model(path).inputs} == {"age": 1, "town": 1}
    assert looked_at(path)["size"] == path.stat().st_size
    columns = {"town": frame.town.to_numpy(object), "age": frame.age.to_numpy(), "other": np.zeros(100)}
    found = predict(path, columns, "probabilities").values
    assert np.abs(found - made.predict_proba(frame)).max() < 1e-5
    del columns["town"]
    sentence = refused("inputs_differ", predict, path, columns, "probabilities")
    assert "wants the inputs age, town" in sentence
    assert "Missing: town" in sentence


def test_a_session_scores_many_batches(tmp_path: Path) -> None:
    columns = {name: loans()[name].to_numpy() for name in LOAN_FEATURES}
    with Scorer(loan_model(tmp_path)) as scorer:
        whole = scorer.run(columns, "probabilities", LOAN_FEATURES).values
        for part in (slice(0, 1), slice(5, 300)):
            some = scorer.run({k: v[part] for k, v in columns.items()}, "probabilities", LOAN_FEATURES).values
            assert np.abs(some - whole[part]).max() < 1e-6
        refused("bad_decision_rule", scorer.run, columns, "probability", LOAN_FEATURES)
        refused("inputs_differ", scorer.run, columns, "probabilities", LOAN_FEATURES[:-1])
        process = scorer._process
    assert process.returncode is not None


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/countersign-was-unpickled"),))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_named_and_never_opened(tmp_path: Path, protocol: int) -> None:
    mark = Path("/tmp/countersign-was-unpickled")
    mark.unlink(missing_ok=True)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": Trap()}, protocol) if protocol > 1 else pickle.dumps(Trap(), protocol))
    with pytest.raises(ModelProblem) as caught:
        inspect_model(path)
    if protocol > 1:
        assert caught.value.code == "pickle"
        assert "Export the model to ONNX" in caught.value.sentence
    assert not mark.exists()


def test_what_scikit_learn_and_torch_leave_on_disk_is_recognised(tmp_path: Path) -> None:
    for head in (b"ccopy_reg\n_reconstructor\n", b"csklearn.tree\nX\n"):
        assert "pickle" in refused("pickle", refuse_obvious, head)
    with zipfile.ZipFile(tmp_path / "torch.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    refused("pickle", inspect_model, tmp_path / "torch.pt")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"), (b"PK\x03\x04stuff", "ZIP"), (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"\x1f\x8b\x08", "gzip"),
        (b"x\x9cabc", "joblib"), (b"(\xb5/\xfd", "zstd"), (b"PAR1", "Parquet"), (b"%PDF-1.7", "PDF"), (b"{}", "text"),
        (b"tree\nversion=v3", "text"),
    ],
)  # fmt: skip
def test_other_formats_are_named(head: bytes, words: str) -> None:
    sentence = refused("not_onnx", refuse_obvious, head)
    assert words in sentence
    assert "Export the model to ONNX" in sentence


@pytest.mark.parametrize("data", [b"\x08\x07hello", b"just words, no model at all", bytes(range(8, 200)), b"\x08\x08"])
def test_rubbish_is_no_onnx(tmp_path: Path, data: bytes) -> None:
    path = saved(tmp_path, data)
    assert refused("not_onnx", inspect_model, path) == refused("not_onnx", looked_at, path)


def test_a_broken_graph_is_no_onnx(tmp_path: Path) -> None:
    from onnx import helper

    model = model_of([helper.make_node("Add", ["x", "nowhere"], ["y"])])
    assert "checker" in refused("not_onnx", inspect_model, saved(tmp_path, model))
    refused("not_onnx", looked_at, saved(tmp_path, model))


def test_operators_of_others_are_refused(tmp_path: Path) -> None:
    from onnx import helper

    evil = model_of([helper.make_node("Evil", ["x"], ["y"], domain="com.evil")], domain="com.evil")
    assert "com.evil.Evil" in refused("custom_operator", inspect_model, saved(tmp_path, evil))
    refused("custom_operator", looked_at, saved(tmp_path, evil))
    unknown = model_of([helper.make_node("NoSuchThing", ["x"], ["y"])])
    refused("custom_operator", inspect_model, saved(tmp_path, unknown))
    refused("custom_operator", looked_at, saved(tmp_path, unknown))
    inner = helper.make_graph(
        [helper.make_node("Evil", ["x"], ["z"], domain="com.evil")],
        "in",
        [],
        [helper.make_tensor_value_info("z", 1, ["a", "b"])],
    )
    nested = model_of(
        [
            helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", 9, [], [True])),
            helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
        ],
        domain="com.evil",
    )
    refused("custom_operator", inspect_model, saved(tmp_path, nested))
    refused("custom_operator", looked_at, saved(tmp_path, nested))


def test_chance_is_refused(tmp_path: Path) -> None:
    from onnx import helper

    model = model_of([helper.make_node("RandomNormalLike", ["x"], ["y"])])
    assert "different answers" in refused("random_operator", inspect_model, saved(tmp_path, model))
    refused("random_operator", looked_at, saved(tmp_path, model))


def test_data_in_other_files_is_refused_even_inside_a_branch(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    def outside() -> Any:
        tensor = onnx.TensorProto(name="w", data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="../../etc/passwd")
        return tensor

    add = helper.make_node("Add", ["x", "w"], ["y"])
    refused("external_data", inspect_model, saved(tmp_path, model_of([add], initializers=[outside()])))
    inner = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["z"])],
        "in",
        [],
        [helper.make_tensor_value_info("z", 1, ["a", "b"])],
        [outside()],
    )
    nested = model_of(
        [
            helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", 9, [], [True])),
            helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
        ]
    )
    refused("external_data", inspect_model, saved(tmp_path, nested))
    refused("external_data", looked_at, saved(tmp_path, nested))
    constant = model_of([helper.make_node("Constant", [], ["w"], value=outside()), add])
    refused("external_data", inspect_model, saved(tmp_path, constant))
    refused("external_data", looked_at, saved(tmp_path, constant))


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    sentence = refused("too_big", inspect_model, loan_model(tmp_path), Limits(file_bytes=100))
    assert "at most 100 are taken" in sentence


def test_an_endless_model_is_stopped_by_the_clock_and_by_its_processor_time(tmp_path: Path) -> None:
    path = endless(tmp_path)
    start = time.monotonic()
    refused("trial_run_timeout", inspect_model, path, Limits(wall_seconds=2))
    assert time.monotonic() - start < 10
    assert "1 s of processor time" in refused("trial_run_timeout", inspect_model, path, Limits(cpu_seconds=1))


def test_a_greedy_model_is_stopped_by_its_memory(tmp_path: Path) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Constant", [], ["shape"], value=helper.make_tensor("s", 7, [2], [40_000, 40_000])),
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    path = saved(tmp_path, model_of(nodes))
    assert "MiB of memory" in refused("too_big", inspect_model, path, Limits(memory_bytes=2048 * MIB))


def test_a_model_that_fails_on_zeros(tmp_path: Path) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Constant", [], ["shape"], value=helper.make_tensor("s", 7, [2], [7, 11])),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    assert "zeros" in refused("trial_run_failed", inspect_model, saved(tmp_path, model_of(nodes)))
    refused("trial_run_failed", looked_at, saved(tmp_path, model_of(nodes)))


def test_a_model_that_fails_on_the_data_only(tmp_path: Path) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Constant", [], ["shape"], value=helper.make_tensor("s", 7, [2], [2, 2])),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    path = saved(tmp_path, model_of(nodes))
    refused("run_failed", predict, path, {"a": np.zeros(5), "b": np.zeros(5)}, "y", ["a", "b"])


def test_scores_must_be_finite(tmp_path: Path) -> None:
    from onnx import helper

    path = saved(tmp_path, model_of([helper.make_node("Log", ["x"], ["y"])], shape=("n", 1)))
    output = predict(path, {"x": np.array([1.0, 0.0])}, "y")
    rule = DecisionRule.from_mapping({"kind": "threshold", "output": "y"})
    assert "row 2" in refused("score_not_finite", rule.scores, output)


def test_a_model_that_leaves_its_width_open_is_tried_with_the_dataset_s(tmp_path: Path) -> None:
    from onnx import helper

    weights = helper.make_tensor("w", 1, [3, 1], [1.0, 2.0, 3.0])
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], initializers=[weights], shape=("n", "k"))
    path = saved(tmp_path, model)
    refused("trial_run_failed", inspect_model, path)
    refused("trial_run_failed", looked_at, path)
    assert inspect_model(path, width=3).inputs[0].shape == (None, None)
    found = predict(path, {c: np.ones(2) for c in "abc"}, "y", "abc")
    assert found.values.tolist() == [[6.0], [6.0]]
