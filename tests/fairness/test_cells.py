"""From files to cells, and the sentences for files that will not do."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairness import cells as reduce
from fairness.dataset import opened
from fairness.metrics import Cells
from fairness.naming import UNKNOWN, canonical
from fairness.problems import DataProblem
from fairness.roles import Roles
from tests.fairness.files import csv

ROLES = Roles("y", ("g",))


def counted(path: Path, roles: Roles = ROLES, positive: object = 1, **how: Any) -> Cells:
    with opened(path) as source:
        if "predict" in how:
            return reduce.scored_cells(source, roles, positive, **how)
        if roles.prediction or roles.score:
            return reduce.column_cells(source, roles, positive, how.get("at_least"))
        return reduce.historical_cells(source, roles, positive)


def problem(path: Path, roles: Roles = ROLES, positive: object = 1, **how: Any) -> DataProblem:
    with pytest.raises(DataProblem) as caught:
        counted(path, roles, positive, **how)
    assert str(caught.value) == caught.value.sentence
    assert caught.value.sentence.endswith(".")
    return caught.value


def parquet(folder: Path, **columns: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "data.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_a_csv_becomes_cells_and_missing_is_a_group(tmp_path: Path) -> None:
    found = counted(csv(tmp_path, "y,g\n1,a\n0,a\n1,b\n1,\n0,\n"))
    assert found.groups == (("a",), ("b",), (UNKNOWN,))
    assert found.n.tolist() == [[[1, 0], [0, 1]], [[0, 0], [0, 1]], [[1, 0], [0, 1]]]
    assert not found.weighted
    assert found.unknown() == (False, False, True)


def test_the_same_values_in_other_types_are_the_same_groups(tmp_path: Path) -> None:
    as_text = counted(csv(tmp_path, "y,g\n1.0,1\n0.0,2\n1.0,2.0\n"))
    as_float = counted(parquet(tmp_path, y=[1, 0, 1], g=[1.0, 2.0, 2.0]))
    assert as_text.groups == as_float.groups == (("1",), ("2",))
    assert np.array_equal(as_text.n, as_float.n)
    of_bools = counted(parquet(tmp_path, y=[True, False, True], g=["1", "2", "2"]), positive=1)
    assert np.array_equal(of_bools.n, as_text.n)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, UNKNOWN), (math.nan, UNKNOWN), ("", UNKNOWN), ("  ", UNKNOWN), (True, "true"), (False, "false"),
        (1, "1"), (1.0, "1"), ("1.0", "1"), ("-2.00", "-2"), (1.5, "1.5"), (1e21, "1" + "0" * 21),
        (1e-7, "0.0000001"),
        (Decimal("3.00"), "3"), (datetime.date(2024, 1, 2), "2024-01-02"), (" a ", "a"), ("1.0.0", "1.0.0"),
    ],
)  # fmt: skip
def test_values_have_one_name(value: object, text: str) -> None:
    assert canonical(value) == text


def test_decisions_may_stand_in_a_column_or_follow_from_a_score(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,g,p,s\n1,a,1,0.9\n0,a,1,0.5\n1,b,0,0.49\n0,b,0,0.1\n")
    by_column = counted(path, Roles("y", ("g",), prediction="p"))
    by_score = counted(path, Roles("y", ("g",), score="s"), at_least=0.5)
    assert by_column.n.tolist() == by_score.n.tolist() == [[[0, 1], [0, 1]], [[1, 0], [1, 0]]]
    number = parquet(tmp_path, y=[1, 0, 1, 0], g=["a", "a", "b", "b"], s=[0.9, 0.5, 0.49, 0.1])
    assert np.array_equal(counted(number, Roles("y", ("g",), score="s"), at_least=0.5).n, by_score.n)
    never = csv(tmp_path, "y,g,p\n1,a,0\n0,b,0\n", "never.csv")
    assert counted(never, Roles("y", ("g",), prediction="p")).n[:, :, 1].sum() == 0


def test_batches_scored_here_make_the_same_cells(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    y, g, x = rng.integers(0, 2, 5000), rng.integers(0, 3, 5000), rng.random(5000)
    w, word = rng.lognormal(0, 1, 5000), rng.choice(["k", "m"], 5000)
    path = parquet(tmp_path, y=y, g=g, x=x, w=w, word=word, p=(x > 0.5).astype(int) * (word == "k"))
    roles = Roles("y", ("g",), weight="w")
    steps: list[int] = []
    scored = counted(
        path, roles, predict=lambda batch: (batch["x"] > 0.5) & (batch["word"] == "k"), numbers=("x",), words=("word",),
        step=steps.append, size=700,
    )  # fmt: skip
    direct = counted(path, Roles("y", ("g",), prediction="p", weight="w"))
    assert np.array_equal(scored.n, direct.n)
    assert np.array_equal(scored.w, direct.w)
    assert np.array_equal(scored.w2, direct.w2)
    assert steps[-1] == 5000
    assert len(steps) > 5
    chosen = (x > 0.5) & (word == "k")
    given = counted(path, roles, predict=lambda batch: chosen[batch[""]], numbers=(), words=())
    assert np.array_equal(given.n, direct.n)


def test_sums_of_weights_are_exact_and_owe_nothing_to_threads(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    n = 300_000
    y, g, w = rng.integers(0, 2, n), rng.integers(0, 4, n), rng.lognormal(0, 3, n)
    path = parquet(tmp_path, y=y, g=g, w=w)
    roles = Roles("y", ("g",), weight="w")
    found = [counted(path, roles) for _ in range(4)]
    for other in found[1:]:
        assert np.array_equal(found[0].w, other.w)
        assert np.array_equal(found[0].w2, other.w2)
    for group in range(4):
        for label in (0, 1):
            chosen = w[(g == group) & (y == label)]
            assert found[0].w[group, label, label] == pytest.approx(math.fsum(chosen), rel=1e-15)
            assert found[0].w2[group, label, label] == pytest.approx(math.fsum(chosen**2), rel=1e-15)
    tiny = counted(parquet(tmp_path, y=[1, 0, 1], g=[1, 1, 2], w=[1e-9, 2e-9, 3e-9]), roles)
    assert tiny.w.sum() == pytest.approx(6e-9, rel=1e-15)


def test_a_hundred_thousand_rows_in_any_order_give_the_same_cells(tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    y, g, w = rng.integers(0, 2, 100_000), rng.integers(0, 3, 100_000), rng.random(100_000) + 0.01
    order = rng.permutation(100_000)
    roles = Roles("y", ("g",), weight="w")
    one = counted(parquet(tmp_path, y=y, g=g, w=w), roles)
    other = counted(parquet(tmp_path, y=y[order], g=g[order], w=w[order]), roles)
    assert np.array_equal(one.w, other.w)
    assert np.array_equal(one.n, other.n)


@pytest.mark.parametrize(
    ("text", "code", "words", "column", "row"),
    [
        ("y,h\n1,a\n0,b\n", "column_missing", "has no column 'g'", "g", None),
        ("y,g\n", "no_rows", "no rows", None, None),
        ("y,g\n1,a\n1,b\n", "one_class", "holds only 1 in every row", "y", None),
        ("y,g\n1,a\n0,b\n2,b\n", "not_binary", "3 different values (0, 1, 2", "y", None),
        ("y,g\nyes,a\nno,b\n", "positive_class_missing", "never the positive class 1", "y", None),
        ("y,g\n1,a\n,b\n0,b\n", "value_missing", "'y' is empty in row 2", "y", 2),
    ],
)
def test_a_csv_that_will_not_do(
    tmp_path: Path, text: str, code: str, words: str, column: str | None, row: int | None
) -> None:
    found = problem(csv(tmp_path, text))
    assert (found.code, found.column, found.row) == (code, column, row)
    assert words in found.sentence


def test_a_missing_label_in_parquet_is_found_by_its_row(tmp_path: Path) -> None:
    for missing in (None, math.nan):
        found = problem(parquet(tmp_path, y=[1.0, 0.0, 1.0, missing], g=["a", "b", "a", "b"]))
        assert (found.code, found.row) == ("value_missing", 4)


def test_an_empty_file(tmp_path: Path) -> None:
    assert problem(csv(tmp_path, "")).code == "empty_file"


@pytest.mark.parametrize(
    ("lines", "where", "row"), [(0, "the header", None), (3, "line 4 (row 3)", 3), (90_000, "", 90_000)]
)
def test_latin_1_bytes_are_found(tmp_path: Path, lines: int, where: str, row: int | None) -> None:
    path = tmp_path / "latin.csv"
    good = ["y,grün,g"] if lines else []
    text = "\n".join([*good, *(["1,ä,a"] * (lines - 1 if lines else 0))]).encode() + (b"\n" if lines else b"")
    path.write_bytes(text + "1,Zoë,b\n".encode("latin-1"))
    found = problem(path)
    assert (found.code, found.row) == ("not_utf8", row)
    assert where in found.sentence
    assert f"byte {len(text) + 5:,}" in found.sentence
    assert "0xEB" in found.sentence
    assert "save it as UTF-8" in found.sentence


def test_bytes_cut_within_a_character_are_found(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_bytes("y,g\n1,ä".encode()[:-1])
    assert problem(path).code == "not_utf8"
    long = tmp_path / "long.csv"
    body = b"y,g\n" + b"1,a\n" * 262_143
    long.write_bytes(body[: (1 << 20) - 1] + "ä".encode()[:1] + b"\n")
    assert f"byte {1 << 20:,}" in problem(long).sentence


def test_a_binary_file_is_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "zeros.csv"
    path.write_bytes(b"y,g\n1,\0\n")
    assert problem(path).code == "not_text"


def test_a_truncated_parquet(tmp_path: Path) -> None:
    whole = parquet(tmp_path, y=[1, 0], g=["a", "b"]).read_bytes()
    path = tmp_path / "cut.parquet"
    for part in (whole[:-3], whole[: len(whole) // 2], b"PAR1"):
        path.write_bytes(part)
        found = problem(path)
        assert found.code == "truncated_parquet"
        assert "Upload it again" in found.sentence
    path.write_bytes(whole[:20] + bytes(len(whole) - 40) + whole[-20:])
    assert problem(path).code == "broken_parquet"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,a,c,d", "expected Number of Columns: 2 Found: 3"),
        ("1", "expected Number of Columns: 2 Found: 1"),
        ('1,"a', "value with unterminated quote found"),
    ],
)
def test_a_csv_that_does_not_parse_says_where(tmp_path: Path, line: str, words: str) -> None:
    found = problem(csv(tmp_path, "y,g\n" + "1,a\n0,b\n" * 50 + line + "\n1,a\n"))
    assert (found.code, found.row) == ("broken_csv", 101)
    assert "line 102" in found.sentence
    assert words in found.sentence
    assert str(tmp_path) not in found.sentence


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffy,g\r\n1,a\r\n0,b\r\n",
        "y;g\n1;a\n0;b\n",
        "y\tg\n1\ta\n0\tb\n",
        '"y","g"\n"1","a"\n"0","b"\n',
        "y,g\n1,a\n\n0,b",
    ],
)
def test_common_ways_to_write_a_csv_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "way.csv"
    path.write_bytes(text.encode())
    assert counted(path).groups == (("a",), ("b",))


@pytest.mark.parametrize(("header", "words"), [("y,y", "called 'y'"), ("y,", "Column 2"), ("", "first line")])
def test_a_header_names_every_column_once(tmp_path: Path, header: str, words: str) -> None:
    found = problem(csv(tmp_path, f"{header}\n1,a\n0,b\n"))
    assert found.code == "bad_header"
    assert words in found.sentence


def test_a_million_categories_are_too_many(tmp_path: Path) -> None:
    y = np.arange(200_000) % 2
    found = problem(parquet(tmp_path, y=y, g=np.arange(200_000)))
    assert (found.code, found.column) == ("too_many_categories", "g")
    assert "200,000 different values" in found.sentence
    some = problem(parquet(tmp_path, y=y[:400], g=np.arange(400) % 150))
    assert "150 different values" in some.sentence


def test_too_many_combinations_and_attributes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    columns = {f"g{i}": rng.integers(0, 90, 60_000) for i in range(3)}
    path = parquet(tmp_path, y=rng.integers(0, 2, 60_000), **columns)
    assert problem(path, Roles("y", ("g0", "g1", "g2"))).code == "too_many_combinations"
    assert problem(path, Roles("y", tuple(f"g{i % 3}" for i in range(9)))).code == "too_many_attributes"
    assert problem(path, Roles("y", ())).code == "no_sensitive_attribute"


@pytest.mark.parametrize(
    ("cell", "code", "words"),
    [
        ("tall", "not_numeric", "holds 'tall' in row 3"),
        ("", "value_missing", "is empty in row 3"),
        ("nan", "not_numeric", "holds 'nan' in row 3"),
        ("inf", "not_numeric", "holds 'inf' in row 3"),
    ],
)
def test_a_feature_that_is_no_number_is_named(tmp_path: Path, cell: str, code: str, words: str) -> None:
    path = csv(tmp_path, f"y,g,x\n1,a,1\n0,b,2\n1,b,{cell}\n0,a,4\n1,a,{cell}\n")
    found = problem(path, predict=lambda batch: batch["x"] > 1, numbers=("x",), words=())
    assert (found.code, found.column, found.row) == (code, "x", 3)
    assert words in found.sentence
    assert "2 such rows" in found.sentence


def test_nan_and_dates_among_a_parquets_features_are_named(tmp_path: Path) -> None:
    path = parquet(tmp_path, y=[1, 0], g=["a", "b"], x=[0.5, math.nan], d=[datetime.date(2024, 1, 1)] * 2)
    found = problem(path, predict=lambda batch: batch["x"] > 1, numbers=("x",), words=())
    assert (found.code, found.row) == ("value_missing", 2)
    assert "NaN" in found.sentence
    dates = problem(path, predict=lambda batch: batch["d"] > 1, numbers=("d",), words=())
    assert (dates.code, dates.column) == ("not_numeric", "d")


def test_an_empty_word_is_named(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,g,x\n1,a,k\n0,b,\n")
    found = problem(path, predict=lambda batch: batch["x"] == "k", numbers=(), words=("x",))
    assert (found.code, found.row) == ("value_missing", 2)


@pytest.mark.parametrize(
    ("weight", "code"), [("0", "weight_not_positive"), ("-1", "weight_not_positive"), ("x", "not_numeric")]
)
def test_weights_are_over_nought(tmp_path: Path, weight: str, code: str) -> None:
    found = problem(csv(tmp_path, f"y,g,w\n1,a,1\n0,b,{weight}\n"), Roles("y", ("g",), weight="w"))
    assert (found.code, found.column, found.row) == (code, "w", 2)


def test_a_file_can_reach_no_other_file(tmp_path: Path) -> None:
    import duckdb

    path, other = csv(tmp_path, "y,g\n1,a\n0,b\n"), csv(tmp_path, "secret\n1\n", "other.csv")
    with opened(path) as source, pytest.raises(duckdb.PermissionException):
        source.con.read_csv(str(other))


def test_roles_come_from_a_mapping_or_from_columns() -> None:
    roles = Roles.from_columns(
        {"y": "label", "g": "sensitive", "b": "feature", "a": "feature", "n": "other", "w": "weight"}, ["a", "b"]
    )
    assert roles == Roles("y", ("g",), ("a", "b"), weight="w")
    assert Roles.from_mapping(roles.as_dict()) == roles
    assert Roles.from_mapping({"label": "y", "sensitive": "g"}) == Roles("y", ("g",))
    assert Roles.from_columns({"y": "label", "b": "feature", "a": "feature"}).features == ("b", "a")
    with pytest.raises(DataProblem) as caught:
        Roles.from_columns({"y": "label", "z": "label"})
    assert caught.value.code == "role_twice"
    assert Roles.from_columns({"y": "label_number", "g": "sensitive"}) == Roles("y", ("g",))
    assert Roles.from_columns({"g": "sensitive"}, labelled=False) == Roles("", ("g",))
    with pytest.raises(DataProblem) as caught:
        Roles.from_columns({"g": "sensitive"})
    assert caught.value.code == "label_missing"


def test_pages_that_are_damaged_are_found_when_they_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    path = parquet(tmp_path, y=rng.integers(0, 2, 50_000), g=rng.integers(0, 9, 50_000), z=rng.random(50_000))
    whole = bytearray(path.read_bytes())
    whole[100:8_000] = bytes(7_900)
    path.write_bytes(bytes(whole))
    assert problem(path).code == "broken_parquet"


def test_a_fault_of_ours_is_not_blamed_on_the_data(tmp_path: Path) -> None:
    import duckdb

    with pytest.raises(duckdb.ParserException), opened(csv(tmp_path, "y,g\n1,a\n")) as source:
        source.con.raw_sql("SELEKT 1")


def test_a_dataset_that_needs_too_much_memory_says_so(tmp_path: Path) -> None:
    path = parquet(tmp_path, y=np.arange(400_000), g=[f"{i:0200}" for i in range(400_000)])
    with pytest.raises(DataProblem) as caught, opened(path, memory="20MB") as source:
        source.con.raw_sql("SELECT list(g) FROM dataset").fetchall()
    assert caught.value.code == "too_big"
