"""The expression that reduces rows to cells, run by a local Spark: the one for files and PostgreSQL, unchanged."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from fairness import cells
from fairness.dataset import Source, opened
from fairness.roles import Roles
from tests.fairness import files
from tests.fairness.test_connected import KINDS, loans

TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "text": "VARCHAR"}


@pytest.mark.long  # 450 MB of another's package and a Java
@pytest.mark.filterwarnings("ignore")
def test_spark_gives_the_same_cells(tmp_path):
    reason = "Spark is not here: .venv/bin/pip install 'pyspark>=3.5,<4.1', and a Java of 17 or later"
    sql = pytest.importorskip("pyspark.sql", reason=reason)
    if not shutil.which("java"):
        pytest.skip(reason)
    import duckdb
    import ibis

    path, text = tmp_path / "loans.parquet", files.csv(tmp_path, loans().decode())
    columns = {name: TYPES[kind] for name, kind in KINDS.items()}
    duckdb.sql(f"COPY (FROM read_csv('{text}', columns = {columns})) TO '{path}'")
    spark = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(tmp_path / "warehouse"))
        .getOrCreate()
    )
    try:
        con = ibis.pyspark.connect(spark)
        table = con.read_parquet(str(path), table_name="loans")
        elsewhere = Source("connection", con, table, int(table.count().to_pyarrow().as_py()))
        with opened(path) as here:
            assert elsewhere.rows == here.rows == 612
            submitted = Roles("outcome", ("group", "age"), prediction="decided", weight="weight", cluster="person")
            for cells_of in (
                lambda source: cells.column_cells(source, submitted, "1"),
                lambda source: cells.historical_cells(source, Roles("outcome", ("group",)), 1),
                lambda source: cells.class_cells(source, Roles("class", ("group",), prediction="guess"), "x"),
            ):
                ours, theirs = cells_of(here), cells_of(elsewhere)
                assert (ours.attributes, ours.groups) == (theirs.attributes, theirs.groups)
                assert np.array_equal(ours.n, theirs.n)
                np.testing.assert_allclose(theirs.w, ours.w, rtol=1e-12)
                np.testing.assert_allclose(theirs.w2, ours.w2, rtol=1e-12)
    finally:
        spark.stop()
