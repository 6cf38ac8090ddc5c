"""One approved model in ONNX Runtime, loaded from bytes that have the approved digest."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from registry.onnx.decision import Output
from registry.onnx.feeding import DTYPES

INLINE_SECONDS = 0.002


class DigestDiffers(Exception):
    """The bytes are not those that were approved."""


class RunFailed(Exception):
    """The model failed on this input, or was stopped."""


class Runner:
    """A model that `may_loop` never runs in the event loop, however quick it was.

    `usual` is the usual seconds of a run by the bit length of its number of rows; 0 where none of that size was seen.
    """

    def __init__(self, data: bytes, digest: str, may_loop: bool) -> None:
        """Raises DigestDiffers, or RunFailed where ONNX Runtime cannot load the model."""
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise DigestDiffers(digest)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        try:
            self.session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise RunFailed(f"{type(error).__name__} while loading") from error
        self.may_loop = may_loop
        self.names = [output.name for output in self.session.get_outputs()]
        self.usual = [0.0] * 64
        self.usual[1] = self.measured()

    def measured(self) -> float:
        """Seconds for one row of zeros, once warm; pessimistic where the model does not take zeros."""
        feed = {}
        for one in self.session.get_inputs():
            shape = [size if isinstance(size, int) and size > 0 else 1 for size in one.shape]
            kind = DTYPES[one.type]
            feed[one.name] = np.full(shape, "", dtype=object) if kind == "object" else np.zeros(shape, dtype=kind)
        try:
            self.session.run(None, feed)
            start = time.perf_counter()
            self.session.run(None, feed)
        except Exception:
            return INLINE_SECONDS * 10
        return time.perf_counter() - start

    def quick(self, rows: int) -> bool:
        """Whether the event loop can run so many rows itself without others noticing."""
        if self.may_loop:
            return False
        size = seen = rows.bit_length()
        while not self.usual[seen] and seen > 1:
            seen -= 1
        return self.usual[seen] * (1 << size - seen) <= INLINE_SECONDS

    def run(self, feed: Mapping[str, NDArray[Any]], rows: int, stop: Any = None) -> list[Output]:
        """All outputs. `stop` are run options whose `terminate` ends the run. Raises RunFailed."""
        start = time.perf_counter()
        try:
            found = self.session.run(self.names, feed, stop)
        except Exception as error:
            raise RunFailed(type(error).__name__) from error
        took, size = time.perf_counter() - start, rows.bit_length()
        usual = self.usual[size] or took
        # One slow run may have been the machine's doing; one quick run was not.
        self.usual[size] = usual + (took - usual) * (0.1 if took > usual else 0.5)
        return [as_output(name, values) for name, values in zip(self.names, found, strict=True)]


def as_output(name: str, values: Any) -> Output:
    """Arrays as they are; a list of maps, as classifiers give it, as a table with named columns."""
    if isinstance(values, np.ndarray):
        return Output(name, values)
    if isinstance(values, list) and values and isinstance(values[0], dict):
        classes = sorted(values[0], key=str)
        table = np.array([[row[klass] for klass in classes] for row in values], dtype=np.float32)
        return Output(name, table, tuple(map(str, classes)))
    raise RunFailed(f"the output {name} has no known form")


def taken(outputs: Sequence[Output], name: str) -> Output:
    return next(output for output in outputs if output.name == name)
