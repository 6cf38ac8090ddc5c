"""Decision rules, the fit of columns to inputs, and the frames between the processes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from registry.onnx import frames
from registry.onnx.decision import DecisionRule, Output
from registry.onnx.facts import Tensor
from registry.onnx.feeding import feed, wanted_columns
from tests.fairness.files import THRESHOLD
from tests.registry.models_onnx import refused


@pytest.mark.parametrize(
    "given",
    [
        {}, {"kind": "luck", "output": "y"}, {"kind": "threshold"}, {"kind": "threshold", "output": ""},
        {"kind": "threshold", "output": "y", "at_least": "high"},
        {"kind": "threshold", "output": "y", "at_least": True},
        {"kind": "threshold", "output": "y", "at_least": float("nan")}, {"kind": "label", "output": "y", "class": 1},
        {"kind": "threshold", "output": "y", "equals": 1},
    ],
)  # fmt: skip
def test_decision_rules_that_make_no_sense(given: dict[str, Any]) -> None:
    refused("bad_decision_rule", DecisionRule.from_mapping, given)


def test_decision_rules_read_their_output() -> None:
    rule = DecisionRule.from_mapping(THRESHOLD)
    assert rule.as_dict() == THRESHOLD
    two = Output("probabilities", np.array([[0.5, 0.5], [0.6, 0.4]]))
    assert rule.decide(two).tolist() == [True, False]
    assert rule.decide(Output("probabilities", np.array([0.7, 0.2]))).tolist() == [True, False]
    refused("bad_decision_rule", rule.scores, Output("probabilities", np.array([["a", "b"]], dtype=object)))
    far = DecisionRule.from_mapping({**THRESHOLD, "class": 2})
    assert "columns 0 to 1" in refused("bad_decision_rule", far.scores, two)
    named = DecisionRule.from_mapping({**THRESHOLD, "class": "yes"})
    assert named.as_dict()["class"] == "yes"
    assert named.scores(Output("probabilities", two.values, ("yes", "no"))).tolist() == [0.5, 0.6]
    label = DecisionRule.from_mapping({"kind": "label", "output": "label", "equals": 1})
    assert label.as_dict() == {"kind": "label", "output": "label", "equals": "1"}
    assert label.decide(Output("label", np.array([1.0, 0.0]))).tolist() == [True, False]
    assert label.decide(Output("label", np.array([["1"], ["x"]], dtype=object))).tolist() == [True, False]
    assert label.decide(Output("label", np.array([2, 1, 1, 0]))).tolist() == [False, True, True, False]
    tenth = DecisionRule.from_mapping({"kind": "label", "output": "label", "equals": "0.1"})
    assert tenth.scores(Output("label", np.array([0.1, np.nan, 1], dtype=np.float32))).tolist() == [1.0, 0.0, 0.0]
    refused("bad_decision_rule", label.scores, two)


def test_columns_are_matched_by_name_or_by_order() -> None:
    wide, a, b = (
        Tensor("X", "tensor(float)", (None, 2)),
        Tensor("a", "tensor(float)", (None,)),
        Tensor("b", "tensor(int64)", (None, 1)),
    )
    assert wanted_columns([wide], ["a", "b", "c"], ["b", "a"]) == ("b", "a")
    assert wanted_columns([a, b], ["b", "a"], []) == ("a", "b")
    fed = feed([a, b], {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}, [])
    assert fed["a"].shape == (2,)
    assert fed["b"].tolist() == [[3], [4]]
    assert fed["b"].dtype == np.int64
    assert feed([wide], {"a": np.array([1.0]), "b": np.array([2.0])}, ["b", "a"])["X"].tolist() == [[2.0, 1.0]]
    sentence = refused("inputs_differ", wanted_columns, [wide], ["a", "b"], ["a"])
    assert "'X' wants 2 columns; the dataset has 1 features: a" in sentence
    refused("inputs_differ", wanted_columns, [wide], ["a"], [])
    assert "b are not columns" in refused("inputs_differ", wanted_columns, [wide], ["a"], ["a", "b"])
    pair = [Tensor("p", "tensor(float)", (None, 2)), Tensor("q", "tensor(float)", (None, 2))]
    assert "wider than one column" in refused("inputs_differ", wanted_columns, pair, ["p", "q"], [])
    refused("inputs_differ", feed, [wide], {"a": np.array(["x"], dtype=object), "b": np.array([1.0])}, ["a", "b"])
    strange = [Tensor("s", "seq(tensor(float))", ())]
    refused("inputs_differ", feed, strange, {"s": np.array([1.0])}, [])


def test_frames_hold_what_was_sent_and_no_more_than_allowed() -> None:
    pipe = io.BytesIO()
    frames.send(pipe, {"a": 1}, b"xyz", b"")
    pipe.seek(0)
    assert frames.receive(pipe, 3) == ({"a": 1}, [b"xyz", b""])
    with pytest.raises(EOFError):
        frames.receive(pipe, 3)
    pipe.seek(0)
    with pytest.raises(ValueError, match="payload"):
        frames.receive(pipe, 2)
    with pytest.raises(ValueError, match="header"):
        frames.receive(io.BytesIO(b"\xff\xff\xff\xff"), 2)
