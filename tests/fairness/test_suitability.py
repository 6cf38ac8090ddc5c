"""What a report says of rows that make its numbers mean something else, and of rows that it shares with training."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import pytest

from fairness import overlap, suitability
from fairness.bias import bias_report, canonical_bytes
from fairness.dataset import opened
from fairness.problems import DataProblem
from fairness.roles import Roles
from tests.fairness.files import csv

ROLES = Roles("y", ("g",))


def parquet(folder: Path, name: str = "data.parquet", **columns: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / name
    pq.write_table(pa.table(columns), path)
    return path


def told(path: Path, roles: Roles = ROLES, source: Any = "historical", **how: Any) -> dict[str, str]:
    report = bias_report(path, roles, positive=1, source=source, **how)
    return {each["code"]: each["sentence"] for each in report["warnings"]}


def refused(path: Path, roles: Roles = ROLES) -> DataProblem:
    with pytest.raises(DataProblem) as caught:
        bias_report(path, roles, positive=1, source="historical")
    assert caught.value.sentence.endswith(".")
    return caught.value


def test_dates_are_no_groups(tmp_path: Path) -> None:
    written = refused(csv(tmp_path, "y,g\n1,\n0,1980-01-02\n1,1981-05-06\n0,1999-12-31 10:00:00\n"))
    assert (written.code, written.column, written.row) == ("dates_as_groups", "g", 2)
    assert "1980-01-02" in written.sentence
    day = datetime.date(1980, 1, 2)
    for values in ([day, None], [None, datetime.datetime(1980, 1, 2, 3, 4)], [datetime.time(3, 4)] * 2):
        found = refused(parquet(tmp_path, y=[1, 0], g=values))
        assert (found.code, found.column) == ("dates_as_groups", "g")
        assert found.row == (2 if values[0] is None else 1)
    assert refused(parquet(tmp_path, y=[1, 0], g=[["a"], ["b"]])).code == "not_groupable"
    assert refused(csv(tmp_path, "y\n1\n0\n")).code == "column_missing"
    two_days = csv(tmp_path, "y,g\n1,2020-01-01\n0,2021-01-01\n", "two.csv")
    assert "few_rows" in told(two_days)


def test_repeated_rows_are_counted(tmp_path: Path) -> None:
    lines = [f"{i % 2},{'ab'[i % 2]},{i}\n" for i in range(300)]
    path = csv(tmp_path, "y,g,x\n" + "".join(lines + lines[:30]))
    said = told(path)["duplicated_rows"]
    assert "30 of 330 rows equal an earlier row" in said
    assert "(9.1%)" in said
    once = csv(tmp_path, "y,g,x\n" + "".join(lines), "once.csv")
    assert "duplicated_rows" not in told(once)
    with opened(path) as source:
        assert suitability.repeated_rows(source) == {"looked_at": 330, "repeated": 30, "one_in": 1}
        assert suitability.repeated_rows(source, exact_rows=100)["one_in"] == 4
    many = parquet(tmp_path, y=[i % 2 for i in range(4000)], g=[0, 1] * 2000, x=[*range(2000)] * 2)
    with opened(many) as source:
        some = suitability.repeated_rows(source, exact_rows=600)
    assert some["one_in"] == 8
    # All copies of a row are looked at or none, so exactly half of them repeat another.
    assert some["repeated"] * 2 == some["looked_at"] > 200
    few = suitability.warnings_of(ROLES, "historical", some, [], cells_of(many))
    assert "among one in 8 different rows" in few[0]["sentence"]


def cells_of(path: Path) -> Any:
    from fairness.cells import historical_cells

    with opened(path) as source:
        return historical_cells(source, ROLES, 1)


def test_a_feature_that_is_the_outcome_is_named(tmp_path: Path) -> None:
    rows = "".join(
        f"{i % 2},{'ab'[i % 3 % 2]},{['no', 'yes'][i % 2]},{i % 2 if i < 1500 else 1},{i % 5},{i % 2}\n"
        for i in range(1600)
    )
    path = csv(tmp_path, f"y,g,leak,nearly,x,p\n{rows}")
    roles = Roles("y", ("g",), ("leak", "nearly", "x", "absent"), prediction="p")
    said = told(path, roles, "submitted")
    assert "'leak' says in every row what the outcome 'y' says" in said["label_as_feature"]
    assert "'nearly'" not in str(said)
    assert "decisions_equal_label" in said
    assert "label_as_feature" not in told(path, roles)
    one_sided = csv(tmp_path, "y,x\n" + "1,1\n" * 1200 + "0,0\n" * 10, "sorted.csv")
    with opened(one_sided) as source:
        assert suitability.features_like_label(source, Roles("y", (), ("x",))) == ["x"]


def test_groups_under_two_names_are_named(tmp_path: Path) -> None:
    levels = ("Male", "male ", "MALE", "1", "2", "Zo\u00c3\u00ab", "lost\ufffd")
    path = csv(tmp_path, "y,g\n" + "".join(f"{i % 2},{level}\n" for i, level in enumerate(levels * 3)))
    said = told(path)
    assert "“MALE” and “Male” and “male”" in said["alike_groups"]
    assert "mixes numbers (1, 2) with words" in said["mixed_values"]
    assert "Zo\u00c3\u00ab, lost\ufffd" in said["garbled_values"]
    plain = csv(tmp_path, "y,g\n" + "1,18-24\n0,65+\n1,Zo\u00eb\n0,M\u00fcller\n" * 3, "plain.csv")
    assert not {"alike_groups", "mixed_values", "garbled_values"} & set(told(plain))


@pytest.mark.parametrize(("weight", "code"), [("nan", "not_numeric"), ("inf", "not_numeric"), ("", "value_missing")])
def test_a_weight_is_a_finite_number(tmp_path: Path, weight: str, code: str) -> None:
    found = refused(csv(tmp_path, f"y,g,w\n1,a,1\n0,b,{weight}\n"), Roles("y", ("g",), weight="w"))
    assert (found.code, found.column, found.row) == (code, "w", 2)
    inside = refused(parquet(tmp_path, y=[1, 0], g=["a", "b"], w=[1.0, math.inf]), Roles("y", ("g",), weight="w"))
    assert (inside.code, inside.row) == ("not_numeric", 2)


def test_rows_shared_with_training_are_counted_across_kinds_of_file(tmp_path: Path) -> None:
    text = csv(
        tmp_path,
        "y,g,x,w,b,p\n1,a,1.0,0.25,true,1\n0,b,,nan,False,1\n1,c,9007199254740993,3,true,1\n1,a,1,0.25,1,0\n"
        "0,zz,5,inf,0,0\n0,q,word,1,0,0\n",
    )
    trained = parquet(
        tmp_path, b=[True, False, True, False], x=[1, None, 9007199254740992, 5], g=["a", "b", "c", "zz"],
        y=[1.0, 0.0, 1.0, 0.0], w=[0.25, math.nan, 3, math.inf], k=[1, 1, 1, 1],
    )  # fmt: skip
    roles = Roles("y", ("g",), ("x", "w", "b", "missing"))
    with opened(text) as own, opened(trained) as theirs:
        columns = overlap.compared_columns(roles, own, theirs)
        assert columns == ["y", "g", "x", "w", "b"]
        assert overlap.shared_rows(own, theirs, columns) == {"looked_at": 6, "shared": 4, "one_in": 1}
        assert overlap.shared_rows(theirs, own, columns) == {"looked_at": 4, "shared": 3, "one_in": 1}
        dates = parquet(tmp_path, "dates.parquet", y=[datetime.date(2024, 1, 1)])
        with opened(dates) as third:
            assert overlap.shared_rows(third, third, ["y"])["shared"] == 1
    with opened(parquet(tmp_path, "many.parquet", y=list(range(3000)))) as many:
        some = overlap.shared_rows(many, many, ["y"], exact_rows=500)
        assert some["one_in"] == 8
        assert some["shared"] == some["looked_at"] > 200


def test_a_report_says_what_it_shares_with_the_training_data(tmp_path: Path) -> None:
    lines = [f"{i % 2},{'ab'[i % 3 % 2]},{i}\n" for i in range(240)]
    path = csv(tmp_path, "y,g,x\n" + "".join(lines))
    trained = csv(tmp_path, "y,x,g\n" + "".join(",".join(line.strip().split(",")[k] for k in (0, 2, 1)) + "\n"
                  for line in reversed(lines[:60])), "trained.csv")  # fmt: skip
    roles = Roles("y", ("g",), ("x",))
    given = {"positive": 1, "source": "historical", "training": {"sha256:abc": trained}}
    report = bias_report(path, roles, **given)  # type: ignore[arg-type]
    assert report["rows"]["shared"] == [
        {"dataset": "sha256:abc", "columns": ["y", "g", "x"], "looked_at": 240, "shared": 60, "one_in": 1}
    ]
    (said,) = [each["sentence"] for each in report["warnings"] if each["code"] == "training_overlap"]
    assert "60 of 240 rows (25.0%)" in said
    assert canonical_bytes(report) == canonical_bytes(bias_report(path, roles, **given))  # type: ignore[arg-type]
    unlike = csv(tmp_path, "a,c\n1,2\n", "unlike.csv")
    other = bias_report(path, roles, positive=1, source="historical", training={"sha256:def": unlike})
    assert other["rows"]["shared"] == [
        {"dataset": "sha256:def", "columns": [], "looked_at": 0, "shared": 0, "one_in": 1}
    ]
    assert "training_unlike" in {each["code"] for each in other["warnings"]}
