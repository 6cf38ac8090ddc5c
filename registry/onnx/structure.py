"""What a model file consists of, as plain values: nodes with their attributes, and constant tensors.

The confined process writes it down with `described`; the portal puts it together again with `restored`. Nothing but
names and numbers comes out of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Node:
    """`attributes` holds numbers, words, lists of words, and arrays of numbers."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Structure:
    """Nodes stand in the order in which they are computed."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]


def described(model: Any) -> tuple[dict[str, Any] | None, list[bytes]]:
    """A header and arrays as bytes; no header for a model with subgraphs or functions, or with too many numbers."""
    from onnx import AttributeProto, numpy_helper

    payload: list[bytes] = []

    def kept(array: NDArray[Any]) -> dict[str, Any]:
        payload.append(np.ascontiguousarray(array).tobytes())
        return {"part": len(payload) - 1, "dtype": array.dtype.str, "shape": list(array.shape)}

    def plain(attribute: Any) -> Any:
        kinds = {
            AttributeProto.FLOAT: lambda a: float(a.f),
            AttributeProto.INT: lambda a: int(a.i),
            AttributeProto.STRING: lambda a: a.s.decode("utf-8", "replace"),
            AttributeProto.FLOATS: lambda a: kept(np.array(a.floats, dtype=np.float32)),
            AttributeProto.INTS: lambda a: kept(np.array(a.ints, dtype=np.int64)),
            AttributeProto.STRINGS: lambda a: [text.decode("utf-8", "replace") for text in a.strings],
            AttributeProto.TENSOR: lambda a: tensor(a.t),
        }
        read: Any = kinds.get(attribute.type)
        return read(attribute) if read else None

    def tensor(given: Any) -> dict[str, Any] | None:
        array = numpy_helper.to_array(given)
        return kept(array) if array.dtype.kind in "fiub" else None

    branching = any(a.HasField("g") or a.graphs for node in model.graph.node for a in node.attribute)
    if model.functions or branching or model.ByteSize() > MOST_BYTES:
        return None, []
    constants = {each.name: tensor(each) for each in model.graph.initializer}
    nodes = [
        {
            "operator": node.op_type, "inputs": list(node.input), "outputs": list(node.output),
            "attributes": {each.name: plain(each) for each in node.attribute},
        }
        for node in model.graph.node
    ]  # fmt: skip
    return {"nodes": nodes, "constants": constants}, payload


def restored(header: Mapping[str, Any] | None, payload: Sequence[bytes]) -> Structure | None:
    if header is None:
        return None

    def value(given: Any) -> Any:
        if isinstance(given, dict):
            return np.frombuffer(payload[given["part"]], dtype=given["dtype"]).reshape(given["shape"])
        return given

    nodes = tuple(
        Node(
            node["operator"], tuple(node["inputs"]), tuple(node["outputs"]),
            {name: value(each) for name, each in node["attributes"].items()},
        )
        for node in header["nodes"]
    )  # fmt: skip
    return Structure(nodes, {name: value(each) for name, each in header["constants"].items() if each is not None})
