"""The test of a report as it was fixed before: several rules as one family, and rows left out for a reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fairness.bias import bias_report
from fairness.framing import frame_of
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.rules import Rule
from tests import worlds
from tests.fairness.files import csv
from tests.fairness.reporting import stored_report
from tests.fairness.test_clusters import people

ROLES = Roles("y", ("g",), prediction="p")


def decided(folder: Path, *, more: str = "") -> Path:
    """Two groups of 1000 with selection rates of 0.5 and 0.28, and a second attribute without a disparity."""
    lines = [f"{i % 2},{g},{int(i % 50 < share)},{i % 3}" for g, share in (("a", 25), ("b", 14)) for i in range(1000)]
    return csv(folder, "y,g,p,h\n" + "\n".join(lines) + "\n" + more)


def submitted(path: Path, roles: Roles = ROLES, **more: Any) -> dict[str, Any]:
    return bias_report(path, roles, positive=1, source="submitted", **more)


def test_of_several_rules_the_worst_verdict_counts_and_all_are_one_family(tmp_path: Path) -> None:
    path = decided(tmp_path)
    loose = Rule(comparison="at_least", bound=0.2)
    alone = submitted(path, rule=loose)["result"]
    assert (alone["verdict"], alone["family"], "further" in alone) == ("within", 2, False)
    report = submitted(path, rule=loose, further_rules=[Rule(), Rule(metric="accuracy", bound=0.3)])
    result = report["result"]
    assert (result["verdict"], result["passes"], result["family"]) == ("outside", False, 6)
    assert result["rule"] == Rule().as_dict()
    assert [(each["rule"]["comparison"], each["verdict"]) for each in result["further"]] == [
        ("at_least", "within"), ("impact_ratio", "within"),
    ]  # fmt: skip
    assert len(report["provenance"]["parameters"]["further_rules"]) == 2


def test_metrics_and_attributes_that_no_rule_names_do_not_dilute_the_test(tmp_path: Path) -> None:
    path = decided(tmp_path)
    few = submitted(path, tested=["g"])["result"]
    many = submitted(path, Roles("y", ("g", "h"), prediction="p"), tested=["g"], depth=2)["result"]
    assert few == many


def test_rows_with_a_reason_are_left_out_and_told_by_group_with_the_result_they_would_give(tmp_path: Path) -> None:
    lines = []
    for g, share in (("a", 25), ("b", 25)):
        lines += [f"{i % 2},{g},{int(i % 50 < share)}," for i in range(4000)]
    lines += [f"{i % 2},b,0,withdrawn" for i in range(3000)] + ["1,a,1,test entry", "0,a,1, "]
    path = csv(tmp_path, "y,g,p,why\n" + "\n".join(lines) + "\n")
    report = submitted(path, Roles("y", ("g",), prediction="p", exclusion="why"))
    assert report["result"]["verdict"] == "within"
    assert report["overall"]["count"] == 8001
    told = report["exclusions"]
    assert (told["column"], told["rows"]) == ("why", 3001)
    assert told["reasons"] == [{"reason": "test entry", "rows": 1}, {"reason": "withdrawn", "rows": 3000}]
    assert told["groups"] == [
        {"attribute": "g", "group": "g = a", "rows": 4002, "excluded": 1},
        {"attribute": "g", "group": "g = b", "rows": 7000, "excluded": 3000},
    ]
    assert told["without"]["verdict"] == "outside"
    assert told["without"]["attributes"] == {"g": "outside"}
    assert report["provenance"]["parameters"]["roles"]["exclusion"] == "why"
    every = csv(tmp_path, "y,g,p,why\n1,a,1,x\n0,b,0,x\n", "all.csv")
    with pytest.raises(DataProblem) as caught:
        submitted(every, Roles("y", ("g",), prediction="p", exclusion="why"))
    assert (caught.value.code, caught.value.column) == ("all_excluded", "why")


def test_clusters_are_those_of_the_rows_that_are_kept(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, _ = people(tmp_path)
    table = pq.read_table(path)
    out = [who % 4 == 0 for who in table["who"].to_pylist()]
    marked, without = tmp_path / "marked.parquet", tmp_path / "without.parquet"
    pq.write_table(table.append_column("why", pa.array(["left" if each else None for each in out])), marked)
    pq.write_table(table.filter(pa.array([not each for each in out])), without)
    roles = Roles("y", ("g", "h"), prediction="p", weight="w", cluster="who")
    one = submitted(marked, Roles("y", ("g", "h"), prediction="p", weight="w", cluster="who", exclusion="why"))
    other = submitted(without, roles)
    assert one["result"] == other["result"]
    sizes = [
        [g["metrics"]["base_rate"]["effective_size"] for g in r["intersections"][0]["groups"]] for r in (one, other)
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-9)
    assert frame_of(one, purpose="historical", marked=["g", "h", "age"]) == {
        "rules": [Rule().as_dict()], "correction": "bonferroni", "attributes": ["g", "h"], "marked": ["g", "h", "age"],
        "reference": {}, "positive": "1", "purpose": "historical", "exclusions": ["left"], "weights": "survey",
    }  # fmt: skip


def test_the_page_shows_further_rules_and_what_was_left_out(db: Any, cast: Any, signed_in: Any) -> None:
    rows = [f"{i % 2},{'ab'[i % 3 % 2]},{i % 7},{i % 5},{'withdrawn' if i % 9 == 0 else ''}" for i in range(300)]
    data = "approved,group,income,debt,why\n" + "\n".join(rows) + "\n"
    roles = {
        "approved": "label", "group": "sensitive", "income": "feature", "debt": "feature", "why": "exclusion",
    }  # fmt: skip
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast, data=data.encode(), roles=roles)
    further = [Rule(comparison="at_least", bound=0.01)]
    evidence = stored_report(cast, version, dataset, source="historical", further_rules=further)
    text = signed_in(cast.validator).get(f"/reports/{evidence.pk}/").content.decode()
    assert "The other rules of this test" in text
    assert "The selection rate of every group is at least 0.01" in text
    assert "Rows left out" in text
    assert re.search(r"withdrawn \([^()]*34[^()]*\)", text)
