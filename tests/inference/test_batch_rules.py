"""The rules of batches that need no database: schedules, values, and how rows are read."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from celery.schedules import crontab
from hypothesis import given
from hypothesis import strategies as st

from inference.batch import rows
from inference.batch.cron import NotCron, parsed
from inference.batch.problems import BatchProblem
from inference.batch.values import Column, array_of, columns_of, finite_at_fault, named
from registry.onnx.facts import Tensor

START = datetime(2026, 11, 29, 4, 30, 12, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("text", "next_at"),
    [
        ("0 5 * * *", "2026-11-29T05:00"),
        ("30 4 * * *", "2026-11-30T04:30"),
        ("15 4 * * 1-5", "2026-11-30T04:15"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("10/25 4 * * 7", "2026-11-29T04:35"),
        ("0 0 13 * 5", "2026-12-04T00:00"),
        ("0 */6 1,15 * *", "2026-12-01T00:00"),
        ("5 4 * 12 *", "2026-12-01T04:05"),
    ],
)
def test_a_schedule_is_next_due_as_crontab_says(text, next_at):
    assert parsed(text).after(START) == datetime.fromisoformat(f"{next_at}:00+00:00")


@pytest.mark.parametrize(
    "text",
    ["", "0 4 * *", "0 4 * * * *", "60 4 * * *", "0 5-2 * * *", "x 4 * * *", "*/0 4 * * *", "0 4 0 * *", "1- * * * *"],
)
def test_what_is_no_schedule_is_refused_with_a_sentence(text):
    with pytest.raises(NotCron, match=r"\.$"):
        parsed(text)


def test_a_day_that_never_comes_is_refused():
    with pytest.raises(NotCron, match="no such day"):
        parsed("0 0 30 2 *").after(START)


@given(
    st.integers(0, 59), st.sets(st.integers(0, 23), min_size=1), st.sets(st.integers(0, 6), min_size=1),
    st.datetimes(datetime(2026, 1, 1), datetime(2040, 1, 1)),
)  # fmt: skip
def test_the_next_time_fits_and_none_is_left_out(minute, hours, days, moment):
    """Against Celery's own reading of the same fields."""
    wide = {"hour": ",".join(map(str, hours)), "day_of_week": ",".join(map(str, days))}
    at = parsed(f"{minute} {wide['hour']} * * {wide['day_of_week']}").after(moment.replace(tzinfo=UTC))
    oracle = crontab(minute=minute, **wide)
    assert (at.minute, at.hour in oracle.hour, at.isoweekday() % 7 in oracle.day_of_week) == (minute, True, True)
    step = (moment.replace(tzinfo=UTC, second=0, microsecond=0) + timedelta(hours=1)).replace(minute=minute)
    while step < at:
        assert not (step.hour in oracle.hour and step.isoweekday() % 7 in oracle.day_of_week)
        step += timedelta(hours=1)


TAKEN = [
    ("float32", True, ["1", " 2.5 ", "-3e2"], [1.0, 2.5, -300.0]),
    ("float64", False, [1, 2.5, 10**300], [1.0, 2.5, 1e300]),
    ("int64", True, ["7", "-8", "9.0"], [7, -8, 9]),
    ("uint64", True, [str(2**64 - 1)], [2**64 - 1]),
    ("int8", False, [127, -128.0], [127, -128]),
    ("bool", True, ["true", "0", " FALSE "], [True, False, False]),
    ("bool", False, [True, False], [True, False]),
    ("object", True, ["a", " b"], ["a", " b"]),
]


@pytest.mark.parametrize(("dtype", "text", "values", "wanted"), TAKEN)
def test_what_fits_is_taken_as_it_is(dtype, text, values, wanted):
    found = array_of(values, Column("income", dtype), 1, text=text)
    assert (found.dtype.name, found.tolist()) == (dtype, wanted)


WRONG = [
    ("float32", True, "", "value_missing"), ("float32", False, None, "value_missing"),
    ("float32", True, "NaN", "not_finite"), ("float32", False, math.inf, "not_finite"),
    ("float32", True, "many", "wrong_type"), ("float32", True, "1_000", "wrong_type"),
    ("float32", False, "1", "wrong_type"), ("float32", False, True, "wrong_type"),
    ("float32", False, 1e39, "out_of_range"), ("float64", False, 10**400, "out_of_range"),
    ("int64", False, 1.5, "wrong_type"), ("int64", True, "1e300", "wrong_type"),
    ("int64", False, None, "value_missing"),
    ("int8", True, "128", "out_of_range"), ("uint8", False, -1, "out_of_range"),
    ("bool", True, "yes", "wrong_type"), ("bool", True, " ", "value_missing"), ("bool", False, 1, "wrong_type"),
    ("bool", False, None, "value_missing"),
    ("object", False, 5, "wrong_type"), ("object", False, None, "value_missing"), ("object", True, "", "value_missing"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "text", "value", "code"), WRONG)
def test_what_does_not_fit_is_refused_with_column_and_row(dtype, text, value, code):
    good = {"b": "true" if text else True, "o": "a"}.get(dtype[0], "1" if text else 1)
    with pytest.raises(BatchProblem, match=r"“income” .* in row 1,003\b") as refused:
        array_of([good, good, value, good], Column("income", dtype), 1_001, text=text)
    assert refused.value.code == code


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)))
def test_numbers_come_through_json_and_csv_alike(values):
    column = Column("x", "float32")
    by_text = array_of([repr(value) for value in values], column, 1, text=True)
    by_json = array_of(json.loads(json.dumps(values)), column, 1, text=False)
    assert by_text.tobytes() == by_json.tobytes() == np.array(values, dtype="float32").tobytes()


def test_a_model_reads_its_inputs_or_its_features():
    wide, narrow = Tensor("X", "tensor(float)", (None, 2)), Tensor("age", "tensor(int64)", (None, 1))
    assert columns_of([wide], ["debt", "income"], ["income", "debt"]) == (
        Column("income", "float32"), Column("debt", "float32"),
    )  # fmt: skip
    assert columns_of([narrow], ["age", "x"], ["age"]) == (Column("age", "int64"),)
    with pytest.raises(BatchProblem, match="debt") as refused:
        columns_of([wide], ["income"], ["income", "debt"])
    assert refused.value.code == "column_missing"


def test_columns_of_a_result_never_share_a_name():
    assert named([("label", None, 1), ("p", None, 2), ("q", ("no", "yes"), 2)]) == [
        ["label"], ["p.0", "p.1"], ["q.no", "q.yes"], ["row", "decision"],
    ]  # fmt: skip
    assert named([("decision", None, 1), ("row", None, 1), ("_row", None, 1)])[-1] == ["__row", "_decision"]


def test_an_output_that_is_no_number_is_told_by_its_row():
    good = {"p": np.array([0.5, 0.5]), "label": np.array(["a", "b"], dtype=object)}
    assert finite_at_fault(good, 11) == ""
    assert "“p” is not a finite number in row 12" in finite_at_fault({**good, "p": np.array([0.5, np.nan])}, 11)


def in_three_forms(folder, lines):
    """The same rows as CSV, JSON Lines and Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "a.csv").write_text("b;a\n" + "".join(f"{line['b']};{line['a']}\n\n" for line in lines))
    (folder / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    pq.write_table(pa.Table.from_pylist(lines), folder / "a.parquet", row_group_size=3)
    return [folder / f"a.{form}" for form in ("csv", "jsonl", "parquet")]


def test_rows_come_in_order_in_chunks_from_wherever_the_last_attempt_ended(tmp_path):
    lines = [{"a": number, "b": f"x{number}"} for number in range(1, 11)]
    for path in in_three_forms(tmp_path, lines):
        table = rows.opened(path)
        assert set(table.names) == {"a", "b"}
        for skip in range(11):
            found = list(rows.chunks(table, ["a", "b"], 4, skip))
            assert [int(a) for chunk in found for a in chunk.columns["a"]] == list(range(skip + 1, 11))
            assert [b for chunk in found for b in chunk.columns["b"]] == [line["b"] for line in lines[skip:]]
            assert [chunk.first for chunk in found] == list(range(skip + 1, 11, 4))
            assert all(0 < chunk.part <= 1 for chunk in found)


BROKEN = [
    (b"", "empty_file", "empty"),
    (b"a,b\n1,\xff\n", "not_utf8", "line 2"),
    (b"a,,b\n1,2,3\n", "column_unnamed", "first line"),
    (b"a,a\n1,2\n", "duplicate_column", "“a”"),
    (b"a,b\n1,2\n\n3\n", "wrong_width", "Row 2 has 1 values"),
    (b'a,b\n1,2\n3,"4"x\n', "broken_csv", "row 2 (line 3)"),
    (b'{"a": 1, "b": 2}\n{"a": 1\n', "not_json", "Row 2"),
    (b'{"a": 1, "b": 2}\n[1]\n', "not_json", "Row 2"),
    (b'{"a": 1, "b": 2}\n{"a": 1}\n', "column_missing", "Row 2 has no “b”"),
    (b"PAR1PAR1PAR1PAR1", "broken_parquet", "Write it again"),
]


@pytest.mark.parametrize(("data", "code", "told"), BROKEN, ids=[f"{code}-{told[:8]}" for _, code, told in BROKEN])
def test_a_file_that_cannot_be_read_says_where(tmp_path, data, code, told):
    path = tmp_path / "rows"
    path.write_bytes(data)
    with pytest.raises(BatchProblem) as refused:
        list(rows.chunks(rows.opened(path), ["a", "b"], 10, 0))
    assert refused.value.code == code
    assert told in refused.value.sentence
