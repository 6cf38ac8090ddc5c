"""Rows that belong together, reduced by DuckDB to the moments of their clusters beside the cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fairness.clusters import CountedCells, moments
from fairness.metrics import Cells
from fairness.naming import UNKNOWN, canonical
from fairness.roles import Roles

# The positive class as the label has it, and the label's class of each decision.
Meanings = tuple[str, dict[str, str]]


def named_rows(table: Any, columns: Any, roles: Roles, decision: Any, scale: int, label: Any = None) -> Any:
    """Rows with the cluster, attributes, label and decision as text, and the weight as whole multiples of 2^-scale."""
    assert roles.cluster is not None
    named = {f"s{i}": columns[name] for i, name in enumerate(roles.sensitive)}
    outcome = columns[roles.label] if label is None else label
    named |= {"cluster__": columns[roles.cluster], "y__": outcome, "p__": decision}
    named = {name: column.cast("string") for name, column in named.items()}
    weight = (columns[roles.weight].cast("float64") * 2.0**scale).cast("decimal(38, 0)") if roles.weight else 1
    return table.select(**named, w__=weight)


def kept_batch(con: Any, rows: Any, first: bool) -> None:
    """Add a batch to the table `kept`, one row for each cluster, group, label and decision in it."""
    keys = [name for name in rows.columns if name != "w__"]
    batch = rows.group_by(keys).aggregate(w__=rows["w__"].sum().cast("decimal(38, 0)"))
    if first:
        con.create_table("kept", batch)
    else:
        con.insert("kept", batch)


def with_clusters(
    con: Any, rows: Any, cells: Cells, roles: Roles, meanings: Meanings, scale: int, depth: int
) -> CountedCells:
    """Cells and the moments of their clusters. Texts are named as `canonical` names the values behind them."""
    import ibis

    def seen(name: str, wanted: Callable[[str], Any]) -> Any:
        texts = [row[name] for row in con.to_pyarrow(rows.select(name).distinct()).to_pylist()]
        branches = [
            (rows[name].isnull() if text is None else rows[name] == text, wanted(_said(text))) for text in texts
        ]
        return ibis.cases(*branches, else_=None)

    yes, named = meanings
    columns = {f"s{i}": seen(f"s{i}", lambda text: text) for i in range(len(roles.sensitive))}
    columns |= {"y__": seen("y__", lambda text: text == yes), "p__": seen("p__", lambda text: named.get(text) == yes)}
    ready = rows.select(cluster__=rows["cluster__"], w__=rows["w__"], **columns)
    found = moments(con, ready, cells, min(depth, len(roles.sensitive)), scale)
    return CountedCells(cells.attributes, cells.groups, cells.n, cells.w, cells.w2, found)


def _said(text: str | None) -> str:
    """The canonical name of a value that DuckDB wrote as text; a number with an exponent is written out."""
    if text is not None and re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+", text.strip()):
        return canonical(float(text))
    return UNKNOWN if text is not None and text == "nan" else canonical(text)
