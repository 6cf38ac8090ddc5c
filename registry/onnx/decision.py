"""The rule by which a model's output becomes a yes or no."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.onnx.problems import ModelProblem


class Output(NamedTuple):
    """One output for a batch: `values` has a row each; `classes` names its columns where the model does."""

    name: str
    values: NDArray[Any]
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DecisionRule:
    """threshold: yes where the output's column `klass` is at least `at_least`; label: yes where it equals `equals`.

    `klass` is the column's number or, for an output that names its columns, the class.
    """

    kind: Literal["threshold", "label"]
    output: str
    klass: str = "1"
    at_least: float = 0.5
    equals: str = "1"

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> DecisionRule:
        """From {"kind": "threshold", "output": …, "class": 1, "at_least": 0.5}; raises ModelProblem."""
        kind, output = given.get("kind"), given.get("output")
        wanted = {"threshold": {"class", "at_least"}, "label": {"equals"}}.get(str(kind))
        if wanted is None or not isinstance(output, str) or not output:
            raise ModelProblem(
                "bad_decision_rule",
                'A decision rule is {"kind": "threshold", "output": …, "class": …, "at_least": …} or '
                '{"kind": "label", "output": …, "equals": …}.',
            )
        extra = set(given) - wanted - {"kind", "output"}
        if extra:
            raise ModelProblem("bad_decision_rule", f"A {kind} rule has no {', '.join(sorted(map(str, extra)))}.")
        if kind == "label":
            return cls("label", output, equals=str(given.get("equals", 1)))
        at_least = given.get("at_least", 0.5)
        if isinstance(at_least, bool) or not isinstance(at_least, int | float) or not math.isfinite(at_least):
            raise ModelProblem("bad_decision_rule", "The threshold at_least is a finite number.")
        return cls("threshold", output, klass=str(given.get("class", 1)), at_least=float(at_least))

    def as_dict(self) -> dict[str, Any]:
        if self.kind == "label":
            return {"kind": "label", "output": self.output, "equals": self.equals}
        klass = int(self.klass) if self.klass.isdigit() else self.klass
        return {"kind": "threshold", "output": self.output, "class": klass, "at_least": self.at_least}

    def scores(self, output: Output) -> NDArray[np.float64]:
        """The number compared with the threshold (for a label rule 1 or 0), one a row."""
        if self.kind == "label":
            flat = output.values.reshape(len(output.values), -1)
            if flat.shape[1] != 1:
                raise ModelProblem("bad_decision_rule", f"Output {output.name!r} is no single label a row.")
            # Explanations ask about millions of rows with a few labels among them: each label is spelled once. Of whole
            # numbers Python's own are quicker; of others numpy's have a spelling of their own.
            labels = flat[:, 0].tolist() if flat.dtype.kind in "iu" else list(flat[:, 0])
            equal = {label: _text(label) == self.equals for label in set(labels)}
            return np.array([equal[label] for label in labels], dtype=np.float64)
        values = output.values
        if values.dtype.kind not in "fiub":
            raise ModelProblem("bad_decision_rule", f"Output {output.name!r} is not numeric: use a label rule for it.")
        table = values.reshape(len(values), -1)
        scores = table[:, self._column(output, table.shape[1])].astype(np.float64)
        if not all_finite(scores):
            row = int(np.flatnonzero(~np.isfinite(scores))[0]) + 1
            raise ModelProblem(
                "score_not_finite",
                f"The model's output {output.name!r} is not a finite number in row {row:,} of a batch.",
            )
        return scores

    def decide(self, output: Output) -> NDArray[np.bool_]:
        """Yes or no, one a row."""
        return self.yes(self.scores(output))

    def yes(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Yes or no for numbers that `scores` gave."""
        return np.asarray(scores >= (self.at_least if self.kind == "threshold" else 0.5))

    def _column(self, output: Output, width: int) -> int:
        if width == 1:
            return 0
        if output.classes is not None and self.klass in output.classes:
            return output.classes.index(self.klass)
        if output.classes is None and self.klass.isdigit() and int(self.klass) < width:
            return int(self.klass)
        have = ", ".join(output.classes) if output.classes else f"columns 0 to {width - 1}"
        raise ModelProblem("bad_decision_rule", f"Output {output.name!r} has no class {self.klass}; it has {have}.")


def all_finite(values: NDArray[Any]) -> bool:
    """As `np.isfinite(values).all()` says, in half the time for a few numbers."""
    return int(np.count_nonzero(np.isfinite(values))) == values.size


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
