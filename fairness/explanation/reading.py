"""Which form a model's score has, followed through its ONNX nodes: a sum of features, or of trees of features.

The nodes are followed with the sample's own values, in the precision of ONNX. Whatever is met that is neither a column
made from one feature, nor a weighted sum, nor a tree ensemble ends the following: the model is a black box then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.explanation.ensembles import Trees, classifier, regressor
from registry.onnx.structure import Node, Structure

Floats = NDArray[np.float64]
MOST_OUTPUTS = 64
SAME = {"Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "ZipMap"}
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide,
}  # fmt: skip


class Unreadable(Exception):
    """Why a score has no form that is known here, as the end of a sentence."""


@dataclass(frozen=True)
class Columns:
    """Values (rows, columns), each made from the one feature that `owner` names."""

    values: NDArray[Any]
    owner: NDArray[np.int64]


@dataclass(frozen=True)
class Sum:
    """Outputs that are sums over features: `parts` (rows, outputs, features) and what is the same for all rows."""

    parts: Floats
    rest: Floats


@dataclass(frozen=True)
class Linked:
    """Raw scores behind a function that turns them into probabilities: "logistic" or "softmax"."""

    raw: Sum | Trees
    link: str


@dataclass(frozen=True)
class Form:
    """One raw score, of which the output is the `link` ("none" or "logistic")."""

    raw: Sum | Trees
    link: str

    @property
    def kind(self) -> str:
        return "linear" if isinstance(self.raw, Sum) else "trees"


def form_of(structure: Structure | None, inputs: Mapping[str, Columns], output: str, column: int, width: int) -> Form:
    """The form of an output's column, for the rows that `inputs` hold. Raises Unreadable."""
    if structure is None:
        raise Unreadable("it has branches or functions")
    known: dict[str, Any] = {**structure.constants, **inputs}
    for node in structure.nodes:
        if all(not name or name in known for name in node.inputs):
            known |= _computed(node, [known[name] for name in node.inputs if name], width)
    if output not in known:
        stopped = next(n.operator for n in structure.nodes if not known.keys() & set(n.outputs))
        raise Unreadable(f"its operator {stopped} is neither a weighted sum nor a tree")
    return _picked(known[output], column)


def _picked(found: Any, column: int) -> Form:
    if isinstance(found, Columns):
        raise Unreadable("its output is a feature itself")
    raw, link = (found.raw, found.link) if isinstance(found, Linked) else (found, "none")
    if not isinstance(raw, Sum | Trees):
        raise Unreadable("its output depends on no feature")
    count = _outputs(raw)
    if link == "softmax" and count == 2:
        # Softmax over two scores is the logistic function of their difference.
        return Form(_difference(raw, column), "logistic")
    if link == "softmax":
        raise Unreadable(f"it weighs {count} classes against each other")
    return Form(_one(raw, column), link)


def _outputs(raw: Sum | Trees) -> int:
    return len(raw.rest) if isinstance(raw, Sum) else len(raw.base)


def _one(raw: Sum | Trees, column: int) -> Sum | Trees:
    column = min(column, _outputs(raw) - 1)
    if isinstance(raw, Sum):
        return Sum(raw.parts[:, [column]], raw.rest[[column]])
    return raw.only(column)


def _difference(raw: Sum | Trees, column: int) -> Sum | Trees:
    if isinstance(raw, Sum):
        other = 1 - column
        return Sum(raw.parts[:, [column]] - raw.parts[:, [other]], raw.rest[[column]] - raw.rest[[other]])
    return raw.difference(column)


def _computed(node: Node, given: Sequence[Any], width: int) -> dict[str, Any]:
    """Names and values of a node's outputs; nothing where it cannot be followed."""
    kind, first = node.operator, given[0] if given else None
    made: Any = None
    if kind == "Constant":
        made = node.attributes.get("value", node.attributes.get("value_float"))
        made = None if made is None else np.asarray(made)
    elif isinstance(first, Columns) and kind in ENDS:
        return ENDS[kind](node, first, width)
    elif kind in SAME and isinstance(first, Columns | Sum | Trees | Linked):
        made = _cast(first, node) if isinstance(first, Columns) and kind == "Cast" else first
    elif kind == "Concat" and all(isinstance(each, Columns) for each in given):
        made = Columns(
            np.concatenate([each.values for each in given], axis=1), np.concatenate([each.owner for each in given])
        )
    elif kind in ARITHMETIC and len(given) == 2:
        made = _arithmetic(kind, given[0], given[1])
    elif kind in ("MatMul", "Gemm"):
        made = _product(node, given, width)
    elif kind in ("Sigmoid", "Softmax") and isinstance(first, Sum | Trees):
        made = Linked(first, "logistic" if kind == "Sigmoid" else "softmax")
    elif kind == "Normalizer" and isinstance(first, Linked) and _outputs(first.raw) <= 2:
        made = first
    return {node.outputs[0]: made} if made is not None else {}


def _cast(columns: Columns, node: Node) -> Columns:
    dtype = {1: np.float32, 11: np.float64}.get(node.attributes.get("to", 1), np.float32)
    return Columns(columns.values.astype(dtype), columns.owner)


def _scaler(node: Node, columns: Columns, width: int) -> dict[str, Any]:
    offset, scale = node.attributes.get("offset", np.float32(0)), node.attributes.get("scale", np.float32(1))
    scaled = (columns.values.astype(np.float32) - offset) * scale
    return {node.outputs[0]: Columns(scaled, columns.owner)}


def _linear_regressor(node: Node, columns: Columns, width: int) -> dict[str, Any]:
    outputs = int(node.attributes.get("targets", 1))
    if node.attributes.get("post_transform", "NONE") != "NONE":
        return {}
    return {node.outputs[0]: _weighed(node, columns, outputs, width)}


def _linear_classifier(node: Node, columns: Columns, width: int) -> dict[str, Any]:
    labels = node.attributes.get("classlabels_ints", node.attributes.get("classlabels_strings", ()))
    outputs = max(1, len(node.attributes["coefficients"]) // max(1, columns.values.shape[1]))
    link = {"NONE": "none", "LOGISTIC": "logistic", "SOFTMAX": "softmax"}.get(
        node.attributes.get("post_transform", "NONE")
    )
    # With fewer scores than classes what stands for the missing one depends on the runtime.
    if link is None or outputs != len(labels) or outputs > MOST_OUTPUTS:
        return {}
    raw = _weighed(node, columns, outputs, width)
    return {node.outputs[1]: raw if link == "none" else Linked(raw, link)}


def _weighed(node: Node, columns: Columns, outputs: int, width: int) -> Sum:
    weights = np.asarray(node.attributes["coefficients"], dtype=np.float64).reshape(outputs, -1)
    rest = np.asarray(node.attributes.get("intercepts", np.zeros(outputs)), dtype=np.float64)
    return Sum(_parts(columns, weights.T, width), np.broadcast_to(rest, (outputs,)).copy())


def _parts(columns: Columns, weights: Floats, width: int) -> Floats:
    parts = np.zeros((len(columns.values), weights.shape[1], width))
    for j, feature in enumerate(columns.owner):
        parts[:, :, feature] += columns.values[:, [j]].astype(np.float64) * weights[j]
    return parts


def _product(node: Node, given: Sequence[Any], width: int) -> Sum | None:
    first, weights = given[0], given[1] if len(given) > 1 else None
    if not isinstance(weights, np.ndarray) or weights.ndim != 2 or node.attributes.get("transA", 0):
        return None
    weights = weights.astype(np.float64) * node.attributes.get("alpha", 1.0)
    weights = weights.T if node.attributes.get("transB", 0) else weights
    if weights.shape[1] > MOST_OUTPUTS:
        return None
    if isinstance(first, Columns):
        made = Sum(_parts(first, weights, width), np.zeros(weights.shape[1]))
    elif isinstance(first, Sum):
        made = Sum(np.einsum("nkf,km->nmf", first.parts, weights), first.rest @ weights)
    else:
        return None
    if len(given) == 3:
        if not isinstance(given[2], np.ndarray):
            return None
        made = replace(made, rest=made.rest + given[2].reshape(-1) * node.attributes.get("beta", 1.0))
    return made


def _arithmetic(kind: str, left: Any, right: Any) -> Any:
    """One side is a constant, the same for all rows."""
    act = ARITHMETIC[kind]
    if isinstance(left, np.ndarray) and kind in ("Add", "Mul"):
        left, right = right, left
    if not isinstance(right, np.ndarray) or (right.ndim > 1 and right.shape[0] != 1):
        return None
    constant = right.reshape(-1)
    if isinstance(left, Columns):
        return Columns(act(left.values, constant), left.owner)
    if isinstance(left, Sum):
        if kind in ("Add", "Sub"):
            return replace(left, rest=act(left.rest, constant))
        return Sum(act(left.parts, constant.reshape(-1, 1)), act(left.rest, constant))
    return None


ENDS: dict[str, Callable[[Node, Columns, int], dict[str, Any]]] = {
    "Scaler": _scaler,
    "LinearRegressor": _linear_regressor,
    "LinearClassifier": _linear_classifier,
    "TreeEnsembleRegressor": lambda node, columns, width: {
        node.outputs[0]: regressor(node.attributes, columns.values, columns.owner)
    },
    "TreeEnsembleClassifier": lambda node, columns, width: _forest(node, columns),
}


def _forest(node: Node, columns: Columns) -> dict[str, Any]:
    raw = classifier(node.attributes, columns.values, columns.owner)
    link = {"NONE": "none", "LOGISTIC": "logistic", "SOFTMAX": "softmax"}.get(
        node.attributes.get("post_transform", "NONE")
    )
    if raw is None or link is None:
        return {}
    return {node.outputs[1]: raw if link == "none" else Linked(raw, link)}
