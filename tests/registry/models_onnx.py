"""Model files for tests: real ones, broken ones, and what refusing them looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.onnx.problems import ModelProblem


def refused(code: str, act: Any, *args: Any, **more: Any) -> str:
    with pytest.raises(ModelProblem) as caught:
        act(*args, **more)
    assert caught.value.code == code, caught.value.sentence
    assert str(caught.value) == caught.value.sentence
    assert caught.value.sentence.rstrip('"').endswith((".", "}"))
    return caught.value.sentence


def looked_at(path: Path, width: int | None = None) -> dict[str, Any]:
    """What the confined process does on start, done here: these bytes are our own."""
    from registry.onnx import child

    given = {"path": str(path), "memory_bytes": 1 << 40, "cpu_seconds": 60, "threads": 1, "width": width}
    facts: dict[str, Any] = child._load(given)[1]
    return facts


def model_of(
    nodes: list[Any], *, domain: str = "", initializers: Any = (), shape: Any = ("n", 2), kind: int = 1
) -> Any:
    """A model from float input x to output y."""
    from onnx import helper

    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", 1, ["a", "b"])],
        list(initializers),
    )
    opset = [helper.make_opsetid("", 18)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opset, ir_version=9)


def saved(folder: Path, model: Any) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def endless(folder: Path) -> Path:
    """A loop of 2^62 rounds that only adds."""
    from onnx import helper

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["still"]),
            helper.make_node("Add", ["a", "a"], ["b"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", 7, []),
            helper.make_tensor_value_info("go", 9, []),
            helper.make_tensor_value_info("a", 1, ["p", "q"]),
        ],
        [helper.make_tensor_value_info("still", 9, []), helper.make_tensor_value_info("b", 1, ["p", "q"])],
    )
    nodes = [
        helper.make_node("Constant", [], ["rounds"], value=helper.make_tensor("r", 7, [], [1 << 62])),
        helper.make_node("Loop", ["rounds", "", "x"], ["y"], body=body),
    ]
    return saved(folder, model_of(nodes))
