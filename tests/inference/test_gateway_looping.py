"""A model that can run on as its input says is kept out of the event loop, by the operators that the sandbox saw."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference.gateway.lease import may_loop
from registry.onnx.sandbox import inspect_model
from tests.worlds import onnx_bytes


def looping() -> bytes:
    """Adds its input to itself as often as its first number says."""
    inner = helper.make_graph(
        [helper.make_node("Add", ["sum", "X"], ["more"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("ReduceMax", ["X"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["times"], to=TensorProto.INT64),
        helper.make_node("Loop", ["times", "yes", "X"], ["probabilities"], body=inner),
    ]
    graph = helper.make_graph(
        nodes,
        "looping",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(np.array(True), "yes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize(("data", "may"), [(looping(), True), (onnx_bytes(), False)])
def test_what_the_sandbox_says_decides_who_runs_in_the_event_loop(tmp_path, data, may):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert may_loop(inspect_model(path).operators) is may
