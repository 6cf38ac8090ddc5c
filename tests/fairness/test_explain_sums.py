"""What is made of attributions: associations, reasons, made-up rows and drawings, by hand where that is possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairness import explaining
from fairness.explain import _additivity, _doubt
from fairness.explanation import drawing, proxies, reasons, summing
from fairness.explanation.choosing import Explained
from fairness.explanation.counterfactual import counterfactuals, field_of
from fairness.shapley import Attribution


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_associations_are_those_of_their_definitions(seed: int, count: int) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    groups = [f"g{i}" for i in np.repeat(np.arange(count), 15)]
    matrix = np.column_stack([rng.integers(0, 6, len(groups)), rng.integers(0, 3, len(groups)), np.ones(len(groups))])
    found = proxies.associations("a", groups, ["n", "t", "c"], matrix.astype(float), ["t"])
    by_name = {row["feature"]: row for row in found["features"]}
    n = by_name["n"]
    truth = np.array([group == n["group"] for group in groups])
    assert n["auc"] == pytest.approx(roc_auc_score(truth, matrix[:, 0]))
    means = [matrix[[g == name for g in groups], 0].mean() for name in found["groups"]]
    assert n["value"] == pytest.approx(np.var(means) / max(np.var(matrix[:, 0]), 1e-300))
    assert by_name["c"] | {"value": 0.0, "separation": 0.5, "tells": "little"} == by_name["c"]
    assert 0 <= by_name["t"]["value"] <= 1
    assert found["rows"] == len(groups)


def test_a_feature_that_is_the_group_tells_nearly_everything_and_small_groups_are_left_out() -> None:
    groups = ["a"] * 20 + ["b"] * 20 + ["c"] * 3 + ["unknown"] * 4
    column = np.array([0.0] * 20 + [1.0] * 27)
    for text in ([], ["f"]):
        found = proxies.associations("g", groups, ["f"], column[:, None], text)
        assert (found["rows"], found["left_out"]) == (40, 7)
        assert found["features"][0]["tells"] == "nearly everything"
    constant = proxies.associations("g", groups, ["f"], np.ones((47, 1)), ["f"])
    assert constant["features"][0]["value"] == 0
    none = proxies.associations("g", ["a"] * 40, ["f"], column[:40, None], [])
    assert none["features"] == []
    report = {"features": [{"feature": "f", "importance": 1.0}], "proxies": [none, found, constant]}
    told = [each["sentence"] for each in explaining.proxies(report)]
    assert told[0].startswith("Too few rows")
    assert told[1] == "The score uses f, which by itself tells much about g."
    assert told[2].startswith("No feature that moves the score")


CARD = """# Intended use
- income: not here
## Features
- income: Yearly income
* `debt`: Debt: all of it (fixed)
+ stranger: nothing
no line
# Limitations
- debt: not here either
"""


def test_the_dictionary_is_the_cards_section_and_only_of_features() -> None:
    assert reasons.dictionary_of(CARD, ["income", "debt", "age"]) == {
        "income": {"words": "Yearly income", "fixed": False},
        "debt": {"words": "Debt: all of it", "fixed": True},
    }
    assert reasons.dictionary_of("", ["income"]) == {}


def test_reasons_are_what_falls_furthest_below_the_baseline() -> None:
    """Twelve rows pass; the baseline takes the ten that came closest to failing, the two best are left out."""
    values = np.zeros((14, 2))
    values[:10] = [1.0, 0.5]
    values[10:12] = [9.0, 9.0]
    values[12:] = [[-1.0, 0.4], [2.0, 2.0]]
    matrix = np.column_stack([values[:, 0] * 10, np.zeros(14)])
    yes = np.arange(14) < 12
    found = reasons.baseline_of("just_passed", values, matrix, values.sum(axis=1), yes, [1])
    assert (found.kind, found.rows, found.means.tolist()) == ("just_passed", 10, [1.0, 0.5])
    assert found.usual.tolist() == [10.0, 0.0]
    assert reasons.adverse(values, found)[12:] == [[0, 1], []]
    few = reasons.baseline_of("just_passed", values, matrix, values.sum(axis=1), np.arange(14) < 3)
    assert (few.kind, few.rows) == ("all", 14)
    words = {"a": {"words": "Income"}}
    said = [reasons.in_words("a", words, *pair) for pair in ((1.0, 2.0), (3.0, 2.0), (2.0, 2.0), ("x", "y"))]
    assert said == ["Income: too low", "Income: too high", "Income: as it is", "Income: “x”"]
    assert reasons.in_words("b", words, 1.0, 2.0) == "b: too low"


def test_first_reasons_are_counted_and_small_groups_kept_together() -> None:
    against = [[0, 1]] * 8 + [[1]] * 3 + [[]] * 2
    no = np.ones(13, dtype=bool)
    everyone, a, b = reasons.principal(["x", "y"], against, no, ["g"], [["a"] * 11 + ["b"] * 2])
    assert [(row["feature"], row["first"]) for row in everyone["features"]] == [("x", 8), ("y", 3)]
    assert everyone["features"][1]["share_any"] == pytest.approx(11 / 13)
    assert (a["refused"], a["too_few"]) == (11, False)
    assert (b["refused"], b["too_few"], b["features"]) == (2, True, [])


def test_made_up_rows_turn_the_answer_by_little_and_are_nobodys() -> None:
    rng = np.random.default_rng(2)
    sample = np.column_stack([rng.normal(size=80), rng.integers(0, 40, 80), rng.integers(0, 3, 80)]).astype(float)

    def decide(rows: Any) -> Any:
        score = rows[:, 0] + rows[:, 1] / 20 + (rows[:, 2] == 2)
        return score, score >= 1.5

    rows = sample[:30]
    found = counterfactuals(decide, sample, rows, [0, 1, 2], [2])
    before = decide(rows)[1]
    for n, changes in enumerate(found):
        if changes:
            made = rows[n].copy()
            made[list(changes)] = list(changes.values())
            assert decide(made[None])[1][0] != before[n]
            assert not (made == sample).all(axis=1).any()
            assert made[1] == round(made[1]), "whole numbers stay whole"
    assert sum(1 for changes in found if changes and len(changes) == 1) > 10
    assert counterfactuals(decide, sample, rows, [], []) == [None] * 30
    assert counterfactuals(lambda r: (r[:, 0], r[:, 0] > 99), sample, rows, [0], [0][:0]) == [None] * 30
    taken = np.array([[0.0], [1.0]] * 20)
    same = counterfactuals(lambda r: (r[:, 0], r[:, 0] > 0.5), taken, taken[:2], [0], [])
    assert same == [None, None], "the only other row is a real one"
    assert counterfactuals(lambda r: (r[:, 0], r[:, 0] > 5), np.ones((20, 1)), np.ones((1, 1)), [0], []) == [None]
    assert field_of(np.ones(20), False).spread == 1.0


def test_drawings_add_up_and_say_which_way() -> None:
    features = [
        {"feature": f"feature number {i} with a long name", "value": float(i), "attribution": 0.1} for i in range(12)
    ]
    features.append({"feature": "b", "value": "text", "attribution": -3.0})
    drawn = drawing.waterfall(0.0, features, None)
    assert [bar["raises"] for bar in drawn["bars"]][:2] == [False, True]
    assert drawn["bars"][-1]["name"] == "3 other features"
    assert drawn["bound"] is None
    few = drawing.waterfall(0.0, features[:2], 0.5)
    assert few["bound"]["label"] == "yes from here on"
    assert len(few["bars"]) == 2
    assert [drawing.kind_of(level) for level in (None, 0.1, 0.5, 0.9)] == ["mid", "low", "mid", "high"]
    levels: dict[int, list[str]] = {0: ["n", "s"]}
    values, matrix = np.arange(40.0)[:, None], (np.arange(40.0) % 2)[:, None]
    (told,) = summing.dependence(["town"], values, matrix, levels)
    assert [point["at"] for point in told["points"]] == ["n", "s"]
    assert drawing.dependence(told)["rows"][0]["name"] == "n"
    (few_rows,) = summing.dependence(["x"], values[:9], np.arange(9.0)[:, None], {})
    assert few_rows["points"] == []
    assert summing.swarm(["x"], values * 0, matrix * 0)["features"][0]["bins"][0]["level"] is None


def test_a_residual_over_the_tolerance_is_said_in_the_result() -> None:
    def made(miss: float) -> Any:
        found = Attribution(np.ones((2, 2)), 0.0, np.array([2.0, 2.0 + miss]), 4)
        return Explained(found, found.scores, lambda t: t[:, 0], {}, "output", 0.5)

    assert _doubt(_additivity(made(1e-9))) == ""
    assert "do not rely on this report" in _doubt(_additivity(made(0.01)))
    noise = _additivity(made(3e-16)) | {"model": None}
    assert (noise["largest"], noise["mean"]) == (0.0, 0.0), "what sums round is another on each machine"
    assert explaining.residual({"additivity": {**noise, "largest": 0}})["largest"] == "less than 0.000001"


def test_reports_of_before_are_shown_without_what_they_lack() -> None:
    row = {"feature": "a", "importance": 1.0, "low": 0.9, "high": 1.1, "mean": 0.1, "correlation": 0.5}
    old = {
        "features": [row], "groups": [], "additivity": {"largest": 1e-9, "mean": 1e-10}, "method": {"output": "p"},
    }  # fmt: skip
    shown = explaining.parts(old)
    assert (shown["swarm"], shown["checks"], shown["reasons"], shown["proxies"]) == (None, None, None, [])
    assert shown["scale"] == "the output “p” itself"
    assert shown["residual"] == {"largest": "less than 0.000001", "mean": "less than 0.000001"}
