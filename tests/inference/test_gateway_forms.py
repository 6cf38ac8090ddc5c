"""The other ways to send values and to get them: bytes after the JSON, and rows as MLflow's clients send them."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.gateway import invocations
from inference.gateway.refused import Refused
from inference.gateway.tensors import NUMPY, Tensor, as_bytes, read
from registry.onnx.decision import Output
from tests.inference.gateway import ROWS, bearer, code, expected, infer, swap
from tests.inference.test_gateway_rules import tensors

X = Tensor("X", "FP32", (-1, 2))
A, B = Tensor("a", "FP32", (-1, 1)), Tensor("b", "BYTES", (-1,))
FEATURES = ("income", "debt")


def sent(entries, raw, **more):
    text = orjson.dumps({"inputs": entries, **more}, option=orjson.OPT_SERIALIZE_NUMPY)
    return text + raw, str(len(text)).encode()


def refusal(call, *given):
    with pytest.raises(Refused) as found:
        call(*given)
    return found.value.status, found.value.code, found.value.path


@given(tensors(), tensors())
def test_bytes_are_read_back_as_they_were_written(first, second):
    inputs, entries, raws = [], [], []
    rows = min(len(values) for _, values in (first, second))
    for name, (datatype, values) in (("X", first), ("Y", second)):
        values = values[:rows]
        entry, raw = as_bytes(name, values)
        assert entry["datatype"] == datatype
        entries.append(entry)
        raws.append(raw)
        inputs.append((Tensor(name, datatype, tuple(-1 for _ in values.shape)), values))
    body, header = sent(entries, b"".join(raws))
    asked = read(body, [one for one, _ in inputs], frozenset(), 10, header)
    for one, values in inputs:
        array = asked.feed[one.name]
        assert (array.dtype, array.shape) == (np.dtype(NUMPY[one.datatype]), values.shape)
        assert array.tolist() == values.tolist()
        assert array.flags.aligned


def entry(size, datatype="FP32", shape=(1, 2), **more):
    return {"name": "X", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}, **more}


TEXT = Tensor("X", "BYTES", (-1,))


@pytest.mark.parametrize(
    ("takes", "given", "raw", "header", "said"),
    [
        pytest.param(X, entry(8), b"\0" * 8, b"x", (400, "binary_header", None), id="header no number"),
        pytest.param(X, entry(8), b"\0" * 8, b"999999", (400, "binary_header", None), id="header too large"),
        pytest.param(X, entry(8), b"\0" * 7, None, (422, "binary_length", "inputs.0"), id="too few bytes"),
        pytest.param(X, entry(8), b"\0" * 9, None, (422, "binary_length", "inputs"), id="bytes left over"),
        pytest.param(
            X, entry(4), b"\0" * 4, None, (422, "binary_length", "inputs.0.parameters.binary_data_size"), id="shape"
        ),
        pytest.param(
            X, entry(-1), b"", None, (422, "binary_length", "inputs.0.parameters.binary_data_size"), id="negative"
        ),
        pytest.param(X, entry(8, data=[1, 2]), b"\0" * 8, None, (422, "data_twice", "inputs.0.data"), id="twice"),
        pytest.param(
            X, entry(8), struct.pack("<2f", 1, float("nan")), None, (422, "not_finite", "inputs.0.data"), id="NaN"
        ),
        pytest.param(
            Tensor("X", "BOOL", (-1,)), entry(1, "BOOL", [1]), b"\2", None, (422, "wrong_value", "inputs.0"), id="BOOL"
        ),
        pytest.param(
            TEXT, entry(6, "BYTES", [1]), b"\2\0\0\0\xff\xfe", None, (422, "wrong_value", "inputs.0"), id="not UTF-8"
        ),
        pytest.param(
            TEXT, entry(5, "BYTES", [1]), b"\2\0\0\0a", None,
            (422, "binary_length", "inputs.0.parameters.binary_data_size"), id="text cut off",
        ),
        pytest.param(
            TEXT, entry(10, "BYTES", [1]), b"\1\0\0\0a\1\0\0\0b", None,
            (422, "binary_length", "inputs.0.parameters.binary_data_size"), id="one text too many",
        ),
    ],
)  # fmt: skip
def test_bytes_that_are_not_what_they_say(takes, given, raw, header, said):
    body, length = sent([given], raw)
    assert refusal(read, body, [takes], frozenset(), 10, header or length) == said


@given(st.binary(max_size=60), st.integers(0, 80))
def test_noise_after_the_json_is_read_or_refused(raw, size):
    body, header = sent([entry(size, "BYTES", [2])], raw)
    assert understood(body, header) in (2, (422, "binary_length"), (422, "wrong_value"))


def understood(body, header):
    try:
        return len(read(body, [TEXT], frozenset(), 10, header).feed["X"])
    except Refused as refused:
        return refused.status, refused.code


def test_which_outputs_leave_as_bytes(inside, world):
    entry, raw = as_bytes("X", np.array(ROWS, dtype=np.float32))
    labels, table, decisions = expected()
    body, header = sent([entry], raw, parameters={"binary_data_output": True})
    answer = infer(inside, world, content=body, headers={"Inference-Header-Content-Length": header.decode()})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    length = int(answer.headers["inference-header-content-length"])
    told, rest = orjson.loads(answer.content[:length]), answer.content[length:]
    assert told["parameters"]["artifact"] == world.version.artifact.digest
    sizes = {one["name"]: one["parameters"]["binary_data_size"] for one in told["outputs"]}
    assert sizes == {"label": 24, "probabilities": 24, "decision": 3}
    assert np.frombuffer(rest[:24], "<i8").tolist() == labels
    assert np.frombuffer(rest[24:48], "<f4").tolist() == pytest.approx(table, abs=1e-7)
    assert [bool(one) for one in rest[48:]] == decisions

    wanted = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "decision"}]
    body, header = sent([entry], raw, outputs=wanted)
    mixed = infer(inside, world, content=body, headers={"Inference-Header-Content-Length": header.decode()})
    length = int(mixed.headers["inference-header-content-length"])
    assert [one.get("data") for one in orjson.loads(mixed.content[:length])["outputs"]] == [None, decisions]

    wanted = [{"name": "decision", "parameters": {"binary_data": False}}]
    body, header = sent([entry], raw, outputs=wanted, parameters={"binary_data_output": True})
    plain = infer(inside, world, content=body, headers={"Inference-Header-Content-Length": header.decode()})
    assert plain.json()["outputs"][0]["data"] == decisions
    twice = [(b"inference-header-content-length", header)] * 2
    given = [(b"authorization", f"Bearer {world.secret}".encode()), *twice]
    refused = inside.ask("POST", f"{world.path}/infer", content=body, headers=given)
    assert code(refused, 400) == "binary_header"


SPLIT = {"dataframe_split": {"columns": ["debt", "income"], "data": [[b, a] for a, b in ROWS]}}
RECORDS = {"dataframe_records": [{"income": a, "debt": b} for a, b in ROWS]}
FORMS = [
    pytest.param(SPLIT, id="split, columns in another order"),
    pytest.param(RECORDS, id="records"),
    pytest.param({"instances": ROWS}, id="instances"),
    pytest.param({"instances": RECORDS["dataframe_records"], "params": {}}, id="named instances"),
    pytest.param({"inputs": ROWS}, id="inputs"),
    pytest.param({"inputs": {"debt": [b for _, b in ROWS], "income": [a for a, _ in ROWS]}}, id="columns"),
]


@pytest.mark.parametrize("body", FORMS)
def test_rows_in_every_form_are_the_same_question(body):
    asked = invocations.read(orjson.dumps(body), [X], FEATURES, 10)
    assert asked.feed["X"].tolist() == np.array(ROWS, dtype=np.float32).tolist()
    assert asked.rows == 3


def test_columns_become_inputs_of_their_own():
    body = {"dataframe_split": {"columns": ["b", "a"], "data": [["x", 1], ["y", 2.5]]}}
    asked = invocations.read(orjson.dumps(body), [A, B], ("a", "b"), 10)
    assert asked.feed["a"].tolist() == [[1.0], [2.5]]
    assert asked.feed["b"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param({}, ("table_needed", "inputs"), id="nothing"),
        pytest.param({"inputs": ROWS, "instances": ROWS}, ("table_needed", "inputs"), id="two forms"),
        pytest.param({"inputs": []}, ("table_needed", "inputs"), id="no row"),
        pytest.param({"inputs": 7}, ("table_needed", "inputs"), id="no list"),
        pytest.param({"dataframe_records": ROWS}, ("table_needed", "dataframe_records"), id="records without names"),
        pytest.param({"dataframe_split": {"columns": ["income", "income"], "data": []}},
            ("table_needed", "dataframe_split"), id="a column twice"),
        pytest.param({"dataframe_split": {"columns": ["income"], "data": [[1]]}},
            ("column_missing", "dataframe_split.columns"), id="column missing"),
        pytest.param({"dataframe_records": [{"income": 1, "debt": 2, "age": 3}]},
            ("column_unknown", "dataframe_records"), id="column unknown"),
        pytest.param({"dataframe_records": [{"income": 1, "debt": 2}, {"income": 1}]},
            ("column_missing", "dataframe_records.1"), id="uneven records"),
        pytest.param({"inputs": {"income": [1], "debt": [1, 2]}}, ("ragged_data", "inputs"), id="uneven columns"),
        pytest.param({"instances": [[1, 2], [1]]}, ("wrong_width", "instances.1"), id="short row"),
        pytest.param({"instances": [[1, "2"]]}, ("wrong_value", "instances.data"), id="text for a number"),
        pytest.param({"instances": [[0, 0]] * 11}, ("too_many_rows", "instances"), id="too many rows"),
        pytest.param({"inputs": ROWS, "params": {"n": 1}}, ("params_unknown", "params"), id="parameters"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_taken(body, said):
    assert refusal(invocations.read, orjson.dumps(body), [X], FEATURES, 10) == (422, *said)


def test_predictions_have_what_every_output_says_of_a_row():
    outputs = [
        Output("p", np.array([[0.5, 0.5], [1.0, 0.0]]), ("no", "yes")), Output("n", np.array([1, 2])),
        Output("scalar", np.array(3.0)),
    ]  # fmt: skip
    assert invocations.predictions(outputs, 2) == [
        {"p": {"no": 0.5, "yes": 0.5}, "n": 1}, {"p": {"no": 1.0, "yes": 0.0}, "n": 2},
    ]  # fmt: skip


def test_invocations_over_the_wire(inside, world):
    labels, table, decisions = expected()
    headers = bearer(world.secret)
    for path in ("/invocations", "/endpoints/loans/invocations"):
        answer = inside.ask("POST", path, json=SPLIT, headers=headers)
        told = answer.json()
        assert [each["decision"] for each in told["predictions"]] == decisions
        assert [each["label"] for each in told["predictions"]] == labels
        flat = [value for each in told["predictions"] for value in each["probabilities"]]
        assert flat == pytest.approx(table, abs=1e-7)
        assert told["parameters"]["artifact"] == world.version.artifact.digest
        assert told["id"] == answer.headers["x-request-id"]
    assert code(inside.ask("GET", "/invocations", headers=headers), 405) == "method_not_allowed"
    assert code(inside.ask("POST", "/invocations", json=SPLIT), 401) == "key_invalid"
    reader = bearer(world.reader)
    assert code(inside.ask("POST", "/invocations", json=SPLIT, headers=reader), 404) == "endpoint_needed"
    assert code(inside.ask("POST", "/endpoints/loans/invocations", json=SPLIT, headers=reader), 403) == "scope_missing"
    assert code(inside.ask("POST", "/endpoints/none/invocations", json=SPLIT, headers=headers), 404) == (
        "unknown_endpoint"
    )
    wrong = inside.ask("POST", "/invocations", json={"instances": [[1]]}, headers=headers)
    assert code(wrong, 422) == "wrong_width"
    assert wrong.json()["errors"][0]["field"] == "instances.0"
    swap(inside, approved=None, reasons=({"code": "revoked", "sentence": "It was revoked."},))
    refused = inside.ask("POST", "/invocations", json=SPLIT, headers=headers)
    assert code(refused, 409) == "not_approved"


def test_the_only_endpoint_has_to_be_one(inside, world):
    snapshot = inside.board.snapshot
    served = snapshot.endpoints["loans"]
    more = {**snapshot.endpoints, "other": replace(served, name="other")}
    inside.board.snapshot = replace(snapshot, endpoints=more)
    refused = inside.ask("POST", "/invocations", json=SPLIT, headers=bearer(world.secret))
    assert code(refused, 404) == "endpoint_needed"
