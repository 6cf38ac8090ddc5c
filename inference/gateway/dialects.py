"""What each kind of upstream is sent and what it answers: Open Inference Protocol, TensorFlow Serving, MLflow, JSON.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
https://www.tensorflow.org/tfx/serving/api_rest (row format: `instances`, `predictions`)
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally (`dataframe_split`, `inputs`, `predictions`)

An answer counts only if it has every output of the approved version, in its datatype and shape, with as many rows as
were asked for: nothing is converted, and nothing is filled up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from inference.gateway.refused import Refused
from inference.gateway.tensors import Asked, Tensor, array_of, written
from inference.upstreams.rules import MLFLOW, OIP, SINGLE, TF_SERVING, VALUES, found, placed
from registry.onnx.decision import Output

Rows = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Target:
    """How one endpoint's upstream is asked. `url` is where predictions are posted to.

    `version_at` is where in its answer stands which model version it is, and `expected` what has to stand there.
    `usable` is False where its secret cannot be read.
    """

    endpoint: int
    kind: str
    url: str
    seconds: float
    rows_at: str = ""
    row_form: str = VALUES
    predictions_at: str = ""
    version_at: str = ""
    expected: str = ""
    header: tuple[str, str] | None = field(default=None, repr=False)
    usable: bool = True


class Unfit(Exception):
    """An answer that is not what the approved version gives; a stable word for why."""


class Differs(Exception):
    """The upstream says that it is another model version than the approved one."""


def request(
    target: Target, inputs: Sequence[Tensor], features: Sequence[str], outputs: Sequence[Tensor], asked: Asked
) -> bytes:
    """The JSON to send."""
    feed, body = asked.feed, dict[str, Any]()
    if target.kind == OIP:
        body = {"inputs": [written(one.name, feed[one.name]) for one in inputs]}
        body["outputs"] = [{"name": one.name} for one in outputs]
    elif target.kind == TF_SERVING and len(inputs) == 1:
        body = {"instances": plain(feed[inputs[0].name])}
    elif target.kind == TF_SERVING:
        body = {"instances": records([one.name for one in inputs], [feed[one.name].tolist() for one in inputs])}
    else:
        names, rows = table(inputs, features, feed)
        if target.kind == MLFLOW and names is None:
            body = {"inputs": {inputs[0].name: rows}}
        elif target.kind == MLFLOW:
            body = {"dataframe_split": {"columns": names, "data": rows}}
        elif target.row_form == VALUES:
            body = placed(rows, target.rows_at)
        else:
            cells = [list(column) for column in zip(*listed(rows), strict=True)] if names else [listed(rows)]
            made = records(names or [inputs[0].name], cells)
            body = placed(made[0] if target.row_form == SINGLE else made, target.rows_at)
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def table(inputs: Sequence[Tensor], features: Sequence[str], feed: Mapping[str, Rows]) -> tuple[list[str] | None, Any]:
    """Names of the columns and the rows. Without names where the one input is no table of the version's features."""
    if len(inputs) > 1:
        cells = [cells_of(feed[one.name]) for one in inputs]
        return [one.name for one in inputs], [list(row) for row in zip(*cells, strict=True)]
    rows = feed[inputs[0].name]
    if rows.ndim == 1:
        rows = rows.reshape(-1, 1)
    known = rows.ndim == 2 and rows.shape[1] == len(features)
    return (list(features) if known else None), plain(rows)


def cells_of(values: Rows) -> list[Any]:
    """One value for each row, where there is but one."""
    flat = values.size == len(values)
    cells: list[Any] = (values.reshape(-1) if flat else values).tolist()
    return cells


def records(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def plain(values: Rows) -> Any:
    """As orjson writes it: numbers as an array, text as lists."""
    return values.tolist() if values.dtype == object else np.ascontiguousarray(values)


def listed(rows: Any) -> list[Any]:
    found: list[Any] = rows if isinstance(rows, list) else rows.tolist()
    return found


def answer(target: Target, outputs: Sequence[Tensor], rows: int, text: bytes) -> list[Output]:
    """What the upstream answered, as the outputs of the approved version. Raises Unfit or Differs."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unfit("not_json") from None
    if target.version_at:
        told = at(body, target.version_at)
        if type(told) not in (str, int) or str(told) != target.expected:
            raise Differs
    made = tensors(body, outputs) if target.kind == OIP else columns(target, body, outputs, rows)
    if any(not one.values.ndim or len(one.values) != rows for one in made):
        raise Unfit("wrong_length")
    return made


def at(body: Any, place: str) -> Any:
    try:
        return found(body, place)
    except LookupError:
        return None


def tensors(body: Any, outputs: Sequence[Tensor]) -> list[Output]:
    given = at(body, "outputs")
    if type(given) is not list:
        raise Unfit("outputs_needed")
    entries: dict[Any, Any] = {}
    for entry in given:
        if type(entry) is not dict or type(entry.get("name")) is not str:
            raise Unfit("outputs_needed")
        if entry["name"] in entries:
            raise Unfit("output_twice")
        entries[entry["name"]] = entry
    made = []
    for one in outputs:
        if one.name not in entries:
            raise Unfit("output_missing")
        entry = entries[one.name]
        values = checked(entry, one)
        classes = at(entry, "parameters.classes") if "parameters" in entry else None
        if type(classes) is not list or values.ndim != 2 or len(classes) != values.shape[1]:
            classes = None
        made.append(Output(one.name, values, None if classes is None else tuple(map(str, classes))))
    return made


def columns(target: Target, body: Any, outputs: Sequence[Tensor], rows: int) -> list[Output]:
    """From an entry for each row, or from a list for each output."""
    given = at(body, "predictions" if target.kind in (TF_SERVING, MLFLOW) else target.predictions_at)
    if target.row_form == SINGLE and given is not None:
        given = [given]
    elif named(given, outputs):
        return [column(one, given[one.name], rows) for one in outputs]
    if type(given) is not list:
        raise Unfit("predictions_needed")
    if given and all(named(row, outputs) for row in given):
        return [column(one, [row[one.name] for row in given], rows) for one in outputs]
    if len(outputs) != 1:
        raise Unfit("output_missing")
    return [column(outputs[0], given, rows)]


def named(given: Any, outputs: Sequence[Tensor]) -> bool:
    return type(given) is dict and all(one.name in given for one in outputs)


def column(expected: Tensor, values: Any, rows: int) -> Output:
    """One output from a value for each row: a number, a list, or numbers by class."""
    if type(values) is not list:
        raise Unfit("data_needed")
    if len(values) != rows:
        raise Unfit("wrong_length")
    classes: tuple[str, ...] | None = None
    level: Any = values
    if len(expected.shape) == 2 and type(values[0]) is dict:
        if any(type(row) is not dict or row.keys() != values[0].keys() for row in values):
            raise Unfit("ragged_data")
        classes = tuple(sorted(values[0]))
        level = values = [[row[klass] for klass in classes] for row in values]
    shape = [len(values)]
    for _ in expected.shape[1:]:
        level = level[0]
        if type(level) is not list or not level:
            raise Unfit("wrong_shape")
        shape.append(len(level))
    return Output(
        expected.name, checked({"datatype": expected.datatype, "shape": shape, "data": values}, expected), classes
    )


def checked(entry: Mapping[str, Any], expected: Tensor) -> Rows:
    """By the very rules that inputs are checked with. Raises Unfit with the word of the rule that it breaks."""
    try:
        return array_of(entry, expected, expected.name)
    except Refused as refused:
        raise Unfit(refused.code) from None
