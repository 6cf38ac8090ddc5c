"""Tensors of the Open Inference Protocol (version 2) to arrays and back. Knows no framework."""

from __future__ import annotations

import math
import re
from array import array as array_of_numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from inference.gateway import binary
from inference.gateway.refused import Refused, wrong
from registry.onnx.decision import all_finite

MAX_RANK = 8
MAX_INPUTS = 1_000
MAX_ID = 128
# Datatype of the protocol by ONNX Runtime's name for it.
DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
NUMPY = {
    "BOOL": np.bool_, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8,
    "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "FP16": np.float16, "FP32": np.float32,
    "FP64": np.float64, "BYTES": np.object_,
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in NUMPY.items()}
FLOATS = frozenset({"FP16", "FP32", "FP64"})
CODES = {
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "FP32": "f", "FP64": "d",
}  # fmt: skip
# JSON's numbers are finite, but a smaller datatype could still make infinity of them, or wrap them round.
RANGES: dict[str, tuple[float, float]] = {
    name: (float(np.finfo(kind).min), float(np.finfo(kind).max))
    if name in FLOATS
    else (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    for name, kind in NUMPY.items()
    if name not in ("BOOL", "BYTES")
}
# What JSON may hold for each; a number for a boolean or text for a number is a mistake, not a conversion.
HOLDS: dict[str, tuple[frozenset[type], str]] = {
    name: (frozenset({float, int}), "numbers") if name in FLOATS else (frozenset({int}), "whole numbers")
    for name in NUMPY
} | {"BOOL": (frozenset({bool}), "true or false"), "BYTES": (frozenset({str}), "text")}
NOT_FINITE = re.compile(rb"\b(?:NaN|Infinity)\b|\b\d+[eE]\+?\d{3}")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a model; free dimensions are -1, and `classes` name the columns where the model does."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


class Asked(NamedTuple):
    """A request, understood: arrays by input, rows of the batch, outputs wanted (None: all), the client's own id, and
    which outputs are to leave as bytes after the JSON.
    """

    feed: dict[str, NDArray[Any]]
    rows: int
    wanted: frozenset[str] | None
    id: str | None
    binary: frozenset[str] = frozenset()


def tensor(given: Mapping[str, Any]) -> Tensor:
    """From a version's signature: `{"name", "type", "shape"}`. Maps of classes become tables of numbers."""
    kind = str(given["type"])
    if kind.startswith("seq(map("):
        return Tensor(given["name"], "FP32", (-1, -1))
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in given["shape"])
    return Tensor(given["name"], DATATYPES.get(kind, kind), shape)


def read(
    body: bytes, inputs: Sequence[Tensor], outputs: frozenset[str], max_rows: int, header: bytes | None = None
) -> Asked:
    """Understand the body of an infer request. Raises Refused 400 or 422 with the path of what is wrong.

    `header` is the length of the JSON, where bytes of tensors come after it.
    """
    text, raw = binary.parted(body, header)
    asked = loaded(text)
    given = asked.get("inputs")
    if type(given) is not list or not given or len(given) > MAX_INPUTS:
        raise wrong("inputs", "inputs_needed", "Send `inputs`: a list with one tensor for each input of the model.")
    known = {one.name: one for one in inputs}
    feed: dict[str, NDArray[Any]] = {}
    rows = 0
    for index, entry in enumerate(given):
        path = f"inputs.{index}"
        name = entry.get("name") if type(entry) is dict else None
        expected = known.get(name) if type(name) is str else None
        if expected is None or type(name) is not str:
            raise wrong(f"{path}.name", "input_unknown", f"The model takes {listed(known)}. Name each tensor so.")
        if name in feed:
            raise wrong(f"{path}.name", "input_twice", f"The input {name} is there twice. Send it once.")
        array = feed[name] = array_of(entry, expected, path, raw)
        rows = check_rows(array, rows, max_rows, path)
    if missing := [name for name in known if name not in feed]:
        raise wrong("inputs", "input_missing", f"The model also takes {listed(missing)}. Send all inputs.")
    raw.finish()
    wanted = wanted_outputs(asked.get("outputs"), outputs)
    return Asked(feed, rows, wanted, client_id(asked.get("id")), binary.wanted(asked, wanted or outputs))


def loaded(body: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "infinity" in str(error) or NOT_FINITE.search(body):
            raise wrong("inputs", "not_finite", "NaN and infinity are no values here. Send finite numbers.") from None
        raise Refused(400, "not_json", f"The body cannot be read as JSON: {error}.") from None
    if type(asked) is not dict:
        raise Refused(400, "not_json", 'The body is not a JSON object. Send {"inputs": […]}.')
    return asked


def array_of(entry: Mapping[str, Any], expected: Tensor, path: str, raw: binary.Raw | None = None) -> NDArray[Any]:
    datatype = entry.get("datatype")
    if datatype != expected.datatype:
        sentence = f"The input {expected.name} is {expected.datatype}. Send that datatype."
        raise wrong(f"{path}.datatype", "wrong_datatype", sentence)
    shape = shape_of(entry.get("shape"), expected, path)
    size = binary.size_of(entry, path) if raw is not None else None
    if raw is not None and size is not None:
        kind = NUMPY[expected.datatype]
        return finite(binary.array_of(raw.take(size, path), expected.datatype, kind, shape, path), expected, path)
    data = flat(entry.get("data"), expected.datatype, len(shape), path)
    if len(data) != math.prod(shape):
        sentence = f"The shape {list(shape)} needs {math.prod(shape):,} values; there are {len(data):,}."
        raise wrong(f"{path}.data", "wrong_length", sentence)
    try:
        array: NDArray[Any] = packed(data, expected.datatype)
    except OverflowError:
        sentence = f"A number is too large or too small for {expected.datatype}. Send smaller numbers."
        raise wrong(f"{path}.data", "out_of_range", sentence) from None
    return finite(array, expected, path).reshape(shape)


def packed(data: list[Any], datatype: str) -> NDArray[Any]:
    """One dimension; a number that is too large for a float becomes infinite. Raises OverflowError for integers."""
    code = CODES.get(datatype)
    if code is not None:
        # For a few numbers a third of what numpy takes, most of which is not to warn of infinity.
        return np.frombuffer(array_of_numbers(code, data), dtype=NUMPY[datatype])
    with np.errstate(over="ignore"):
        return np.array(data, dtype=NUMPY[datatype])


def finite(array: NDArray[Any], expected: Tensor, path: str) -> NDArray[Any]:
    if expected.datatype in FLOATS and not all_finite(array):
        sentence = f"A number is NaN, infinite or too large for {expected.datatype}. Send finite numbers."
        raise wrong(f"{path}.data", "not_finite", sentence)
    return array


def shape_of(given: Any, expected: Tensor, path: str) -> tuple[int, ...]:
    if type(given) is list and len(given) == len(expected.shape):
        for want, have in zip(expected.shape, given, strict=True):
            if type(have) is not int or have < 1 or (want != have and want != -1):
                break
        else:
            return tuple(given)
    if type(given) is not list or len(given) > MAX_RANK or any(type(size) is not int or size < 1 for size in given):
        raise wrong(f"{path}.shape", "wrong_shape", "A shape is a list of sizes, each 1 or more.")
    sentence = f"The input {expected.name} has the shape {list(expected.shape)} (-1: any size), not {given}."
    raise wrong(f"{path}.shape", "wrong_shape", sentence)


def flat(given: Any, datatype: str, rank: int, path: str) -> list[Any]:
    """The values in row-major order, whether they came flat or nested. One type only: nothing is converted quietly."""
    if type(given) is not list:
        raise wrong(f"{path}.data", "data_needed", "Send `data`: a list of values, flat or nested row by row.")
    data: list[Any] = given
    kinds: set[type] = set(map(type, data))
    for _ in range(rank - 1):
        if kinds != {list}:
            break
        if len(set(map(len, data))) != 1:
            raise wrong(f"{path}.data", "ragged_data", "The nested lists of `data` differ in length. Fill every row.")
        data = list(chain.from_iterable(data))
        kinds = set(map(type, data))
    allowed, word = HOLDS[datatype]
    if not kinds <= allowed:
        sentence = f"{datatype} data are {word}; there is something else among the values."
        raise wrong(f"{path}.data", "wrong_value", sentence)
    return data


def check_rows(array: NDArray[Any], before: int, max_rows: int, path: str) -> int:
    """The number of rows of the batch. Inputs without a dimension count as one row."""
    rows = array.shape[0] if array.ndim else 1
    if rows > max_rows:
        sentence = f"At most {max_rows:,} rows are taken at once; there are {rows:,}. Send them in parts."
        raise wrong(f"{path}.shape", "too_many_rows", sentence)
    if before and rows != before:
        sentence = f"All inputs have equally many rows: this one has {rows:,}, an earlier one {before:,}."
        raise wrong(f"{path}.shape", "rows_differ", sentence)
    return rows


def wanted_outputs(given: Any, known: frozenset[str]) -> frozenset[str] | None:
    if given is None or given == []:
        return None
    if type(given) is not list:
        raise wrong("outputs", "outputs_invalid", "`outputs` is a list of tensors, each with a name.")
    names = []
    for index, entry in enumerate(given):
        name = entry.get("name") if type(entry) is dict else None
        if type(name) is not str or name not in known:
            raise wrong(f"outputs.{index}.name", "output_unknown", f"The model gives {listed(sorted(known))}.")
        names.append(name)
    return frozenset(names)


def client_id(given: Any) -> str | None:
    if given is None:
        return None
    if type(given) is not str or len(given) > MAX_ID:
        raise wrong("id", "id_invalid", f"An id is text of at most {MAX_ID} characters.")
    return given


def written(name: str, values: NDArray[Any], classes: Sequence[str] | None = None) -> dict[str, Any]:
    """One output tensor, flat and row-major, ready for orjson with OPT_SERIALIZE_NUMPY."""
    datatype = datatype_of(values)
    data: Any = np.ascontiguousarray(values).reshape(-1)
    if datatype == "BYTES":
        data = [str(value) for value in data.tolist()]
    entry = {"name": name, "datatype": datatype, "shape": values.shape, "data": data}
    return entry if classes is None else entry | {"parameters": {"classes": list(classes)}}


def datatype_of(values: NDArray[Any]) -> str:
    return NAMES.get(values.dtype, "BYTES")


def as_bytes(name: str, values: NDArray[Any], classes: Sequence[str] | None = None) -> tuple[dict[str, Any], bytes]:
    """One output tensor whose values leave after the JSON, and those."""
    datatype = datatype_of(values)
    raw = binary.packed(values, datatype)
    parameters: dict[str, Any] = {"binary_data_size": len(raw)}
    if classes is not None:
        parameters["classes"] = list(classes)
    return {"name": name, "datatype": datatype, "shape": values.shape, "parameters": parameters}, raw


def listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "")
