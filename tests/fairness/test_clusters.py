"""Rows of one person: their sums by cluster, and what they do to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairness import cells as reduce
from fairness.bias import bias_report, canonical_bytes
from fairness.clusters import CountedCells
from fairness.dataset import opened
from fairness.problems import DataProblem
from fairness.roles import Roles
from tests.fairness.files import csv, uncounted


def people(folder: Path, rows: int = 1500) -> tuple[Path, dict[str, Any]]:
    """A Parquet file of people with several rows each, some without a group; the columns as arrays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    who = rng.integers(0, 300, rows)
    g = np.array(["a", "b", ""], dtype=object)[who % 3]
    y = (rng.random(300) < 0.4)[who].astype(int)
    data = {
        "who": who, "g": g, "h": rng.choice([1.0, 1e-7], rows), "y": y,
        "p": np.where(rng.random(rows) < 0.9, y, 1 - y), "w": rng.lognormal(0, 0.5, rows),
    }  # fmt: skip
    path = folder / "people.parquet"
    pq.write_table(pa.table({name: pa.array(list(values)) for name, values in data.items()}), path)
    return path, data


@pytest.mark.parametrize("weight", [None, "w"])
def test_moments_are_those_of_each_clusters_totals_however_decisions_are_made(
    tmp_path: Path, weight: str | None
) -> None:
    path, data = people(tmp_path)
    with opened(path) as source:
        given = reduce.column_cells(source, Roles("y", ("g", "h"), prediction="p", weight=weight, cluster="who"), 1)
    roles = Roles("y", ("g", "h"), weight=weight, cluster="who")
    with opened(path) as source:
        chosen = data["p"].astype(bool)
        made = reduce.scored_cells(source, roles, 1, lambda batch: chosen[batch[""]], (), (), size=400)
    assert isinstance(given, CountedCells)
    assert isinstance(made, CountedCells)
    assert list(given.moments) == [(), ("g",), ("h",), ("g", "h")]
    named = {"g": np.where(data["g"] == "", "unknown", data["g"]), "h": np.where(data["h"] == 1, "1", "0.0000001")}
    w = data["w"] if weight else np.ones(len(data["y"]))
    for attributes, found in given.moments.items():
        assert np.array_equal(found.products, made.moments[attributes].products)
        assert np.array_equal(found.clusters, made.moments[attributes].clusters)
        for group, clusters, products in zip(found.groups, found.clusters, found.products, strict=True):
            here = np.ones(len(w), dtype=bool)
            for name, value in zip(attributes, group, strict=True):
                here &= named[name] == value
            totals = np.zeros((300, 4))
            np.add.at(totals, (data["who"][here], (2 * data["y"] + data["p"])[here]), w[here])
            assert products == pytest.approx(totals.T @ totals, rel=1e-12)
            assert clusters == len(set(data["who"][here]))


def test_people_with_many_rows_are_worth_about_as_many_people(tmp_path: Path) -> None:
    path, _ = people(tmp_path)
    roles = Roles("y", ("g",), prediction="p", cluster="who")
    report = bias_report(path, roles, positive=1, source="submitted")
    assert canonical_bytes(report) == canonical_bytes(bias_report(path, roles, positive=1, source="submitted"))
    assert uncounted(report) == set()
    plain = bias_report(path, Roles("y", ("g",), prediction="p"), positive=1, source="submitted")
    for own, alone in zip(report["attributes"][0]["groups"], plain["attributes"][0]["groups"], strict=True):
        rate, single = own["metrics"]["base_rate"], alone["metrics"]["base_rate"]
        assert rate["value"] == single["value"]
        assert rate["size"] == single["size"]
        # A person's label is the same in all of about five rows; there are about a hundred people in a group.
        assert 60 < rate["effective_size"] < 105
        assert rate["high"] - rate["low"] > 1.5 * (single["high"] - single["low"])
        f1, other = own["metrics"]["f1"], alone["metrics"]["f1"]
        assert f1["value"] == other["value"]
        assert f1["high"] - f1["low"] > other["high"] - other["low"]
    # Fisher's test takes rows for independent people.
    assert {row["p_value_exact"] for row in report["attributes"][0]["to_reference"]} == {None}
    assert all(row["p_value_exact"] is not None for row in plain["attributes"][0]["to_reference"])
    assert "clustered" in [warning["code"] for warning in report["warnings"]]
    assert report["provenance"]["parameters"]["roles"]["cluster"] == "who"
    assert "cluster" not in plain["provenance"]["parameters"]["roles"]


def test_a_row_without_its_cluster_is_named(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,g,who\n1,a,1\n0,b,\n")
    with pytest.raises(DataProblem) as caught:
        bias_report(path, Roles("y", ("g",), cluster="who"), positive=1, source="historical")
    assert (caught.value.code, caught.value.column, caught.value.row) == ("value_missing", "who", 2)


@pytest.mark.parametrize("weight", ["nan", "inf", "-inf"])
def test_a_weight_is_a_finite_number(tmp_path: Path, weight: str) -> None:
    path = csv(tmp_path, f"y,g,w\n1,a,1\n0,b,{weight}\n")
    with pytest.raises(DataProblem) as caught:
        bias_report(path, Roles("y", ("g",), weight="w"), positive=1, source="historical")
    assert (caught.value.code, caught.value.column, caught.value.row) == ("not_numeric", "w", 2)
