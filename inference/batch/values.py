"""Values of a table to what a model takes: exactly, or not at all. Knows no framework.

Nothing is converted quietly: a text is no number (but in CSV, which has only text), a boolean is no number, a number
that would become infinite or wrap round is refused, and so is one that is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.batch.problems import BatchProblem
from registry.onnx.facts import Tensor
from registry.onnx.feeding import DTYPES, wanted_columns
from registry.onnx.problems import ModelProblem

SHOWN = 60
# From here on a float does not say which whole number is meant.
EXACT = 2**53
YES, NO = ("true", "1"), ("false", "0")
Read = Callable[[Any], Any]


@dataclass(frozen=True)
class Column:
    """A column that a model reads, and NumPy's name for what it takes there (`object`: text)."""

    name: str
    dtype: str


class Fault(Exception):
    """One value that does not fit: its code, and what would."""

    def __init__(self, code: str, wanted: str) -> None:
        super().__init__(wanted)
        self.code, self.wanted = code, wanted


def columns_of(inputs: Sequence[Tensor], available: Sequence[str], features: Sequence[str]) -> tuple[Column, ...]:
    """The columns that a model reads of a table with these. Raises BatchProblem `column_missing`."""
    try:
        names = wanted_columns(inputs, available, features)
    except ModelProblem as problem:
        raise BatchProblem("column_missing", problem.sentence) from None
    by_input = {tensor.name: tensor.type for tensor in inputs}
    if list(by_input) == list(names):
        return tuple(Column(name, DTYPES[by_input[name]]) for name in names)
    return tuple(Column(name, DTYPES[inputs[0].type]) for name in names)


def array_of(values: Sequence[Any], column: Column, first: int, *, text: bool) -> NDArray[Any]:
    """A column of a chunk for the model; `first` is the number of its first row, `text` whether it comes from CSV.

    Raises BatchProblem `value_missing`, `not_finite`, `wrong_type` or `out_of_range`, with column and row.
    """
    read, found = reader(column.dtype, text), list[Any]()
    try:
        for value in values:
            found.append(read(value))
    except Fault as fault:
        row, value = first + len(found), values[len(found)]
        raise BatchProblem(fault.code, sentence(fault, column.name, row, value)) from None
    return np.array(found, dtype=column.dtype)


def sentence(fault: Fault, name: str, row: int, value: Any) -> str:
    if fault.code == "value_missing":
        return f"Column “{name}” is empty in row {row:,}. Fill the value in, or leave the row out."
    return f"Column “{name}” holds “{str(value)[:SHOWN]}” in row {row:,}, where {fault.wanted} is wanted."


def reader(dtype: str, text: bool) -> Read:
    """What reads one value for a NumPy type. It raises Fault."""
    if dtype == "object":
        return as_text
    if dtype == "bool":
        return boolean_of_text if text else as_boolean
    if dtype.startswith("float"):
        most = float(np.finfo(dtype).max)
        return lambda value: in_range(number(value, text), -most, most, dtype)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return lambda value: in_range(whole(value, text), low, high, dtype)


def as_text(value: Any) -> str:
    if value is None or (type(value) is str and not value.strip()):
        raise Fault("value_missing", "text")
    if type(value) is not str:
        raise Fault("wrong_type", "text")
    return value


def as_boolean(value: Any) -> bool:
    if value is None:
        raise Fault("value_missing", "true or false")
    if type(value) is not bool:
        raise Fault("wrong_type", "true or false")
    return value


def boolean_of_text(value: str) -> bool:
    plain = as_text(value).strip().lower()
    if plain not in (*YES, *NO):
        raise Fault("wrong_type", "true or false")
    return plain in YES


def number(value: Any, text: bool) -> int | float:
    if text:
        plain = as_text(value).strip()
        try:
            # Python would take 1_000 for a number, and hardly anybody else.
            value = float("?" if "_" in plain else plain)
        except ValueError:
            raise Fault("wrong_type", "a number") from None
    elif value is None:
        raise Fault("value_missing", "a number")
    elif type(value) not in (int, float):
        raise Fault("wrong_type", "a number")
    # A whole number may be too large to be any float.
    if type(value) is float and not math.isfinite(value):
        raise Fault("not_finite", "a finite number")
    plain_number: int | float = value
    return plain_number


def whole(value: Any, text: bool) -> int:
    if text:
        plain = as_text(value).strip()
        digits = plain.removeprefix("-")
        if digits.isascii() and digits.isdecimal() and len(digits) <= 20:
            return int(plain)
    found = number(value, text)
    if type(found) is float and (not found.is_integer() or abs(found) > EXACT):
        raise Fault("wrong_type", "a whole number")
    return int(found)


def in_range(value: int | float, low: float, high: float, dtype: str) -> int | float:
    if not low <= value <= high:
        raise Fault("out_of_range", f"a number that fits into {dtype}")
    return value


def named(outputs: Sequence[tuple[str, Sequence[str] | None, int]], keys: Sequence[str] = ()) -> list[list[str]]:
    """Names of a result's columns by output, each said with its classes and its width; none is said twice.

    The last list has the names of the row's number, of the decision and of the keys, which give way to a model's own
    outputs and to those before them.
    """
    taken: set[str] = set()
    found = []
    for name, classes, width in outputs:
        parts = [name] if width == 1 else [f"{name}.{part}" for part in classes or range(width)]
        found.append([unused(part, taken) for part in parts])
    return [*found, [unused(name, taken) for name in ("row", "decision", *keys)]]


def unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"_{name}"
    taken.add(name)
    return name


def finite_at_fault(values: Mapping[str, NDArray[Any]], first: int) -> str:
    """A sentence for the first number of the model that is none, or ""."""
    for name, column in values.items():
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            row = first + int(np.flatnonzero(~np.isfinite(column))[0])
            return (
                f"The model's output “{name}” is not a finite number in row {row:,}. Check that the row is within what "
                "the model was made for."
            )
    return ""
