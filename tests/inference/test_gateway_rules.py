"""The parts of the gateway that need nothing but values: tensors, admission, models."""

from __future__ import annotations

import base64
import hashlib
import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inference import keys
from inference.gateway.admission import Admission, Caller
from inference.gateway.board import Board, KeyTerms, Served, Snapshot, clock
from inference.gateway.lease import free_name, may_loop
from inference.gateway.refused import Refused
from inference.gateway.runner import DigestDiffers, RunFailed, Runner, as_output
from inference.gateway.tensors import NUMPY, Tensor, listed, read, tensor, written
from tests.worlds import onnx_bytes

PEPPER = "a pepper"
X = Tensor("X", "FP32", (-1, 2))


def an_input(values, name="X", **changes):
    entry = written(name, values)
    return orjson.dumps({"inputs": [entry | changes]}, option=orjson.OPT_SERIALIZE_NUMPY)


def refused(body, inputs=(X,), outputs=frozenset({"label"}), max_rows=10):
    with pytest.raises(Refused) as found:
        read(body if isinstance(body, bytes) else json.dumps(body).encode(), inputs, outputs, max_rows)
    return found.value.status, found.value.code, found.value.path


def good(**changes):
    return {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]} | changes


@st.composite
def tensors(draw):
    datatype = draw(st.sampled_from(sorted(NUMPY)))
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=4, max_side=4))
    kind = np.dtype(NUMPY[datatype])
    if datatype == "BYTES":
        text = st.text(st.characters(codec="utf-8"), max_size=5)
        return datatype, draw(arrays.arrays(kind, shape, elements=text))
    elements = {"allow_nan": False, "allow_infinity": False} if kind.kind == "f" else {}
    return datatype, draw(arrays.arrays(kind, shape, elements=arrays.from_dtype(kind, **elements)))


@given(tensors(), st.booleans())
def test_what_is_written_is_read_back_to_the_bit(made, nested):
    datatype, values = made
    expected = Tensor("X", datatype, tuple(-1 for _ in values.shape))
    given = written("X", values)
    assert (given["datatype"], tuple(given["shape"])) == (datatype, values.shape)
    body = an_input(values, **({"data": values.tolist()} if nested else {}))
    asked = read(body, [expected], frozenset(), 10)
    array = asked.feed["X"]
    assert (array.dtype, array.shape, asked.rows) == (values.dtype, values.shape, values.shape[0])
    assert array.tolist() == values.tolist()


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    assert refused(noise)[0] in (400, 422)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.fixed_dictionaries({}, optional={"name": JSON, "datatype": JSON, "shape": JSON, "data": JSON}), JSON, JSON)
def test_any_json_is_understood_or_refused_with_a_path(parts, outputs, name):
    for body in ({"inputs": [good() | parts], "outputs": outputs, "id": name}, {"inputs": parts}, {"inputs": [name]}):
        status, path, feed = understood(orjson.dumps(body))
        if status == 200:
            assert np.isfinite(feed["X"]).all()
        else:
            assert status == 422
            assert path.split(".")[0] in ("inputs", "outputs", "id")


def understood(body):
    try:
        return 200, None, read(body, [X], frozenset({"label"}), 10).feed
    except Refused as problem:
        return problem.status, problem.path, None


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({}, "inputs_needed", "inputs"),
        ({"inputs": []}, "inputs_needed", "inputs"),
        ({"inputs": [good()] * 1001}, "inputs_needed", "inputs"),
        ({"inputs": [good(), good()]}, "input_twice", "inputs.1.name"),
        ({"inputs": [7]}, "input_unknown", "inputs.0.name"),
        ({"inputs": [good(shape=[1] * 9)]}, "wrong_shape", "inputs.0.shape"),
        ({"inputs": [good(shape=[True, 2])]}, "wrong_shape", "inputs.0.shape"),
        ({"inputs": [good(shape=[0, 2], data=[])]}, "wrong_shape", "inputs.0.shape"),
        ({"inputs": [good(shape=[10**18, 2])]}, "wrong_length", "inputs.0.data"),
        ({"inputs": [good(data="1, 2")]}, "data_needed", "inputs.0.data"),
        ({"inputs": [good(data=[True, 2])]}, "wrong_value", "inputs.0.data"),
        ({"inputs": [good(data=[None, 2])]}, "wrong_value", "inputs.0.data"),
        ({"inputs": [good(shape=[11, 2], data=[1] * 22)]}, "too_many_rows", "inputs.0.shape"),
        ({"inputs": [good()], "outputs": "label"}, "outputs_invalid", "outputs"),
        ({"inputs": [good()], "outputs": [{"name": "other"}]}, "output_unknown", "outputs.0.name"),
        ({"inputs": [good()], "id": 7}, "id_invalid", "id"),
        ({"inputs": [good()], "id": "x" * 129}, "id_invalid", "id"),
    ],
)
def test_each_mistake_has_its_place(body, code, path):
    assert refused(body) == (422, code, path)


def test_several_inputs_go_together():
    inputs = [X, Tensor("age", "INT8", (-1, 1)), Tensor("scale", "FP16", ())]
    age = {"name": "age", "datatype": "INT8", "shape": [1, 1], "data": [[40]]}
    scale = {"name": "scale", "datatype": "FP16", "shape": [], "data": [0.5]}
    asked = read(orjson.dumps({"inputs": [age, good(), scale], "outputs": []}), inputs, frozenset(), 5)
    assert (asked.rows, asked.wanted, asked.feed["age"].tolist()) == (1, None, [[40]])
    assert refused({"inputs": [age, good()]}, inputs) == (422, "input_missing", "inputs")
    differ = {"inputs": [age, good(shape=[2, 2], data=[1, 2, 3, 4]), scale]}
    assert refused(differ, inputs) == (422, "rows_differ", "inputs.1.shape")
    for large in (128, -129, 2**63):
        wrong = {"inputs": [age | {"data": [[large]]}, good(), scale]}
        assert refused(wrong, inputs) == (422, "out_of_range", "inputs.0.data")


def test_signatures_become_tensors():
    assert tensor({"name": "X", "type": "tensor(float)", "shape": [None, "n", 3, 0]}) == Tensor(
        "X", "FP32", (-1, -1, 3, -1)
    )
    assert tensor({"name": "p", "type": "seq(map(int64,tensor(float)))", "shape": []}) == Tensor("p", "FP32", (-1, -1))
    assert listed([str(number) for number in range(13)]).endswith("11 …")
    assert free_name("decision", ["decision", "_decision"]) == "__decision"
    assert may_loop(["ai.onnx.Add", "ai.onnx.Loop"])
    assert may_loop(["If"])
    assert not may_loop(["ai.onnx.Add", "ai.onnx.ml.LinearClassifier"])


def test_classes_keep_their_names():
    maps = [{"no": 0.25, "yes": 0.75}, {"yes": 0.5, "no": 0.5}]
    found = as_output("p", maps)
    assert found.classes == ("no", "yes")
    entry = written("p", found.values, found.classes)
    assert (entry["parameters"], entry["data"].tolist()) == ({"classes": ["no", "yes"]}, [0.25, 0.75, 0.5, 0.5])
    with pytest.raises(RunFailed):
        as_output("p", [1, 2])


def test_a_runner_takes_the_bytes_of_its_digest_only():
    data = onnx_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    with pytest.raises(DigestDiffers):
        Runner(data + b" ", digest, may_loop=False)
    runner = Runner(data, digest, may_loop=False)
    assert runner.quick(1)
    assert not runner.quick(10**9)
    assert not Runner(data, digest, may_loop=True).quick(1)
    with pytest.raises(RunFailed):
        runner.run({"X": np.zeros((1, 3), dtype=np.float32)}, 1)


def test_a_model_that_dislikes_zeros_never_runs_in_the_loop():
    from onnx import TensorProto, helper

    given = [("table", TensorProto.FLOAT, [2]), ("at", TensorProto.INT64, [None])]
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["table", "at"], ["y"], allowzero=1)], "strict",
        [helper.make_tensor_value_info(*one) for one in given],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    runner = Runner(data, f"sha256:{hashlib.sha256(data).hexdigest()}", may_loop=False)
    assert not runner.quick(1)  # two values do not go into none


def a_board(**changes):
    parts = keys.new()
    terms = KeyTerms(1, keys.digest(parts.secret, PEPPER), {5: frozenset({"infer"})}, 60, clock() + 60)
    served = Served(5, "loans", "3", "production", "loans", (X,), (), "decision", 10, 1024, None, "unbound", ())
    snapshot = Snapshot({"loans": served}, {parts.id: terms}, clock(), clock() + 30)
    return Board(snapshot), parts


def bearer(parts):
    return f"Bearer {keys.text_of(parts)}".encode()


def test_admission_needs_only_the_board():
    """No database is configured for this test: a wrong key could not ask one."""
    board, parts = a_board()
    admission = Admission(board, PEPPER)
    terms, served = admission.admit(Caller(bearer(parts)), "loans", "3", "infer")
    assert (terms.pk, served.pk, board.used) == (1, 5, {1})
    cases = [
        (bearer(keys.new()), "loans", "infer", 401),
        (bearer(keys.Parts(parts.id, keys.new().secret)), "loans", "infer", 401),
        (bearer(parts), "loans", "metadata", 403),
        (bearer(parts), "other", "infer", 404),
    ]
    for authorization, name, action, status in cases:
        with pytest.raises(Refused) as found:
            admission.admit(Caller(authorization), name, None, action)
        assert found.value.status == status
    with pytest.raises(Refused) as found:
        Admission(board, "another pepper").admit(Caller(bearer(parts)), "loans", None, "infer")
    assert found.value.code == "key_invalid"


@given(st.binary(max_size=100))
def test_no_noise_is_a_key(noise):
    board, parts = a_board()
    admission = Admission(board, PEPPER)
    for text in (noise, b"Bearer " + noise, b"Bearer cs_live_" + base64.b16encode(noise), bearer(parts) + noise[:1]):
        if text != bearer(parts):
            with pytest.raises(Refused) as found:
                admission.admit(Caller(text), "loans", None, "infer")
            assert found.value.status == 401
