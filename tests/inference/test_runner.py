"""What the serving process tells nobody, and what one run of a model cannot take from all others."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAID = "import inference.gateway.runner, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"


def test_onnx_runtime_is_told_to_report_to_nobody_before_it_is_imported():
    ran = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "1", ran.stderr


# All pairs of rows: 20,000 of them want 1.6 GB in between.
GREEDY = """
import hashlib, numpy as np, onnx
from onnx import TensorProto as T, helper as h
from inference.gateway import memory
from inference.gateway.runner import RunFailed, Runner
nodes = [
    h.make_node("Transpose", ["X"], ["columns"]), h.make_node("MatMul", ["X", "columns"], ["pairs"]),
    h.make_node("ReduceSum", ["pairs"], ["y"]),
]
tensor = lambda name, shape: h.make_tensor_value_info(name, T.FLOAT, shape)
graph = h.make_graph(nodes, "pairs", [tensor("X", ["n", 2])], [tensor("y", [1, 1])])
data = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8).SerializeToString()
runner = Runner(data, "sha256:" + hashlib.sha256(data).hexdigest(), False)
memory.wall(0)
try:
    runner.run({"X": np.ones((20_000, 2), np.float32)}, 20_000)
except RunFailed as failed:
    print("failed", memory.used() < 700 * 1024**2)
print(runner.run({"X": np.ones((3, 2), np.float32)}, 3)[0].values.item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its limit of data")
def test_a_run_that_wants_more_memory_than_there_is_for_all_fails_alone():
    ran = subprocess.run([sys.executable, "-c", GREEDY], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["failed", "True", "18.0"], ran.stderr
