"""Changes between two decisions about the same rows: published examples, and what must hold of any counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairness.paired import LARGE, Pairs, correlation, difference, joined, mcnemar

counts = st.integers(0, 60)
pairs = st.builds(Pairs, counts, counts, counts, counts).filter(lambda found: found.rows > 0)


def test_the_example_of_statistics_with_confidence():
    # Altman et al. (2000), table 6.2: 14 positive by both, 5 by the first only, none by the second only, 22 by neither;
    # difference 0.122 with 0.011 to 0.226.
    gap, low, high = difference(Pairs(14, 5, 0, 22))
    assert (round(-gap, 3), round(-high, 3), round(-low, 3)) == (0.122, 0.011, 0.226)


def test_the_examples_of_fagerland_and_others():
    # Airway hyper-responsiveness before and after (Bentur et al. 2009): exact p 0.0703; with two sides, 8 that changed.
    assert mcnemar(Pairs(1, 1, 7, 12)) == pytest.approx(0.0703, abs=5e-5)
    # Complete response before and after (Cavo et al. 2012): exact p 0.0525.
    assert mcnemar(Pairs(59, 6, 16, 80)) == pytest.approx(0.0525, abs=5e-5)


def test_nothing_changed_is_no_evidence_of_change():
    assert mcnemar(Pairs(4, 0, 0, 3)) == 1
    gap, low, high = difference(Pairs(40, 0, 0, 30))
    assert gap == 0
    assert low < 0 < high
    assert correlation(Pairs(5, 0, 0, 0)) == 0, "one of the margins is empty"
    assert correlation(Pairs(1, 9, 9, 1)) == pytest.approx(-0.8), "no correction below 0"
    assert correlation(Pairs(2, 1, 1, 2)) == 0, "the correction stops at 0"


def test_impossible_counts_are_refused():
    for wrong in ((-1, 0, 0, 0), (0, 0, 0, -1)):
        with pytest.raises(ValueError, match="not negative"):
            Pairs(*wrong)
    with pytest.raises(ValueError, match="no rows"):
        difference(Pairs(0, 0, 0, 0))


def test_many_changes_are_judged_by_the_normal_curve_as_exactly():
    half = LARGE // 2
    exact, curved = Pairs(0, half - 40, half + 40, 0), Pairs(0, half - 40, half + 41, 0)
    assert exact.rows == LARGE < curved.rows
    assert mcnemar(curved) == pytest.approx(mcnemar(exact), rel=0.1)
    assert mcnemar(Pairs(0, 10**7, 10**7, 0)) == 1


def test_a_reach_is_never_the_root_of_less_than_nothing():
    assert joined(0.1, 0.1, 1.0 + 1e-12) == 0
    assert joined(0.3, 0.4, 0.0) == pytest.approx(0.5)


@given(pairs)
def test_an_interval_holds_its_value_and_lies_within_one(found):
    gap, low, high = difference(found)
    assert -1 - 1e-9 <= low <= gap + 1e-12
    assert gap - 1e-12 <= high <= 1 + 1e-9
    assert math.isclose(gap, found.new - found.old, abs_tol=1e-12)


@given(pairs)
def test_before_and_after_are_mirror_images(found):
    mirrored = Pairs(found.both, found.after, found.before, found.neither)
    gap, low, high = difference(found)
    assert difference(mirrored) == pytest.approx((-gap, -high, -low))
    assert mcnemar(mirrored) == mcnemar(found)
    assert 0 <= mcnemar(found) <= 1


@given(pairs)
def test_more_confidence_is_a_wider_interval(found):
    assume(0 < found.old < 1 and 0 < found.new < 1)
    _, low, high = difference(found, 0.9)
    _, lower, higher = difference(found, 0.99)
    assert lower <= low + 1e-12
    assert high <= higher + 1e-12
