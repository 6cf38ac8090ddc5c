"""The figures of a bias audit: the two worked examples of 6 RCNY § 5-301, and what holds for any counts."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairness.ll144 import rules, schedule
from fairness.ll144.problems import Wrong
from fairness.ll144.rules import NOBODY, Count
from tests.fairness.auditing import SCORED, SELECTED

PRINTED = [(example, name) for example in ("selected", "scored") for name in ("sex", "race", "intersection")]


@pytest.mark.parametrize(("example", "name"), PRINTED, ids=[f"{example}-{name}" for example, name in PRINTED])
def test_the_published_tables_come_out_as_printed(example, name):
    printed = {"selected": SELECTED, "scored": SCORED}[example][name]
    found = rules.table(name, {key: Count(people, chosen) for key, (people, chosen, _) in printed.items()}, {})
    for row in found["rows"]:
        people, chosen, ratio = printed[row["category"]]
        assert (row["people"], row["chosen"]) == (people, chosen)
        assert f"{row['impact_ratio']:.{len(ratio) - 2}f}" == ratio, row["category"]
        assert row["low"] <= row["impact_ratio"] <= row["high"]
    assert [row["category"] for row in found["rows"] if row["highest"]]


def whole(example):
    return {tuple(key.split("/")): Count(n, k) for key, (n, k, _) in example["intersection"].items()}


def test_the_scored_example_adds_up_from_its_intersections_and_unknown_people_stand_aside():
    aside = {(None, "white"): Count(9, 9), ("male", None): Count(4, 4), (None, None): Count(2, 2)}
    sex, race, both = rules.tables(whole(SCORED) | aside, [])
    for found in (sex, race, both):
        assert {row["category"]: (row["people"], row["chosen"]) for row in found["rows"]} == {
            key: (n, k) for key, (n, k, _) in SCORED[found["name"]].items()
        }
    assert rules.unknown(whole(SCORED) | aside) == {"sex": 11, "race": 6, "either": 15, "chosen": 15}
    assert [(one["table"], round(one["impact_ratio"], 2)) for one in rules.lowest([sex, race, both])] == [
        ("sex", 0.82), ("race", 0.58), ("intersection", 0.33),
    ]  # fmt: skip


def test_a_category_left_out_is_no_denominator_and_the_ratios_with_it_stand_beside():
    counts = {"male": Count(990, 495), "female": Count(10, 10)}
    found = rules.table("sex", counts, {"female": "Ten people say nothing."})
    male, female = found["rows"]
    assert (male["impact_ratio"], male["ratio_if_none_left_out"], female["impact_ratio"]) == (1.0, 0.5, None)
    assert (female["people"], female["rate"], female["left_out"], female["low"]) == (
        10, 1.0, "Ten people say nothing.", None,
    )  # fmt: skip
    assert (found["denominator"], found["denominator_if_none_left_out"]) == (0.5, 1.0)
    with pytest.raises(rules.NotSmall) as caught:
        rules.table("sex", {"male": Count(98, 49), "female": Count(2, 2)}, {"female": "Exactly 2 % is not under it."})
    assert (caught.value.category, caught.value.people, caught.value.total) == ("female", 2, 100)


def test_nobody_selected_and_nobody_at_all_give_no_ratio():
    found = rules.table("sex", {"male": Count(5, 0), "female": NOBODY}, {})
    assert [(row["rate"], row["impact_ratio"]) for row in found["rows"]] == [(0.0, None), (None, None)]
    assert rules.lowest([found]) == []
    empty = rules.table("sex", {"male": NOBODY, "female": NOBODY}, {})
    assert [row["share"] for row in empty["rows"]] == [None, None]
    assert empty["denominator"] is None


keys = st.tuples(st.sampled_from([None, *rules.SEX]), st.sampled_from([None, *rules.RACE]))
some = st.integers(0, 400).flatmap(lambda n: st.integers(0, n).map(lambda k: Count(n, k)))
# It may be left out only where it is small.
one_out = st.sampled_from([[], [{"table": "intersection", "category": "female/asian", "reason": "Few."}]])


@given(st.dictionaries(keys, some), one_out)
def test_whatever_the_counts_nobody_is_lost_and_no_ratio_is_over_one(counts, left_out):
    both = rules.known(counts)
    small = both.get(("female", "asian"), NOBODY).people < 0.02 * rules.total(both.values()).people
    if left_out and not small:
        with pytest.raises(rules.NotSmall):
            rules.tables(counts, left_out)
        return
    found = rules.tables(counts, left_out)
    aside = rules.unknown(counts)["either"]
    for each in found:
        assert each["people"] + aside == sum(count.people for count in counts.values())
        ratios = [row["impact_ratio"] for row in each["rows"] if row["impact_ratio"] is not None]
        assert all(0 <= ratio <= 1 for ratio in ratios)
        assert not ratios or max(ratios) == 1
        assert all(row["impact_ratio"] is None for row in each["rows"] if row["left_out"])
        for row in each["rows"]:
            if row["low"] is not None and row["impact_ratio"] is not None:
                assert row["low"] <= row["impact_ratio"] + 1e-9
                assert row["high"] >= row["impact_ratio"] - 1e-9


def test_what_follows_from_the_dates():
    days = {
        "audit_date": date(2026, 1, 31), "notice_date": date(2026, 2, 6), "distribution_date": date(2026, 2, 20),
        "latest_use": date(2026, 8, 31),
    }  # fmt: skip
    found = schedule.schedule(days)
    assert (found["usable_from"], found["current_until"], found["posted_until"]) == (
        "2026-02-20", "2027-01-31", "2027-03-01",
    )  # fmt: skip
    assert found["remarks"] == []
    early = schedule.schedule({**days, "distribution_date": date(2026, 1, 5), "latest_use": date(2027, 2, 1)})
    assert [remark.split("(")[1] for remark in early["remarks"]] == ["§ 5-304).", "§ 5-301", "§ 5-301"]
    nothing = schedule.schedule({})
    assert nothing == dict.fromkeys(nothing) | {"remarks": []}
    assert schedule.a_year_after(date(2028, 2, 29)) == date(2029, 2, 28)
    assert schedule.months_after(date(2026, 12, 31), 2) == date(2027, 3, 1)
    assert schedule.months_after(date(2026, 6, 15), 6) == date(2026, 12, 15)


SENSELESS = {
    "an audit to come": ({"audit_date": date(2030, 1, 1)}, "date_in_future", "audit_date"),
    "a use to come": (
        {"latest_use": date(2030, 1, 1), "distribution_date": date(2026, 1, 1)}, "date_in_future", "latest_use",
    ),
    "used without beginning": ({"latest_use": date(2026, 1, 1)}, "distribution_missing", "distribution_date"),
    "used before": (
        {"latest_use": date(2026, 1, 1), "distribution_date": date(2026, 2, 1)}, "use_before_distribution",
        "latest_use",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SENSELESS))
def test_dates_without_sense_are_named(name):
    days, code, field = SENSELESS[name]
    with pytest.raises(Wrong) as caught:
        schedule.check(days, date(2026, 11, 1))
    assert (caught.value.code, caught.value.field) == (code, field)
    schedule.check({"audit_date": date(2026, 11, 1), "distribution_date": date(2030, 1, 1)}, date(2026, 11, 1))
    schedule.check({"distribution_date": date(2026, 1, 1), "latest_use": date(2026, 1, 1)}, date(2026, 11, 1))
