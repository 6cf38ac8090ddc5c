"""What runs inside the confined process, called directly: the same answers as through the pipe."""

import pytest

from registry.tables import child, reader
from registry.tables.problems import TableProblem
from registry.tables.sniff import format_of
from tests.registry.test_tables import BAD
from tests.worlds import csv_bytes


def described(path, groups=()):
    kind = format_of(path)
    con = child.connect(str(path), 1 << 28)
    try:
        table = child.open_table(con, str(path), kind)
        return {"format": kind, **child.profile_of(con, table, kind, {"groups": list(groups)})}
    finally:
        con.close()


@pytest.mark.parametrize(("data", "code", "told"), BAD)
def test_bad_tables(tmp_path, data, code, told):
    path = tmp_path / "table"
    path.write_bytes(data)
    with pytest.raises(TableProblem) as caught:
        described(path)
    assert caught.value.code == code
    assert told in caught.value.sentence


@pytest.mark.parametrize("groups", [(), ("group", "approved")])
def test_a_good_table(tmp_path, groups):
    path = tmp_path / "table.csv"
    path.write_bytes(csv_bytes())
    assert described(path, groups) == reader.profile(path, groups)


def test_types_of_a_parquet(tmp_path):
    import duckdb

    path = tmp_path / "table.parquet"
    duckdb.sql(
        "SELECT i AS whole, i / 3 AS part, i > 1 AS yes, DATE '2026-01-01' AS day, TIMESTAMP '2026-01-01' AS at,"
        " [i] AS list, NULL::INTEGER AS none, 'nan'::DOUBLE AS nothing FROM range(4) t(i)"
    ).write_parquet(str(path))
    found = described(path)
    assert found == reader.profile(path)
    types = {column["name"]: column["type"] for column in found["columns"]}
    assert (types["list"], types["none"]) == ("bigint[]", "integer")


def test_first_rows(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(csv_bytes())
    con = child.connect(str(path), 1 << 28)
    table = child.open_table(con, str(path), "csv")
    assert child.rows_of(con, table, "csv", {"limit": 3})["columns"] == ["approved", "group", "income", "debt"]
    con.close()


def test_a_query_beyond_its_memory_is_said_as_such(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(csv_bytes())
    con = child.connect(str(path), 4 << 20)
    with pytest.raises(MemoryError):
        child.ask(con, "SELECT max(list_sum(l)) FROM (SELECT list(i) l FROM range(50000000) t(i))", "csv")
    con.close()
