"""No withheld count follows from what is shown, whatever tables are published together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness.suppression import pattern

LEAST = 10


def table(cells, axes):
    """Counts of the groups of some attributes, from counts of the combinations of all."""
    found = {}
    for values, rows in cells.items():
        key = tuple(values[axis] for axis in axes)
        found[key] = found.get(key, 0) + rows
    return {key: rows for key, rows in found.items() if rows}


def hidden_of(counts):
    return pattern(counts, LEAST).hidden


def test_where_nothing_is_small_all_is_shown():
    assert hidden_of({("a",): 10, ("b",): 500}) == frozenset()
    assert hidden_of({("a", "x"): 10, ("a", "y"): 10, ("b", "x"): 10}) == frozenset()


def test_a_small_group_takes_the_smallest_other_with_it():
    assert hidden_of({("a",): 3, ("b",): 40, ("c",): 500}) == {("a",), ("b",)}
    assert hidden_of({("a",): 3, ("b",): 497}) == {("a",), ("b",)}, "then the table is left out"


def test_what_is_withheld_together_is_not_small_together():
    assert hidden_of({("a",): 1, ("b",): 1, ("c",): 40, ("d",): 500}) == {("a",), ("b",), ("c",)}, "1 + 1 = 2 says all"
    assert hidden_of({("a",): 6, ("b",): 7, ("c",): 40}) == {("a",), ("b",)}


def test_an_intersection_does_not_give_away_what_its_attributes_withhold():
    counts = {("a", "x"): 3, ("a", "y"): 2, ("b", "x"): 40, ("b", "y"): 60, ("c", "x"): 300, ("c", "y"): 200}
    assert hidden_of(table(counts, (0,))) == {("a",), ("b",)}
    assert hidden_of(counts) == {("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")}


def test_a_small_combination_takes_a_rectangle_with_it():
    counts = {(row, column): 100 for row in "abc" for column in "xyz"} | {("a", "x"): 4}
    hidden = hidden_of(counts)
    assert len(hidden) == 4
    assert ("a", "x") in hidden


def test_two_rectangles_joined_by_one_combination_are_not_enough():
    # Each row and column of withheld groups has two of them, and still (b, y) would follow by subtraction.
    small = {("a", "w"), ("a", "x"), ("b", "w"), ("b", "x"), ("b", "y"), ("c", "y"), ("c", "z"), ("d", "y"), ("d", "z")}
    counts = {(row, column): 7 if (row, column) in small else 90 for row in "abcd" for column in "wxyz"}
    assert small < hidden_of(counts)


def test_the_pattern_does_not_depend_on_the_order_of_groups():
    counts = {("a",): 3, ("b",): 40, ("c",): 40, ("d",): 500}
    assert hidden_of(dict(reversed(counts.items()))) == hidden_of(counts) == {("a",), ("b",)}


LEVELS = st.tuples(st.integers(2, 3), st.integers(2, 4), st.integers(1, 3))


@st.composite
def published(draw):
    """Counts of all combinations of three attributes, some of them none."""
    levels = draw(LEVELS)
    keys = list(itertools.product(*([f"{axis}{level}" for level in range(size)] for axis, size in enumerate(levels))))
    sizes = st.one_of(st.just(0), st.integers(1, 12), st.integers(10, 200))
    return dict(zip(keys, draw(st.tuples(*(sizes for _ in keys))), strict=True))


@settings(max_examples=30)
@given(published())
def test_no_withheld_count_follows_from_all_tables_together(cells):
    keys = list(cells)
    shown, withheld = [np.ones(len(keys))], []
    for axes in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]:
        counts = table(cells, axes)
        if not counts:
            continue
        hidden = hidden_of(counts)
        for group, rows in counts.items():
            unit = np.array([float(tuple(key[axis] for axis in axes) == group) for key in keys])
            if group in hidden:
                withheld.append(unit)
            else:
                assert rows >= LEAST
                shown.append(unit)
    total = sum(cells.values())
    if total < LEAST:
        return
    span = np.array(shown)
    onto = np.linalg.pinv(span) @ span
    for unit in withheld:
        if not np.array_equal(unit, shown[0]):  # the only group of an attribute is the total itself
            assert np.linalg.norm(onto @ unit - unit) > 1e-6


@pytest.mark.parametrize("least", [0, 1])
def test_a_size_that_no_group_is_under_withholds_nothing(least):
    assert pattern({("a",): 1, ("b",): 2}, least).hidden == frozenset()
