"""Rows as clients of MLflow's scoring server send them, to arrays by input, and answers row by row.

https://mlflow.org/docs/latest/deployment/deploy-model-locally: `dataframe_split`, `dataframe_records`, `instances` and
`inputs`. Columns are found by the features' names, never by chance: one that is not the model's is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from inference.gateway.refused import wrong
from inference.gateway.tensors import Asked, Tensor, array_of, check_rows, client_id, listed, loaded
from registry.onnx.decision import Output

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read(body: bytes, inputs: Sequence[Tensor], features: Sequence[str], max_rows: int) -> Asked:
    """Raises Refused 400 or 422 with the path of what is wrong."""
    asked = loaded(body)
    there = [form for form in FORMS if form in asked]
    if len(there) != 1:
        raise wrong("inputs", "table_needed", f"Send rows in one of {', '.join(FORMS)}.")
    if asked.get("params"):
        raise wrong("params", "params_unknown", "A signed model takes no parameters beside its inputs. Leave them out.")
    form = there[0]
    names, rows = table(asked[form], form)
    if len(rows) > max_rows:
        sentence = f"At most {max_rows:,} rows are taken at once; there are {len(rows):,}. Send them in parts."
        raise wrong(form, "too_many_rows", sentence)
    if not rows:
        raise wrong(form, "table_needed", "There is no row. Send one at least.")
    by_column = len(inputs) > 1 or list(features) == [one.name for one in inputs]
    order = [one.name for one in inputs] if by_column else list(features)
    picked = places(names, order, f"{form}.columns" if form == "dataframe_split" else form)
    width = len(names) if names is not None else len(order)
    for number, row in enumerate(rows):
        if type(row) is not list or len(row) != width:
            raise wrong(f"{form}.{number}", "wrong_width", f"Each row has {width:,} values, one for each column.")
    if by_column:
        columns = {name: [row[place] for row in rows] for name, place in zip(order, picked, strict=True)}
        entries = [(one, [len(rows), *(1 for _ in one.shape[1:])], columns[one.name]) for one in inputs]
    else:
        values = list(chain.from_iterable([row[place] for place in picked] for row in rows))
        entries = [(inputs[0], [len(rows), len(order)], values)]
    feed = {}
    for one, shape, data in entries:
        given = {"datatype": one.datatype, "shape": shape, "data": data}
        feed[one.name] = array_of(given, one, form)
        check_rows(feed[one.name], len(rows), max_rows, form)
    return Asked(feed, len(rows), None, client_id(asked.get("client_request_id")))


def table(given: Any, form: str) -> tuple[list[str] | None, list[Any]]:
    """Names of the columns, where they are said, and the rows."""
    if form == "dataframe_split":
        names, rows = (given.get("columns"), given.get("data")) if type(given) is dict else (None, None)
        if not is_names(names) or type(rows) is not list:
            sentence = "`dataframe_split` has `columns`, a list of different names, and `data`, a list of rows."
            raise wrong(form, "table_needed", sentence)
        return names, rows
    if type(given) is dict and form == "inputs":
        columns = list(given.values())
        if any(type(column) is not list or len(column) != len(columns[0]) for column in columns):
            raise wrong(form, "ragged_data", "Columns are lists of equal length. Fill every row.")
        return list(given), [list(row) for row in zip(*columns, strict=True)]
    if type(given) is not list:
        raise wrong(form, "table_needed", f"`{form}` is a list of rows.")
    if not given or type(given[0]) is not dict:
        if form == "dataframe_records":
            raise wrong(form, "table_needed", "`dataframe_records` is a list of rows, each with its columns' names.")
        return None, given
    names = list(given[0])
    for number, row in enumerate(given):
        if type(row) is not dict or row.keys() != given[0].keys():
            raise wrong(f"{form}.{number}", "column_missing", "Every row has the same columns. Fill this one.")
    return names, [[row[name] for name in names] for row in given]


def is_names(given: Any) -> bool:
    return type(given) is list and all(type(name) is str for name in given) and len(set(given)) == len(given)


def places(names: Sequence[str] | None, order: Sequence[str], path: str) -> list[int]:
    """Where in a row the columns are that the model takes, in its order; without names they are in that order."""
    if names is None:
        return list(range(len(order)))
    there = {name: place for place, name in enumerate(names)}
    if missing := [name for name in order if name not in there]:
        raise wrong(path, "column_missing", f"The model also takes {listed(missing)}. Send all columns.")
    if unknown := sorted(there.keys() - set(order)):
        raise wrong(path, "column_unknown", f"The model does not take {listed(unknown)}. Leave these columns out.")
    return [there[name] for name in order]


def predictions(outputs: Sequence[Output], rows: int) -> list[dict[str, Any]]:
    """For each row what every output says of it; columns by their classes, where the model names them."""
    found: list[dict[str, Any]] = [{} for _ in range(rows)]
    for one in outputs:
        if not one.values.ndim or len(one.values) != rows:
            continue
        for row, value in zip(found, one.values.tolist(), strict=True):
            row[one.name] = named(value, one.classes)
    return found


def named(value: Any, classes: Sequence[str] | None) -> Any:
    return value if classes is None else dict(zip(classes, value, strict=True))
