"""Which column of a table goes into which input of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.onnx.facts import Tensor
from registry.onnx.problems import ModelProblem

DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


def wanted_columns(inputs: Sequence[Tensor], available: Sequence[str], feature_order: Sequence[str]) -> tuple[str, ...]:
    """The columns that a model reads: one for each input, or `feature_order` for a single table-shaped input.

    Raises ModelProblem when the model's inputs and the dataset's columns do not fit.
    """
    names = [t.name for t in inputs]
    if set(names) <= set(available) and all(t.width in (1, None) for t in inputs):
        return tuple(names)
    if len(inputs) > 1:
        missing = [n for n in names if n not in available]
        raise ModelProblem(
            "inputs_differ",
            f"The model wants the inputs {_listed(names)}; the dataset has {_listed(available)}. Missing: "
            f"{_listed(missing) or 'none, but an input is wider than one column'}. Register the dataset that the model "
            "was made for, or export the model with these column names.",
        )
    order = tuple(feature_order)
    gone = [n for n in order if n not in available]
    if gone:
        raise ModelProblem(
            "inputs_differ",
            f"The features {_listed(gone)} are not columns of the dataset, which has {_listed(available)}.",
        )
    width = inputs[0].width
    if not order or (width is not None and width != len(order)):
        raise ModelProblem(
            "inputs_differ",
            f"The model's input {names[0]!r} wants {width if width is not None else 'some'} columns; the dataset has "
            f"{len(order)} features: {_listed(order) or 'none'}. Give the features in the order in which the model was "
            "trained.",
        )
    return order


def feed(
    inputs: Sequence[Tensor], columns: Mapping[str, NDArray[Any]], feature_order: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Arrays for ONNX Runtime by input name."""
    order = wanted_columns(inputs, tuple(columns), feature_order)
    if [t.name for t in inputs] == list(order):
        return {t.name: _typed(t, [columns[t.name]]).reshape(_shape(t, columns[t.name])) for t in inputs}
    return {inputs[0].name: _typed(inputs[0], [columns[name] for name in order])}


def _shape(tensor: Tensor, column: NDArray[Any]) -> tuple[int, ...]:
    return (len(column),) if len(tensor.shape) == 1 else (len(column), 1)


def _typed(tensor: Tensor, columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    dtype = DTYPES.get(tensor.type)
    if dtype is None:
        raise ModelProblem("inputs_differ", f"The input {tensor.name!r} is a {tensor.type}; inputs must be tensors.")
    if dtype == "object":
        return np.column_stack([np.array([str(v) for v in c.tolist()], dtype=object) for c in columns])
    try:
        made = np.empty((len(columns[0]), len(columns)), dtype)
        for number, column in enumerate(columns):
            made[:, number] = column
        return made
    except (TypeError, ValueError):
        raise ModelProblem(
            "inputs_differ",
            f"The input {tensor.name!r} wants numbers ({tensor.type}), and the dataset's column holds text.",
        ) from None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(list(names)[:12]) + (" …" if len(names) > 12 else "")
