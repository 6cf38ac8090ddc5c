"""Upstreams by values alone: the breaker, what is sent and believed, terms, and declared interfaces."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.gateway.breaker import Breaker
from inference.gateway.dialects import Differs, Target, Unfit, answer, request
from inference.gateway.tensors import Asked, Tensor
from inference.upstreams import rules
from registry.pinned import interface

X = Tensor("X", "FP32", (-1, 2))
LABEL, TABLE, SCORE = Tensor("label", "INT64", (-1,)), Tensor("p", "FP32", (-1, 2)), Tensor("score", "FP64", (-1,))
INCOME, CITY = Tensor("income", "FP64", (-1, 1)), Tensor("city", "BYTES", (-1,))
ROWS = [[0.5, -1.0], [2.0, 0.25]]
FEATURES = ("a", "b")
WORDS = ["outputs", "predictions", "name", "datatype", "shape", "data", "label", "p"]
TERMS = {
    "kind": "http-json", "model_name": "", "model_version": "", "rows_at": "", "row_form": "values",
    "predictions_at": "", "version_at": "", "seconds": 10, "header_name": "",
}  # fmt: skip
GOOD: dict[str, Any] = {
    "inputs": [{"name": "income", "datatype": "FP64", "shape": [-1, 1]}],
    "outputs": [{"name": "score", "datatype": "FP64", "shape": [-1]}],
    "features": ["income"],
    "decision_rule": {"kind": "threshold", "output": "score", "at_least": 620},
}


def target(kind="http-json", **changes):
    return Target(endpoint=1, kind=kind, url="https://upstream.example", seconds=1.0, **changes)


def asked(**feed):
    feed = feed or {"X": np.array(ROWS, dtype=np.float32)}
    return Asked(feed, len(next(iter(feed.values()))), None, None)


def sent(to, inputs=(X,), features=FEATURES, outputs=(LABEL,), **feed):
    return json.loads(request(to, inputs, features, outputs, asked(**feed)))


def read(body, outputs=(LABEL, TABLE), to=None, rows=2):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [(one.name, one.values.tolist(), one.classes) for one in answer(to or target(), outputs, rows, text)]


def unfit(body, *given, **changes):
    with pytest.raises(Unfit) as found:
        read(body, *given, **changes)
    return str(found.value)


def test_the_breaker_opens_tries_once_and_closes():
    one = Breaker(failures=3, seconds=10)
    for _ in range(2):
        one.failed(0)
    one.succeeded()
    for _ in range(2):
        one.failed(1)
    assert one.wait(1) == 0
    one.failed(2)
    assert (one.wait(2), one.wait(11.5)) == (10, 0.5)
    assert (one.wait(12), one.wait(12)) == (0, 10)  # one tries, the others wait
    one.failed(13)
    assert one.wait(22) == 1
    assert one.wait(23) == 0
    one.left()  # that one went away: the next may try
    assert one.wait(23) == 0
    one.succeeded()
    assert (one.wait(23), one.wait(23), one.failures) == (0, 0, 0)


def test_no_more_than_one_tries_and_success_always_closes():
    """Whatever happens, in any order of five things."""
    for steps in itertools.product(["ask", "fail", "succeed", "leave", "later"], repeat=5):
        one, now, trying = Breaker(failures=2, seconds=5), 0.0, False
        for step in steps:
            if step == "ask":
                half_open = one.open_until is not None
                let_in = one.wait(now) == 0
                assert not (half_open and trying and let_in)
                trying = half_open and (trying or let_in)
            elif step == "fail":
                one.failed(now)
            elif step == "leave":
                one.left()
            elif step == "succeed":
                one.succeeded()
                assert one.wait(now) == 0
            else:
                now += 5
            trying = trying and step in ("ask", "later")


def test_each_kind_is_sent_what_it_takes():
    assert sent(target("http-oip")) == {
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 2], "data": [0.5, -1.0, 2.0, 0.25]}],
        "outputs": [{"name": "label"}],
    }
    assert sent(target("tf-serving")) == {"instances": ROWS}
    assert sent(target("mlflow")) == {"dataframe_split": {"columns": ["a", "b"], "data": ROWS}}
    assert sent(target("mlflow"), features=()) == {"inputs": {"X": ROWS}}
    assert sent(target()) == ROWS
    assert sent(target(rows_at="data.rows", row_form="records")) == {
        "data": {"rows": [{"a": 0.5, "b": -1.0}, {"a": 2.0, "b": 0.25}]}
    }
    assert sent(target(row_form="records"), features=()) == [{"X": row} for row in ROWS]
    one = np.array(ROWS[:1], dtype=np.float32)
    assert sent(target(rows_at="row", row_form="single"), X=one) == {"row": {"a": 0.5, "b": -1.0}}


def test_several_inputs_go_by_their_names():
    feed = {"income": np.array([[1.5], [2.5]]), "city": np.array(["Ulm", "Ost"], dtype=object)}
    given = {"inputs": (INCOME, CITY), "features": ("city", "income"), **feed}
    assert sent(target("tf-serving"), **given)["instances"] == [
        {"income": [1.5], "city": "Ulm"}, {"income": [2.5], "city": "Ost"},
    ]  # fmt: skip
    assert sent(target("mlflow"), **given)["dataframe_split"] == {
        "columns": ["income", "city"], "data": [[1.5, "Ulm"], [2.5, "Ost"]],
    }  # fmt: skip
    assert sent(target(), **given) == [[1.5, "Ulm"], [2.5, "Ost"]]
    assert sent(target(row_form="records"), **given)[1] == {"income": 2.5, "city": "Ost"}
    assert sent(target(), inputs=(CITY,), features=("city",), city=feed["city"]) == [["Ulm"], ["Ost"]]


def test_an_answer_in_each_form_is_read():
    labels, table = [1, 0], [[0.25, 0.75], [0.5, 0.5]]
    both = [("label", labels, None), ("p", table, None)]
    oip = [
        {"name": "extra", "datatype": "FP32", "shape": [2], "data": [0, 0]},
        {"name": "p", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 0.5, 0.5]},
        {"name": "label", "datatype": "INT64", "shape": [2], "data": labels},
    ]
    assert read({"outputs": oip}, to=target("http-oip")) == both
    records = [{"label": 1, "p": table[0], "more": "x"}, {"label": 0, "p": table[1]}]
    assert read({"predictions": records}, to=target("tf-serving")) == both
    assert read({"predictions": records}, to=target("mlflow")) == both
    assert read({"a": [{"b": records}]}, to=target(predictions_at="a.0.b")) == both
    assert read(records) == both
    assert read({"label": labels, "p": table, "took": 3}) == both
    assert read({"predictions": {"label": labels, "p": table}}, to=target("mlflow")) == both
    single = target(row_form="single", predictions_at="result")
    assert read({"result": records[0]}, to=single, rows=1) == [("label", [1], None), ("p", [[0.25, 0.75]], None)]
    assert read({"result": 0.5}, (SCORE,), to=single, rows=1) == [("score", [0.5], None)]
    assert read(table, (TABLE,)) == both[1:]
    assert read([{"no": 0.25, "yes": 0.75}] * 2, (TABLE,)) == [("p", [[0.25, 0.75]] * 2, ("no", "yes"))]
    oip[1]["parameters"] = {"classes": ["no", "yes"]}
    assert read({"outputs": oip}, to=target("http-oip"))[1][2] == ("no", "yes")


def test_what_does_not_fit_is_not_believed():
    oip = target("http-oip")
    good = {"name": "label", "datatype": "INT64", "shape": [2], "data": [1, 0]}

    def tensor(**changes):
        return unfit({"outputs": [good | changes]}, (LABEL,), to=oip)

    assert unfit(b"<html>") == unfit(b"[NaN, 1]", (SCORE,)) == "not_json"
    assert unfit({"outputs": {}}, to=oip) == unfit({"outputs": [1]}, to=oip) == unfit([], to=oip) == "outputs_needed"
    assert unfit({"outputs": [good]}, to=oip) == "output_missing"
    assert unfit({"outputs": [good, good]}, (LABEL,), to=oip) == "output_twice"
    assert tensor(datatype="INT32") == "wrong_datatype"
    assert tensor(shape=[2, 1]) == "wrong_shape"
    assert tensor(data=[1]) == "wrong_length"
    assert tensor(shape=[1], data=[1]) == "wrong_length"
    assert tensor(data=[1.0, 0.5]) == tensor(data=[True, False]) == tensor(data=[None, 1]) == "wrong_value"
    assert unfit({"predictions": 1}) == unfit({}, to=target("mlflow")) == unfit([], to=target(predictions_at="a.0"))
    assert unfit({"a": {}}, to=target(predictions_at="a.b")) == "predictions_needed"
    assert unfit({"score": 0.5}, (SCORE,)) == "data_needed"
    assert unfit({"label": [1, 0], "p": [[0, 1]]}) == unfit([], (SCORE,)) == "wrong_length"
    assert unfit({}, (SCORE,), to=target(row_form="single", predictions_at="a"), rows=1) == "predictions_needed"
    assert unfit([0.5], (SCORE,)) == unfit([0.5] * 3, (SCORE,)) == "wrong_length"
    assert unfit([0.5, 0.5]) == unfit([{"label": 1}, {"label": 1, "p": [0, 1]}]) == "output_missing"
    assert unfit([[0.5, 0.5], [1]], (TABLE,)) == unfit([{"a": 1}, {"b": 1}], (TABLE,)) == "ragged_data"
    assert unfit([0.5, 0.5], (TABLE,)) == unfit([[], []], (TABLE,)) == unfit([[1], [1]], (TABLE,)) == "wrong_shape"
    assert unfit([[0.5], [0.5]], (SCORE,)) == unfit(["0.5", "0.5"], (SCORE,)) == "wrong_value"
    assert unfit([1e39, 0], (Tensor("score", "FP32", (-1,)),)) == "not_finite"


def test_the_version_that_an_answer_names_has_to_be_the_approved_one():
    to = target(version_at="model.version", predictions_at="scores", expected="7")
    for said in ("7", 7):
        assert read({"model": {"version": said}, "scores": [0.5, 1]}, (SCORE,), to=to)
    for body in ({"model": {"version": "8"}}, {"model": {"version": True}}, {"model": "7"}, [], {"model": {}}):
        with pytest.raises(Differs):
            read(body, (SCORE,), to=to)
    assert "secret" not in repr(target(header=("Authorization", "secret")))


@settings(max_examples=50)
@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(WORDS), inner),
    max_leaves=12,
), st.sampled_from(["http-oip", "tf-serving", "mlflow", "http-json"]))  # fmt: skip
def test_whatever_is_answered_it_fits_or_is_refused(body, kind):
    try:
        found = read(body, to=target(kind))
    except Unfit:
        return
    assert [name for name, _, _ in found] == ["label", "p"]


def test_where_each_kind_is_asked():
    assert rules.asked_at("http-oip", "https://a/", "m", "") == "https://a/v2/models/m/infer"
    assert rules.asked_at("http-oip", "https://a/x", "m", "3") == "https://a/x/v2/models/m/versions/3/infer"
    assert rules.asked_at("tf-serving", "https://a", "m", "3") == "https://a/v1/models/m/versions/3:predict"
    assert rules.asked_at("mlflow", "https://a/", "", "") == "https://a/invocations"
    assert rules.asked_at("http-json", "https://a/s/", "", "") == "https://a/s/"
    assert rules.found({"a": [1]}, "") == {"a": [1]}


@pytest.mark.parametrize(("changes", "code", "field"), [
    ({"kind": "ftp"}, "unknown_kind", "kind"),
    ({"model_name": "m"}, "name_invalid", "model_name"),
    ({"kind": "http-oip"}, "name_invalid", "model_name"),
    ({"kind": "http-oip", "model_name": "../x"}, "name_invalid", "model_name"),
    ({"kind": "mlflow", "model_version": "1"}, "name_invalid", "model_version"),
    ({"rows_at": "a..b"}, "place_invalid", "rows_at"),
    ({"version_at": "a b"}, "place_invalid", "version_at"),
    ({"kind": "mlflow", "rows_at": "a"}, "mapping_unused", "kind"),
    ({"row_form": "xml"}, "unknown_form", "row_form"),
    ({"seconds": 0}, "seconds_invalid", "seconds"),
    ({"seconds": 61}, "seconds_invalid", "seconds"),
    ({"header_name": "Content-Length"}, "header_invalid", "header_name"),
    ({"header_name": "a\r\nb"}, "header_invalid", "header_name"),
], ids=lambda value: value if isinstance(value, str) else None)  # fmt: skip
def test_terms_that_cannot_be(changes, code, field):
    found = rules.fault(TERMS | changes)
    assert found is not None
    assert (found[0], found[2]) == (code, field)


def test_terms_that_can_be():
    assert rules.fault(TERMS) is None
    assert rules.fault(TERMS | {"kind": "http-oip", "model_name": "m.1", "model_version": "3"}) is None
    assert rules.fault(TERMS | {"rows_at": "a.b", "predictions_at": "c.0", "header_name": "Authorization"}) is None


def changed(side="inputs", **changes):
    return GOOD | {side: [GOOD[side][0] | changes]}


BAD = [
    ([], ""),
    (GOOD | {"more": 1}, ""),
    ({"inputs": GOOD["inputs"]}, ""),
    (GOOD | {"features": ["\ud800"]}, ""),
    (GOOD | {"features": ["a\x00"]}, ""),
    (GOOD | {"features": ["a" * 65_000]}, ""),
    (GOOD | {"inputs": []}, "inputs"),
    (GOOD | {"outputs": "score"}, "outputs"),
    (GOOD | {"inputs": [{"name": "income"}]}, "inputs.0"),
    (GOOD | {"inputs": [*GOOD["inputs"], *GOOD["inputs"]]}, "inputs.1.name"),
    (changed(name=""), "inputs.0.name"),
    (changed(datatype="float"), "inputs.0.datatype"),
    (changed(datatype=[]), "inputs.0.datatype"),
    (changed("outputs", shape=[2]), "outputs.0.shape"),
    (changed("outputs", shape=[-1, 0]), "outputs.0.shape"),
    (changed("outputs", shape=[-1, True]), "outputs.0.shape"),
    (changed("outputs", shape=[]), "outputs.0.shape"),
    (changed("outputs", shape=-1), "outputs.0.shape"),
    (GOOD | {"decision_rule": "yes"}, "decision_rule"),
    (GOOD | {"features": "income"}, "features"),
    (GOOD | {"features": ["income", "debt"]}, "features"),
]  # fmt: skip


def test_interfaces_that_cannot_be():
    for given_, path in BAD:
        found = interface.fault(given_)
        assert found is not None, given_
        assert found[0] == path


def test_an_interface_becomes_a_signature():
    assert interface.fault(GOOD) is None
    assert interface.fault({key: value for key, value in GOOD.items() if key != "features"}) is None
    assert interface.tensors(GOOD["inputs"]) == [{"name": "income", "type": "tensor(double)", "shape": [None, 1]}]
