"""What leaves the portal of a report is without small groups, and the stored report stays as it is."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from django.urls import reverse

from fairness import presenting, tabling
from fairness.bias import bias_report
from fairness.leaving import abridged
from fairness.papers.bias import bias
from fairness.reports import content_of, leaving
from fairness.roles import Roles
from fairness.rules import DEFAULT_RULE
from fairness.views import TONES, bias_parts
from ledger.models import Event
from registry import storage
from tests import worlds
from tests.fairness.reporting import stored_report
from tests.fairness.test_papers import EXPLANATION


def made(tmp_path, sizes, rule_least=30):
    """A report on recorded decisions; `sizes` is rows by (race, sex). Every second row is a yes."""
    rows = [f"{n % 2},{race},{sex}" for (race, sex), size in sizes.items() for n in range(size)]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["hired,race,sex", *rows, ""]))
    rule = replace(DEFAULT_RULE, minimum_group_size=rule_least)
    return bias_report(path, Roles("hired", ("race", "sex")), positive="1", source="historical", rule=rule)


SIZES = {("a", "f"): 120, ("a", "m"): 150, ("b", "f"): 40, ("b", "m"): 45, ("c", "f"): 3, ("c", "m"): 4}


def numbers(value):
    if isinstance(value, dict):
        return [one for inner in value.values() for one in numbers(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in numbers(inner)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def rows_about(value, name):
    """Every row of a report that names a group, wherever it stands."""
    if isinstance(value, dict):
        if name in value.values() and not any(isinstance(inner, list) for inner in value.values() if inner != ["c"]):
            yield value
        for inner in value.values():
            yield from rows_about(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from rows_about(inner, name)


def test_a_small_group_leaves_with_the_smallest_other_and_what_compares_with_them(tmp_path):
    whole = made(tmp_path, SIZES) | {"scores": {"tables": [{"groups": [{"group": "race = c", "auc": 0.7}]}]}}
    before = json.dumps(whole)
    found = abridged(whole, 10)
    assert json.dumps(whole) == before, "a copy is changed"
    race, sex = found["attributes"]
    assert "scores" not in found
    assert "scores by group" in found["withheld"]["tables"]
    assert [group["count"] for group in race["groups"]] == [270, None, None]
    assert [group["count"] for group in sex["groups"]] == [163, 199]
    assert (race["between"], race["impact_ratios"], race["to_reference"], race["named"]) == ([], [], [], {})
    assert sex["between"] == whole["attributes"][1]["between"]
    for name in ("race = b", "race = c"):
        told = list(rows_about(found, name))
        assert told
        assert numbers(told) == []
    tested = found["result"]["attributes"][0]
    assert [(group["verdict"], group["value"]) for group in tested["groups"][1:]] == [("withheld", None)] * 2
    assert tested["groups"][0]["value"] is None, "a ratio to a withheld group would give its rate away"
    assert found["result"]["sentence"] == "Verdict by race: too few. Its numbers are withheld."
    assert {"what": "race = c", "why": "withheld"} in found["not_testable"]
    assert "fewer than 10 rows" in found["withheld"]["sentence"]
    assert found["provenance"] == whole["provenance"]


def test_with_nothing_small_nothing_changes_and_the_exempt_stay_whole(tmp_path):
    whole = made(tmp_path, {("a", "f"): 40, ("a", "m"): 41, ("b", "f"): 42, ("b", "m"): 43})
    assert abridged(whole, 10) == whole
    small = made(tmp_path, SIZES)
    assert abridged(small, 0) == abridged(small, 1) == small
    assert abridged({**small, "schema": "countersign.ll144/1"}, 10) == {**small, "schema": "countersign.ll144/1"}


def test_combinations_are_left_out_one_by_one_or_all(tmp_path):
    sizes = {(race, sex): 50 for race in "abc" for sex in ("f", "m", "x")} | {("a", "f"): 5}
    found = abridged(made(tmp_path, sizes), 10)
    (crossed,) = found["intersections"]
    assert len(crossed["groups"]) == 5
    assert (crossed["impact_ratios"], crossed["incomplete"]) == ([], True)
    assert presenting.crossed(found)[0]["incomplete"]
    sizes = {("a", "f"): 5, ("a", "m"): 60, ("b", "f"): 70, ("b", "m"): 80}
    found = abridged(made(tmp_path, sizes), 10)
    assert (found["intersections"], found["withheld"]["tables"]) == ([], ["race × sex"])
    assert "withheld whole" in presenting.gaps(found)[-1]["why"]


def test_two_reports_on_the_same_rows_withhold_the_same(tmp_path):
    both = [abridged(made(tmp_path, SIZES, rule_least=least), 10) for least in (1, 30)]
    hidden = [[g["name"] for t in found["attributes"] for g in t["groups"] if g["count"] is None] for found in both]
    assert hidden[0] == hidden[1] == ["race = b", "race = c"]


def test_what_it_says_of_many_unknown_goes_with_the_unknown(tmp_path):
    sizes = {("a", "f"): 60, ("a", "m"): 60, ("b", "f"): 60, ("b", ""): 9, ("a", ""): 1}
    whole = made(tmp_path, sizes)
    (warning,) = [warning for warning in whole["warnings"] if warning["code"] == "many_unknown"]
    assert "%" in warning["sentence"]
    found = abridged(whole, 20)
    (warning,) = [warning for warning in found["warnings"] if warning["code"] == "many_unknown"]
    assert "%" not in warning["sentence"]


def test_explanations_and_comparisons_are_abridged_too():
    groups = [
        {"attribute": "sex", "group": f"sex = {name}", "rows": rows, "mean_output": 0.5, "too_few": False,
         "features": [{"feature": "debt", "mean": 0.1, "difference": -0.02}]}
        for name, rows in (("f", 150), ("m", 140), ("x", 3))
    ]  # fmt: skip
    found = abridged({**EXPLANATION, "schema": "countersign.explanation/1", "groups": groups}, 10)
    assert [group["rows"] for group in found["groups"]] == [150, None, None]
    assert [group["too_few"] for group in found["groups"]] == [False, True, True]
    rows = [
        {"name": f"sex = {name}", "count": count, "p_value": 0.1, "p_value_corrected": 0.2, "pairs": {"both": count}}
        for name, count in (("f", 150), ("m", 140), ("x", 3))
    ]
    report = {
        "schema": "countersign.comparison/1", "attributes": [{"attributes": ["sex"], "groups": rows}],
        "result": {"sentence": "Most moved is sex = x, by 0.2."},
    }  # fmt: skip
    found = abridged(report, 10)
    assert numbers(found["attributes"][0]["groups"][1:]) == []
    assert found["attributes"][0]["groups"][0]["p_value_corrected"] is None
    assert found["result"]["sentence"] == "What it says of a withheld group is left out."


@pytest.fixture
def small(cast, settings):
    """A stored report on 200 rows, of which group b has 50, where groups of fewer than 60 are small."""
    settings.SMALL_CELL_SIZE = 60
    return stored_report(cast, worlds.a_version(cast), worlds.a_dataset(cast))


def test_downloads_are_abridged_and_the_stored_bytes_are_whole(cast, small, signed_in):
    client = signed_in(cast.developer)
    page = client.get(reverse("report", args=[small.pk])).content.decode()
    for name in ("report-pdf", "report-csv", "report-abridged", "report-json"):
        assert reverse(name, args=[small.pk]) in page
    rows = list(csv.DictReader(io.StringIO(client.get(reverse("report-csv", args=[small.pk])).content.decode())))
    assert {row["rows"] for row in rows if row["group"] == "group = b"} == {""}
    answer = client.get(reverse("report-abridged", args=[small.pk]))
    assert answer.headers["Content-Disposition"].endswith('-abridged.json"')
    assert answer.json() == leaving(small) != content_of(small)
    assert Event.objects.about(small).first().event == "artifact.downloaded"
    whole = b"".join(client.get(reverse("report-json", args=[small.pk])).streaming_content)
    assert whole == storage.read(small.artifact)
    assert client.get(reverse("report-pdf", args=[small.pk])).content.startswith(b"%PDF-")
    assert signed_in(cast.outsider).get(reverse("report-abridged", args=[small.pk])).status_code == 404
    parts = bias_parts(small, leaving(small), leaving) | {"report": leaving(small)}
    assert parts["tone"] in TONES.values()
    blocks = json.dumps(list(bias(parts)), ensure_ascii=False)
    assert "b (withheld)" in blocks
    assert "50" not in "".join(row["rows"] for row in rows), "the size of the small group"


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_any_report_runs_in_a_spreadsheet(cell, tmp_path):
    whole = made(tmp_path, {("a", "f"): 40, ("b", "m"): 41})
    for table in whole["attributes"]:
        for group in table["groups"]:
            group["name"] = cell
    read = list(csv.DictReader(io.StringIO(tabling.as_csv(abridged(whole, 10)), newline="")))
    names = {row["group"] for row in read if row["metric"] == "selection_rate"}
    assert f"'{cell}" in names
    assert not any(value.startswith(("=", "+", "@", "\t", "\r")) for row in read for value in row.values())


def test_bins_of_few_rows_leave_without_numbers_and_cannot_be_computed(tmp_path):
    def of(name, counts):
        row = {"predicted": 0.4, "observed": 0.5, "low": 0.3, "high": 0.6}
        bins = [row | {"up_to": (at + 1) / 4, "count": count} for at, count in enumerate(counts)]
        return {"name": name, "count": sum(counts), "calibration": {"bins": bins}}

    table = {"groups": [of("race = a", (40, 50, 60, 30)), of("race = b", (3, 20, 30, 0))]}
    whole = made(tmp_path, {("a", "f"): 120, ("b", "m"): 80}) | {"scores": {"tables": [table, {"groups": [{}]}]}}
    found = abridged(whole, 10)
    counts = [
        [row["count"] for row in group["calibration"]["bins"]] for group in found["scores"]["tables"][0]["groups"]
    ]
    assert counts == [[None, None, 60, 30], [None, None, 30, 0]], "one hidden bin follows from the group's sum"
    assert [row["observed"] for row in found["scores"]["tables"][0]["groups"][1]["calibration"]["bins"]][:3] == [
        None, None, 0.5,
    ]  # fmt: skip
    assert found["withheld"]["least"] == 10
    table["groups"].pop()
    assert "withheld" not in abridged(whole, 10)
