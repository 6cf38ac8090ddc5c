"""Tables are read in a confined process, and each bad one gets a sentence."""

import subprocess
import sys
import threading
import time

import psutil
import pytest

from registry.tables import reader
from registry.tables.problems import TableProblem
from tests.worlds import csv_bytes

PARQUET_HEAD = b"PAR1"


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / "it's a table.bin"
        path.write_bytes(data)
        return path

    return write


def refused(code, path, limits=reader.USUAL):
    with pytest.raises(TableProblem) as caught:
        reader.profile(path, limits=limits)
    assert caught.value.code == code, caught.value.sentence
    return caught.value.sentence


def columns(found):
    return {column["name"]: column for column in found["columns"]}


def test_a_csv_is_described(file):
    data = b"y,g,x,d,t\n1,a,0.5,2026-01-01,\n0, ,1,2026-01-02,z\n1,b,nan,2026-01-03,\n"
    found = reader.profile(file(data), ["y", "g"])
    assert (found["format"], found["rows"]) == ("csv", 3)
    by_name = columns(found)
    assert by_name["y"]["type"] == "integer"
    assert by_name["y"]["groups"] == [{"value": "1", "rows": 2}, {"value": "0", "rows": 1}]
    assert (by_name["g"]["missing"], by_name["g"]["distinct"]) == (1, 2)
    assert {"value": None, "rows": 1} in by_name["g"]["groups"]
    assert (by_name["t"]["missing"], by_name["t"]["type"]) == (2, "text")
    assert "groups" not in by_name["x"]
    assert by_name["d"]["type"] == "text"


def test_a_column_is_read_in_the_order_of_its_rows(file, tmp_path):
    path = file(b"a,b,c\n1,x,0.5\n, ,\n9007199254740993,true,1e3\n")
    assert reader.values(path, "a", 9) == [1, None, 9007199254740993]
    assert reader.values(path, "b", 9) == ["x", None, "true"]
    assert reader.values(path, "c", 2) == [0.5, None]
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"only": [True, False] * 30_000}), tmp_path / "t.parquet")
    assert reader.values(tmp_path / "t.parquet", "", 59_999) == [True, False] * 29_999 + [True]


def test_numbers_have_ends(file):
    by_name = columns(reader.profile(file(csv_bytes())))
    assert by_name["income"]["lowest"] < by_name["income"]["highest"]
    assert by_name["income"]["distinct"] <= 200
    assert by_name["approved"]["groups"][0]["value"] == "1"


def test_a_parquet_is_described_with_its_types(tmp_path):
    import duckdb

    path = tmp_path / "table.parquet"
    duckdb.sql(
        "SELECT i AS whole, i / 3 AS part, i % 2 = 0 AS yes, DATE '2026-01-01' + i::INT AS day, 'v' || (i % 3) AS word,"
        " CASE WHEN i > 5 THEN 'nan'::DOUBLE ELSE i END AS gaps, TIMESTAMP '2026-01-01' AS at, [i] AS list"
        " FROM range(10) t(i)"
    ).write_parquet(str(path))
    found = reader.profile(path, ["word"])
    by_name = columns(found)
    assert (found["format"], found["rows"]) == ("parquet", 10)
    assert [by_name[name]["type"] for name in ("whole", "part", "yes", "day", "word", "at")] == [
        "integer", "number", "boolean", "date", "text", "time",
    ]  # fmt: skip
    assert by_name["gaps"]["missing"] == 4
    assert [group["rows"] for group in by_name["word"]["groups"]] == [4, 3, 3]
    assert reader.first_rows(path, 2)[1][0][:2] == ["0", "0.0"]


BAD = [
    (b"", "empty_file", "0 bytes"),
    (b"a,b\n", "no_rows", "no rows"),
    (b"a,b,A\n1,2,3\n", "duplicate_column", "'A'"),
    (b"a,,c\n1,2,3\n", "column_unnamed", "Column 2"),
    ("a,b\n1,caf\xe9\n".encode("latin-1"), "not_utf8", "line 2 holds the byte 0xE9"),
    (b"a,b\n" + b"1,2\n" * 300_000 + b"\xff,1\n", "not_utf8", "line 300,002"),
    (b"a,b\n1,\xe2\x82", "not_utf8", "0xE2"),
    (b"\x00\x01\x02", "not_text", "zero bytes"),
    (b"# a remark\n\na,b\n1,2\n", "broken_csv", "first line"),
    (b"a,b\n" + b"1,2\n" * 50 + b"1,2,3,4\n" + b"1,2\n" * 50, "broken_csv", "Line 52 has 4 values"),
    (PARQUET_HEAD + b"xx", "broken_parquet", "breaks off"),
    (PARQUET_HEAD + b"a" * 20 + PARQUET_HEAD, "broken_parquet", "cannot be read"),
    (
        ",".join(f"c{n}" for n in range(2001)).encode() + b"\n" + b",".join([b"1"] * 2001),
        "too_many_columns",
        "2,001",
    ),
]


@pytest.mark.parametrize(("data", "code", "told"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_tables(file, data, code, told):
    assert told in refused(code, file(data))


def test_other_separators_and_a_byte_order_mark_are_fine(file):
    assert columns(reader.profile(file(b"\xef\xbb\xbfa;b\n1;2\n3;4\n"))).keys() == {"a", "b"}


def test_first_rows_are_cut_and_gaps_are_none(file):
    names, rows = reader.first_rows(file(b"a,b\n" + b"x" * 500 + b",\n1,2\n3,4\n"), 2)
    assert names == ["a", "b"]
    assert rows == [["x" * 200, None], ["1", "2"]]


def test_the_reader_may_open_nothing_else(file, tmp_path):
    other = tmp_path / "secret.csv"
    other.write_text("a,b\n1,2\n")
    path = file(b"a,b\n1,2\n")
    opened = f"from registry.tables.child import connect; c = connect({str(path)!r}, 1 << 28)"
    program = f"{opened}; c.read_csv({str(other)!r}).fetchall()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=reader.ROOT, check=False)
    assert done.returncode == 1
    assert "disabled" in done.stderr or "Permission" in done.stderr


def test_a_table_that_takes_too_long_is_given_up(file):
    assert "0.05 s" in refused("too_slow", file(csv_bytes()), reader.Limits(seconds=0.05))


def test_a_table_beyond_its_memory_is_refused(file):
    with pytest.raises(TableProblem) as caught:
        reader.profile(file(csv_bytes()), limits=reader.Limits(address_bytes=1 << 20))
    # Where no more memory is to be had, the library raises an error or, rarely, falls over it.
    assert caught.value.code == "too_big" or "exit code -11" in caught.value.sentence


def test_a_process_that_dies_is_a_refusal(file):
    path = file(csv_bytes() + b"1,a,2,3\n" * 1_000_000)

    def kill() -> None:
        while not (found := [child for child in psutil.Process().children() if str(path) in " ".join(child.cmdline())]):
            time.sleep(0.01)
        found[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    assert "exit code -9" in refused("unreadable", path)
    killer.join()


def test_a_word_among_numbers_makes_a_column_text(file):
    found = columns(reader.profile(file(b"a,b\n" + b"1,2\n" * 5000 + b"many,2\n")))
    assert (found["a"]["type"], found["b"]["type"]) == ("text", "integer")
    assert "lowest" not in found["a"]
