"""How reports are put into words and tables, from plain dicts."""

import csv
import io

import pytest

from fairness import explaining, presenting, tabling
from fairness.rules import COMPARISONS, DEFAULT_RULE

RULE = DEFAULT_RULE.as_dict()


@pytest.mark.parametrize("comparison", sorted(COMPARISONS))
def test_every_rule_has_its_words(comparison):
    words = presenting.rule_in_words({**RULE, "comparison": comparison})
    assert "selection rate" in words
    assert "0.80" in words
    assert "95 %" in words
    assert comparison in presenting.COMPARED
    assert comparison in presenting.COMPARISON_WORDS
    assert "missing" not in presenting.rule_in_words({**RULE, "test_unknown": True})


def test_decision_rules_have_their_words():
    threshold = {"kind": "threshold", "output": "probabilities", "class": 1, "at_least": 0.5}
    assert presenting.decision_in_words(threshold) == "positive where “probabilities” of class 1 is at least 0.5"
    assert "equals 1" in presenting.decision_in_words({"kind": "label", "output": "label", "equals": 1})
    assert presenting.decision_in_words(None) == "as recorded in the dataset"


def test_small_numbers_are_not_written_as_nothing():
    assert presenting.p_in_words(None) == "–"
    assert presenting.p_in_words(0.00003) == "< 0.0001"
    assert presenting.p_in_words(0.0289) == "0.0289"
    assert explaining.nothing_or(3e-9) == "less than 0.000001"
    assert explaining.nothing_or(0.00012) == "0.000120"


def test_the_way_of_a_feature_is_told_only_when_it_is_clear():
    told = [explaining.way(correlation) for correlation in (None, 0.1, 0.9, -0.9)]
    assert told == ["–", "no one way", "higher values raise it", "higher values lower it"]


def test_gaps_name_metrics_in_plain_words():
    report = {"not_testable": [{"what": "sex = x", "why": "no rows to divide by for: true_positive_rate, other_thing"}]}
    assert presenting.gaps(report) == [
        {"what": "sex = x", "why": "no rows to divide by for: true positive rate, other_thing"}
    ]


def test_many_groups_are_cut_into_tables_that_fit():
    assert [len(part) for part in presenting.abreast(range(9))] == [4, 4, 1]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_of_a_table_is_a_formula(cell):
    text = tabling.written(["group"], [[cell]])
    ((read,),) = list(csv.reader(io.StringIO(text)))[1:]
    assert read == f"'{cell}"


def test_numbers_and_gaps_stay_what_they_are():
    assert [tabling.harmless(cell) for cell in (-0.5, None, "plain", 7)] == [-0.5, "", "plain", 7]
