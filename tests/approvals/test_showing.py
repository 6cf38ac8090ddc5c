import pytest

from approvals.showing import rule_in_words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": "threshold", "output": "p", "class": 1, "at_least": 0.5}, "yes where p[1] ≥ 0.5"),
        ({"kind": "label", "output": "label", "equals": "good"}, "yes where label is good"),
        ({"kind": "table", "rows": 3}, "kind table, rows 3"),
    ],
)
def test_a_decision_rule_in_words(rule, words):
    assert rule_in_words(rule) == words
