"""The portal's side of the confined process: starts it, asks it, and ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from registry.onnx import frames
from registry.onnx.decision import Output
from registry.onnx.facts import Limits, ModelFacts
from registry.onnx.feeding import feed
from registry.onnx.problems import ModelProblem
from registry.onnx.sniff import refuse_obvious
from registry.onnx.structure import Structure, restored

ROOT = Path(__file__).resolve().parents[2]
START = "import sys; sys.path.append(sys.argv.pop(1)); from registry.onnx.child import main; main()"
ANSWER_LIMIT = 1 << 31


class Scorer:
    """A model loaded in a confined process. Use as a context manager; `facts` is set on entry.

    Raises ModelProblem on entry for a file that is refused, and from `run` for data the model does not take.
    """

    facts: ModelFacts

    def __init__(self, path: Path, limits: Limits | None = None, width: int | None = None) -> None:
        self.path = path
        self.limits = limits or Limits()
        self.width = width

    def __enter__(self) -> Scorer:
        limits = self.limits
        size = self.path.stat().st_size
        if size > limits.file_bytes:
            raise ModelProblem(
                "too_big",
                f"The model has {size:,} bytes; at most {limits.file_bytes:,} are taken. Export a smaller model.",
            )
        with self.path.open("rb") as file:
            refuse_obvious(file.read(2048))
        asked = {
            "path": str(self.path.resolve()),
            "memory_bytes": limits.memory_bytes,
            "cpu_seconds": limits.cpu_seconds,
            "threads": limits.threads,
            "width": self.width,
            "parent": os.getpid(),
        }
        self._said = tempfile.TemporaryFile()
        # Nothing of the portal's environment, which holds secrets, goes with it.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-c", START, str(ROOT), json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={
                "PATH": "/usr/bin:/bin",
                "LC_ALL": "C.UTF-8",
                "OPENBLAS_NUM_THREADS": "1",
                "ORT_DISABLE_TELEMETRY": "1",
            },
            cwd="/",
            start_new_session=True,
        )
        try:
            header, _ = self._answer()
        except BaseException:
            self._end()
            raise
        self.facts = ModelFacts.from_dict(header["facts"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self, columns: Mapping[str, NDArray[Any]], output: str, feature_order: Sequence[str] = ()) -> Output:
        """One output of the model for a batch of equally long columns."""
        return self.outputs(columns, (output,), feature_order)[0]

    def outputs(
        self, columns: Mapping[str, NDArray[Any]], names: Sequence[str], feature_order: Sequence[str] = ()
    ) -> list[Output]:
        """Outputs of the model for a batch of equally long columns, all of one run."""
        known = [t.name for t in self.facts.outputs]
        for name in names:
            if name not in known:
                have = ", ".join(known)
                raise ModelProblem("bad_decision_rule", f"The model has no output {name!r}; it has {have}.")
        entries, payload = [], []
        for name, array in feed(self.facts.inputs, columns, feature_order).items():
            if array.dtype == object:
                payload.append(json.dumps(array.reshape(-1).tolist()).encode())
            else:
                payload.append(array.tobytes())
            entries.append(
                {"name": name, "dtype": "object" if array.dtype == object else array.dtype.str, "shape": array.shape}
            )
        header, parts = self._answer({"inputs": entries, "outputs": list(names)}, payload)
        return [_output(*each) for each in zip(names, header["outputs"], parts, strict=True)]

    def structure(self) -> Structure | None:
        """Nodes and constants of the model; None where it has subgraphs or functions."""
        header, parts = self._answer({"ask": "structure"})
        return restored(header["structure"], parts)

    def _answer(
        self, question: dict[str, Any] | None = None, payload: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._kill()

        clock = threading.Timer(self.limits.wall_seconds, give_up)
        clock.daemon = True
        clock.start()
        try:
            if question is not None:
                frames.send(cast(BinaryIO, self._process.stdin), question, *payload)
            header, parts = frames.receive(cast(BinaryIO, self._process.stdout), ANSWER_LIMIT)
        except (EOFError, BrokenPipeError, ValueError) as error:
            raise self._ended(late.is_set()) from error
        finally:
            clock.cancel()
        if "problem" in header:
            raise ModelProblem(str(header["problem"]), str(header["sentence"]))
        return header, parts

    def _ended(self, late: bool) -> ModelProblem:
        """What the death of the process means."""
        self._kill()
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read(65_536).decode("utf-8", "replace").strip()
        limits = self.limits
        if late or code in (-signal.SIGXCPU, -signal.SIGALRM):
            return ModelProblem(
                "trial_run_timeout",
                f"The model did not answer within {limits.wall_seconds:g} s, or used over {limits.cpu_seconds} s of "
                "processor time. Export a smaller model, or one without endless loops.",
            )
        if "MemoryError" in said or "bad_alloc" in said or "allocate" in said.lower():
            return ModelProblem(
                "too_big", f"The model needs more than the {limits.memory_bytes >> 20:,} MiB of memory that it may use."
            )
        last = said.splitlines()[-1][:300] if said else f"exit code {code}"
        return ModelProblem(
            "trial_run_failed", f"The model's process ended while it ran ({last}). Export the model again."
        )

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    def _end(self) -> None:
        self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue


def _output(name: str, entry: Mapping[str, Any], data: bytes) -> Output:
    if entry["dtype"] == "object":
        values = np.array(json.loads(data), dtype=object)
    else:
        values = np.frombuffer(data, dtype=entry["dtype"])
    classes = entry["classes"]
    return Output(name, values.reshape(entry["shape"]), tuple(classes) if classes else None)


def inspect_model(path: Path, limits: Limits | None = None, width: int | None = None) -> ModelFacts:
    """Parse a model file and run it once on zeros, confined. Raises ModelProblem.

    `width` is the number of feature columns, for a model that leaves it open.
    """
    with Scorer(path, limits, width) as scorer:
        return scorer.facts


def predict(
    path: Path,
    columns: Mapping[str, NDArray[Any]],
    output: str,
    feature_order: Sequence[str] = (),
    limits: Limits | None = None,
) -> Output:
    """One output of the model for equally long columns of a table, confined. Raises ModelProblem."""
    with Scorer(path, limits, len(feature_order) or None) as scorer:
        return scorer.run(columns, output, feature_order)
