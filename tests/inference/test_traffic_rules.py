"""Latencies in classes: against the numbers themselves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.traffic.drawing import BOTTOM, TOP, bars, nice
from inference.traffic.reading import in_words
from inference.traffic.rules import BOUNDS, CLASSES, class_of, cumulative, quantile, summed
from tests.inference.counting import counts


@given(st.lists(st.integers(1, BOUNDS[-1]), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_class_of_the_true_one(micros, share):
    true = sorted(micros)[math.ceil(share * len(micros) - 1e-9) - 1]
    found = quantile(counts(*micros)[4], share)
    assert class_of(math.ceil(found)) == class_of(true)


def test_what_nobody_asked_has_no_quantile_and_what_took_longest_only_the_last_bound():
    assert quantile([0] * CLASSES, 0.5) is None
    assert quantile(counts(10**9)[4], 0.5) == BOUNDS[-1]
    assert quantile(counts(100, 10**9)[4], 0.5) == 100, "the upper end of the first class"


def test_classes_end_with_their_bounds():
    assert [class_of(each) for each in (0, 100, 101, BOUNDS[-1], BOUNDS[-1] + 1)] == [0, 0, 1, 58, 59]
    assert (len(BOUNDS), BOUNDS[0], BOUNDS[10], BOUNDS[-1]) == (59, 100, 1_000, 63_095_734)


@given(st.lists(st.lists(st.integers(0, 10**8))))
def test_sums_are_those_of_all_together(parts):
    together = counts(*(one for part in parts for one in part))[4]
    assert summed(counts(*part)[4] for part in parts) == together
    for every in (1, 3):
        ends = cumulative(together, every)
        assert ends[-1] == (None, sum(together))
        assert all(count == sum(one <= end for part in parts for one in part) for end, count in ends if end is not None)


@pytest.mark.parametrize(("most", "quarter"), [(0, 1), (4, 1), (5, 2), (8, 2), (20, 5), (21, 10), (999_999, 500_000)])
def test_an_axis_has_round_quarters(most, quarter):
    assert nice(most) == quarter


def test_bars_stand_on_the_axis_and_on_each_other():
    plot = bars("Requests", ["a", "b"], [(3, 1), (0, 0)])
    first, second = plot["bars"]
    assert first["answered_y"] + first["answered"] == BOTTOM
    assert first["refused_y"] + first["refused"] == first["answered_y"]
    assert first["refused_y"] == TOP, "four requests fill an axis of four"
    assert (second["answered"], second["refused"]) == (0, 0)
    assert [tick["label"] for tick in plot["up"]] == ["0", "1", "2", "3", "4"]
    assert [tick["label"] for tick in bars("Requests", list("abcdefgh"), [(0, 0)] * 8)["across"]] == list("aceg")


@pytest.mark.parametrize(
    ("micros", "words"),
    [
        (None, "–"),
        (830, "0.83 ms"),
        (999, "1.0 ms"),
        (9_940, "9.9 ms"),
        (9_960, "10 ms"),
        (999_000, "999 ms"),
        (1_400_000, "1.4 s"),
    ],
)
def test_latencies_are_said_to_two_digits(micros, words):
    assert in_words(micros).replace("\u2009", " ") == words
