"""Pure rules: roles of columns, features and decision rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import features, roles
from registry.comparing import card_lines, rule_in_words, shown_type

COLUMNS = ["y", "g", "x", "w"]
GOOD = {"y": "label", "g": "sensitive", "x": "feature"}


def label(**changes):
    column = {"name": "y", "role": "label", "type": "integer", "missing": 0, "distinct": 2}
    return {**column, "groups": [{"value": "0", "rows": 5}, {"value": "1", "rows": 5}], **changes}


def numbers(role, **ends):
    return {"name": "w", "role": role, "type": "number", "missing": 0, **ends}


def groups(kind, distinct=3):
    return {"name": "g", "role": "sensitive", "type": kind, "missing": 0, "distinct": distinct, "groups": []}


def test_columns_within_their_bounds_have_no_fault():
    for column in (numbers("probability", lowest=0.0, highest=1.0), numbers("score", lowest=-9.0, highest=9.0)):
        assert roles.values_at_fault([label(), column, groups("text", 100)], "1") is None
    assert roles.values_at_fault([label(), numbers("weight", lowest=0.1, highest=9.0)], "1") is None
    assert roles.values_at_fault([label(role="label_classes", distinct=20)], "1") is None
    assert roles.values_at_fault([numbers("label_number", lowest=-1.0, highest=9.0)], "") is None


def test_good_roles_have_no_fault_and_what_is_not_named_is_other():
    assert roles.names_at_fault(COLUMNS, GOOD) is None
    assert roles.names_at_fault(COLUMNS, {"g": "sensitive"}) is None, "a dataset needs no outcome"
    assert roles.assigned(COLUMNS, GOOD) == {**GOOD, "w": "other"}
    assert roles.values_at_fault([label(), {"name": "x", "role": "feature", "type": "text", "missing": 3}], "1") is None


@pytest.mark.parametrize(
    ("given_roles", "code", "field"),
    [
        ({**GOOD, "z": "feature"}, "column_missing", "roles.z"),
        ({**GOOD, "w": "colour"}, "role_unknown", "roles.w"),
        ({**GOOD, "x": "label"}, "role_twice", "roles.x"),
        ({**GOOD, "x": "score", "w": "probability"}, "role_twice", "roles.w"),
        ({**GOOD, "x": "label_number"}, "role_twice", "roles.x"),
        ({"y": "label_classes", "w": "label"}, "role_twice", "roles.w"),
    ],
)
def test_faults_in_the_names(given_roles, code, field):
    fault = roles.names_at_fault(COLUMNS, given_roles)
    assert (fault.code, fault.field) == (code, field)


def test_a_long_list_of_columns_is_cut_in_the_sentence():
    fault = roles.names_at_fault([f"c{n}" for n in range(30)], {"nope": "label"})
    assert "c19 …" in fault.sentence
    assert "c20" not in fault.sentence


@pytest.mark.parametrize(
    ("column", "positive", "code", "field"),
    [
        (label(missing=2), "1", "value_missing", "roles.y"),
        (label(distinct=3), "1", "not_binary", "roles.y"),
        (label(distinct=1, groups=[{"value": "1", "rows": 10}]), "1", "one_class", "roles.y"),
        (label(), "yes", "positive_class_missing", "positive_class"),
        (label(role="label_classes", distinct=21), "1", "too_many_classes", "roles.y"),
        (label(role="label_classes", distinct=20), "9", "positive_class_missing", "positive_class"),
        (label(role="other"), "1", "positive_class_unused", "positive_class"),
        (numbers("label_number"), "", "not_finite", "roles.w"),
        (numbers("label_number", lowest=1.0, highest=1.0), "", "one_class", "roles.w"),
        ({"name": "w", "role": "label_number", "type": "text", "missing": 0}, "", "not_numeric", "roles.w"),
        ({"name": "w", "role": "weight", "type": "text", "missing": 0}, "1", "not_numeric", "roles.w"),
        ({"name": "w", "role": "score", "type": "number", "missing": 1}, "1", "not_numeric", "roles.w"),
        (numbers("score"), "1", "not_finite", "roles.w"),
        (numbers("weight", lowest=0.0, highest=2.0), "1", "weight_not_positive", "roles.w"),
        (numbers("weight", lowest=-1.0, highest=2.0), "1", "weight_not_positive", "roles.w"),
        (numbers("probability", lowest=-0.1, highest=1.0), "1", "not_probability", "roles.w"),
        (numbers("probability", lowest=0.0, highest=100.0), "1", "not_probability", "roles.w"),
        (groups("date"), "1", "dates_as_groups", "roles.g"),
        (groups("time"), "1", "dates_as_groups", "roles.g"),
        (groups("text", distinct=101), "1", "too_many_categories", "roles.g"),
    ],
)
def test_faults_in_the_values(column, positive, code, field):
    others = [] if column["role"].startswith("label") or column["role"] == "other" else [label()]
    fault = roles.values_at_fault([*others, column], positive)
    assert (fault.code, fault.field) == (code, field)


@pytest.mark.parametrize(
    ("one", "other"), [("1", "1.0"), ("True", "1"), ("false", "0"), (" 2 ", "2.00"), ("-1.0", "-1")]
)
def test_spellings_of_one_class(one, other):
    assert roles.same_class(one) == roles.same_class(other)


@given(st.text(), st.text())
def test_plain_texts_are_different_classes(one, other):
    words = {"true", "false"}
    if one.strip() != other.strip() and not {one.strip().lower(), other.strip().lower()} & words:
        digits = any(character.isdigit() for character in one + other)
        assert digits or roles.same_class(one) != roles.same_class(other)


def tensor(name, shape, kind="float"):
    return {"name": name, "type": f"tensor({kind})" if kind else "seq(map(int64,tensor(float)))", "shape": shape}


TABLE = [tensor("X", [None, 2])]
SINGLES = [tensor("a", [None, 1]), tensor("b", [None, 1])]


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (TABLE, ["a", "b"]),
        ([tensor("X", [None, None])], ["a", "b", "c"]),
        (SINGLES, ["b", "a"]),
        ([tensor("a", [None])], ["a"]),
        ([tensor("a", [None])], ["other"]),
    ],
)
def test_features_that_fit(inputs, names):
    assert features.features_at_fault(inputs, names) is None


@pytest.mark.parametrize(
    ("inputs", "names", "code"),
    [
        (TABLE, [], "features_invalid"),
        (TABLE, ["a", ""], "features_invalid"),
        (TABLE, ["a", "x" * 201], "features_invalid"),
        (TABLE, ["a"] * 2001, "features_invalid"),
        (TABLE, ["a", "a"], "features_invalid"),
        (TABLE, ["a", "b", "c"], "inputs_differ"),
        (SINGLES, ["a", "c"], "inputs_differ"),
    ],
)
def test_features_that_do_not_fit(inputs, names, code):
    found, sentence = features.features_at_fault(inputs, names)
    assert found == code
    assert sentence


OUTPUTS = [
    tensor("label", [None], "int64"), tensor("names", [None], "string"), tensor("p", [None, 2]),
    tensor("one", [None, 1]),
    tensor("maps", [], ""), tensor("free", [None, None]),
]  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "threshold", "output": "p", "class": 1, "at_least": 0.5},
        {"kind": "threshold", "output": "one", "class": 7, "at_least": 0.5},
        {"kind": "threshold", "output": "maps", "class": "yes", "at_least": 0.5},
        {"kind": "threshold", "output": "free", "class": 9, "at_least": 0.5},
        {"kind": "label", "output": "label", "equals": "1"},
        {"kind": "label", "output": "names", "equals": "yes"},
    ],
)
def test_rules_that_fit(rule):
    assert features.rule_at_fault(OUTPUTS, rule) is None
    assert rule["output"] in rule_in_words(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "threshold", "output": "nowhere", "class": 1, "at_least": 0.5},
        {"kind": "threshold", "output": "p", "class": 2, "at_least": 0.5},
        {"kind": "threshold", "output": "p", "class": "yes", "at_least": 0.5},
        {"kind": "threshold", "output": "names", "class": 1, "at_least": 0.5},
        {"kind": "label", "output": "p", "equals": "1"},
        {"kind": "label", "output": "maps", "equals": "1"},
    ],
)
def test_rules_that_do_not_fit(rule):
    code, sentence = features.rule_at_fault(OUTPUTS, rule)
    assert code == "bad_decision_rule"
    assert sentence


def test_types_are_shown_short():
    assert shown_type(tensor("X", [None, 14])) == "float [?, 14]"
    assert shown_type(tensor("maps", [], "")) == "seq(map(int64,tensor(float))) []"


def test_lists_are_cut():
    assert features.listed([str(n) for n in range(14)]).endswith("11 …")


@given(st.lists(st.text(alphabet="ab\n", max_size=6)), st.lists(st.text(alphabet="ab\n", max_size=6)))
def test_a_card_diff_holds_both_cards(before, after):
    old, new = "\n".join(before), "\n".join(after)
    lines = list(card_lines(old, new))
    assert [line["text"] for line in lines if line["kind"] != "added"] == old.splitlines()
    assert [line["text"] for line in lines if line["kind"] != "removed"] == new.splitlines()
