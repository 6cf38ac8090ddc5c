"""What a model elsewhere takes and gives, and which of its answers is a yes: said in the form of the Open Inference
Protocol, signed with the pins, and kept in the form that a file's own inputs and outputs are kept in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from registry.features import features_at_fault

TYPES = {
    "BOOL": "bool", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8",
    "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "FP16": "float16", "FP32": "float", "FP64": "double",
    "BYTES": "string",
}  # fmt: skip
MOST_TENSORS = 1_000
MOST_DIMENSIONS = 8
MOST_WIDE = 1_000_000
MOST_CHARACTERS = 64_000
KEYS = {"inputs", "outputs", "features", "decision_rule"}

Fault = tuple[str, str]  # path and sentence


def fault(given: Any) -> Fault | None:
    """What is wrong with an interface, but for its decision rule; the path is that in the interface."""
    if not isinstance(given, Mapping) or set(given) - KEYS or KEYS - {"features"} - set(given):
        return "", f"An interface is an object with {', '.join(sorted(KEYS))}; only `features` may be left out."
    if not writable(given):
        return "", f"It is longer than {MOST_CHARACTERS:,} characters, or has some that cannot be kept."
    for side in ("inputs", "outputs"):
        if problem := tensors_at_fault(given[side], side):
            return problem
    if not isinstance(given["decision_rule"], Mapping):
        return "decision_rule", "A decision rule is an object with its `kind`."
    named = given.get("features", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        return "features", "`features` is a list of names, in the order in which the model takes them."
    if named and (problem := features_at_fault(tensors(given["inputs"]), named)):
        return "features", problem[1]
    return None


def writable(given: Mapping[str, Any]) -> bool:
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        return False
    return b"\\u0000" not in text and len(text) <= MOST_CHARACTERS


def tensors_at_fault(given: Any, side: str) -> Fault | None:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_TENSORS:
        return side, f"`{side}` is a list of tensors, each with name, datatype and shape."
    seen = set[str]()
    for number, one in enumerate(given):
        path = f"{side}.{number}"
        if not isinstance(one, Mapping) or set(one) != {"name", "datatype", "shape"}:
            return path, "A tensor has name, datatype and shape, and nothing else."
        name, shape = one["name"], one["shape"]
        if not isinstance(name, str) or not 1 <= len(name) <= 200 or not name.isprintable() or name in seen:
            return f"{path}.name", "A name has up to 200 characters and is there once."
        if not isinstance(one["datatype"], str) or one["datatype"] not in TYPES:
            return f"{path}.datatype", f"Choose one of: {', '.join(TYPES)}."
        sizes = isinstance(shape, list) and all(
            type(size) is int and (size == -1 or 1 <= size <= MOST_WIDE) for size in shape
        )
        if not sizes or not 1 <= len(shape) <= MOST_DIMENSIONS or shape[0] != -1:
            return f"{path}.shape", "A shape is a list of sizes; it begins with -1, for the rows. Any size is -1."
        seen.add(name)
    return None


def tensors(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As a version's signature holds them."""
    return [
        {
            "name": one["name"], "type": f"tensor({TYPES[one['datatype']]})",
            "shape": [None if size == -1 else size for size in one["shape"]],
        }
        for one in given
    ]  # fmt: skip
