"""Tensors as bytes after the JSON: the binary tensor data extension of the Open Inference Protocol.

Row-major and little-endian; a BOOL is one byte, a BYTES element is its length in four bytes and then its text.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.gateway.refused import Refused, wrong

LENGTH = struct.Struct("<I")
HEADER = b"inference-header-content-length"


class Raw:
    """What comes after the JSON, taken in the order of the tensors."""

    def __init__(self, data: memoryview) -> None:
        self.data = data

    def take(self, size: int, path: str) -> memoryview:
        if size > len(self.data):
            sentence = f"{size:,} bytes are announced, and only {len(self.data):,} are left in the body."
            raise wrong(path, "binary_length", sentence)
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def finish(self) -> None:
        if self.data:
            sentence = f"{len(self.data):,} bytes are left over after the last tensor. Announce all that you send."
            raise wrong("inputs", "binary_length", sentence)


def parted(body: bytes, header: bytes | None) -> tuple[bytes, Raw]:
    """The JSON and what comes after it. `header` is the length of the JSON, as it was announced."""
    if header is None:
        return body, Raw(memoryview(b""))
    if not header.isdigit() or len(header) > 12 or int(header) > len(body):
        sentence = "Inference-Header-Content-Length is the number of bytes of JSON at the beginning of the body."
        raise Refused(400, "binary_header", sentence)
    length = int(header)
    return body[:length], Raw(memoryview(body)[length:])


def size_of(entry: Mapping[str, Any], path: str) -> int | None:
    """How many bytes a tensor has after the JSON; None where its values are in the JSON."""
    given = entry.get("parameters")
    size = given.get("binary_data_size") if type(given) is dict else None
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise wrong(f"{path}.parameters.binary_data_size", "binary_length", "A size is a whole number of bytes.")
    if "data" in entry:
        raise wrong(f"{path}.data", "data_twice", "The values are in the JSON and after it. Send them once.")
    return size


def array_of(raw: memoryview, datatype: str, kind: Any, shape: Sequence[int], path: str) -> NDArray[Any]:
    """The values, copied to where they are aligned. Raises Refused 422."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return np.array(texts(raw, count, path), dtype=object).reshape(shape)
    little = np.dtype(kind).newbyteorder("<")
    if len(raw) != count * little.itemsize:
        sentence = f"The shape {list(shape)} of {datatype} needs {count * little.itemsize:,} bytes, not {len(raw):,}."
        raise wrong(f"{path}.parameters.binary_data_size", "binary_length", sentence)
    if datatype == "BOOL" and np.frombuffer(raw, dtype=np.uint8).max(initial=0) > 1:
        raise wrong(path, "wrong_value", "BOOL is one byte for each value: 0 or 1.")
    return np.frombuffer(raw, dtype=little).astype(kind).reshape(shape)


def texts(raw: memoryview, count: int, path: str) -> list[str]:
    found, at = list[str](), 0
    while at + LENGTH.size <= len(raw) and len(found) < count:
        (length,) = LENGTH.unpack_from(raw, at)
        at += LENGTH.size
        try:
            found.append(str(raw[at : at + length], "utf-8"))
        except UnicodeDecodeError:
            raise wrong(path, "wrong_value", f"The text number {len(found) + 1} is not UTF-8.") from None
        at += length
    if len(found) != count or at != len(raw):
        sentence = f"The shape needs {count:,} texts, each with its length before it. The bytes sent are not that."
        raise wrong(f"{path}.parameters.binary_data_size", "binary_length", sentence)
    return found


def wanted(asked: Mapping[str, Any], names: frozenset[str]) -> frozenset[str]:
    """Which outputs leave as bytes: what is said of one counts before what is said of all."""
    parameters = asked.get("parameters")
    found = set(names) if type(parameters) is dict and parameters.get("binary_data_output") is True else set()
    for entry in asked.get("outputs") or ():
        own = entry.get("parameters")
        if type(own) is dict and "binary_data" in own:
            (found.add if own["binary_data"] is True else found.discard)(entry["name"])
    return frozenset(found)


def packed(values: NDArray[Any], datatype: str) -> bytes:
    if datatype == "BYTES":
        each = [str(value).encode() for value in values.reshape(-1).tolist()]
        return b"".join(LENGTH.pack(len(text)) + text for text in each)
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
