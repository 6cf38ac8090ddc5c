"""Group-membership probabilities: the estimators, the range that holds whatever the relation, and reports on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness import leaving, membership, presenting, tabling
from fairness.bias import bias_report
from fairness.intervals import Interval, effective_size
from fairness.membership import Members, Sums
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.rules import Rule
from fairness.selftest.models import SelfTest
from fairness.services import request_bias_report
from ledger.refusals import Refusal
from tests import worlds
from tests.fairness.files import csv, uncounted
from tests.fairness.reporting import a_self_test

ROLES = Roles("y", (), membership=("pa", "pb"))


def members(p: Any, y: Any, batch: int = 10**6) -> Members:
    p, y = np.asarray(p, dtype=np.float64), np.asarray(y, dtype=bool)
    sums = Sums(("a", "b"))
    for at in range(0, len(p), batch):
        part = slice(at, at + batch)
        sums.add(np.stack([p[part], 1 - p[part]]), y[part])
    return sums.finish()


ROWS = st.lists(st.tuples(st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0]) | st.floats(0, 1), st.booleans()), min_size=1)


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(1, 7), st.randoms(use_true_random=False))
def test_sums_owe_nothing_to_order_or_batches_and_the_range_holds_the_estimate(
    rows: Any, batch: int, dice: Any
) -> None:
    p, y = (np.array(each) for each in zip(*rows, strict=True))
    found = members(p, y)
    dice.shuffle(rows)
    p, y = (np.array(each) for each in zip(*rows, strict=True))
    turned = members(p, y, batch=batch)
    for name in ("n", "p", "p2"):
        assert np.array_equal(getattr(found, name), getattr(turned, name))
    least, weighted, most = found.least(), found.weighted(), found.most()
    near = 1e-6 / np.maximum(found.expected, 1e-3)
    assert (least.value <= weighted.value + near).all()
    assert (weighted.value <= most.value + near).all()
    # The textbook forms: a weighted share with weights p.
    top, bottom = (p * y).sum(), p.sum()
    if bottom > 1e-3:
        assert weighted.value[0] == pytest.approx(top / bottom, abs=1e-5)
        size = effective_size(top, bottom, (p**2 * y).sum(), (p**2).sum())
        if 1e-3 < weighted.value[0] < 1 - 1e-3:
            assert weighted.size[0] == pytest.approx(float(size), rel=1e-2)
    wide = membership.honest(found, 0.95)
    assert (wide.low <= wide.high).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_sure_probabilities_give_the_rates_themselves(rows: Any) -> None:
    a, y = (np.array(each) for each in zip(*rows, strict=True))
    found = members(a.astype(float), y)
    for group, mine in ((0, a), (1, ~a)):
        count, share = found.by_threshold()
        assert count[group] == mine.sum() == pytest.approx(found.expected[group])
        if not mine.any():
            assert np.isnan(share[group])
            continue
        for each in (found.least(), found.weighted(), found.most()):
            assert each.value[group] == pytest.approx(y[mine].mean())
            assert each.size[group] == pytest.approx(mine.sum())
        assert share[group] == pytest.approx(y[mine].mean())


def test_a_bounds_size_gives_it_its_linearised_variance() -> None:
    dice = np.random.default_rng(5)
    p = dice.choice([0.1, 0.62, 0.91], 500)
    y = dice.random(500) < 0.6
    found = members(p, y)
    least, most, total = found.least(), found.most(), p.sum()
    taken, chosen = p + 0.005 > 1 - y.mean(), p + 0.005 > y.mean()
    for bound, terms in ((least, np.where(taken, p + y - 1, 0.0)), (most, np.where(chosen, y, p))):
        value = terms.sum() / total
        variance = ((terms - value * p) ** 2).sum() / total**2
        assert bound.value[0] == pytest.approx(value)
        assert bound.size[0] == pytest.approx(min(total**2 / (p**2).sum(), value * (1 - value) / variance))


def test_the_range_holds_the_truth_whatever_the_relation_and_the_estimate_need_not() -> None:
    """Decisions that follow membership itself, that go against it, and that look at the probability alone."""
    dice = np.random.default_rng(11)
    off = []
    for relation in ("with", "against", "neither"):
        for _ in range(10):
            p = dice.beta(0.6, 0.9, 3000)
            a = dice.random(3000) < p
            follows = {"with": a, "against": ~a, "neither": dice.random(3000) < 0.3 + 0.4 * p}[relation]
            y = np.where(dice.random(3000) < 0.8, follows, dice.random(3000) < 0.5)
            found, truth = members(p, y), np.array([y[a].mean(), y[~a].mean()])
            wide, alone = membership.honest(found, 0.95), membership.sampling(found, 0.95)
            assert ((wide.low <= truth) & (truth <= wide.high)).all()
            if relation == "neither":
                assert np.abs(found.weighted().value - truth).max() < 0.06
            else:
                off.append(((alone.low <= truth) & (truth <= alone.high)).any())
    assert not any(off), "the covariance of membership and decision is not in the interval of sampling"


def sure(a: float, b: float, rows: int = 1000) -> Members:
    """Two groups that are known for certain, with these selection rates."""
    p = np.repeat([1.0, 0.0], rows)
    return members(p, np.concatenate([np.arange(rows) < a * rows, np.arange(rows) < b * rows]))


@pytest.mark.parametrize(
    ("comparison", "bound", "rates", "said"),
    [
        ("impact_ratio", 0.8, (0.3, 0.6), ["outside", "within"]),
        ("impact_ratio", 0.8, (0.58, 0.6), ["within", "within"]),
        ("impact_ratio", 0.8, (0.48, 0.6), ["inconclusive", "within"]),
        ("difference", 0.2, (0.1, 0.6), ["outside", "within"]),
        ("ratio_to_reference", 0.8, (0.3, 0.6), ["outside", "within"]),
        ("ratio_to_reference", 0.8, (0.6, 0.0), ["outside", "within"]),
        ("difference_to_reference", 0.2, (0.9, 0.6), ["outside", "within"]),
        ("difference_to_reference", 0.2, (0.6, 0.6), ["within", "within"]),
        ("at_least", 0.5, (0.3, 0.6), ["outside", "within"]),
        ("at_most", 0.5, (0.3, 0.6), ["within", "outside"]),
        ("at_least", 0.5, (1.0, 0.6), ["inconclusive", "inconclusive"]),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_rules_of_each_comparison(comparison: Any, bound: float, rates: Any, said: list[str]) -> None:
    found = membership.judged(sure(*rates), comparison, bound, 30, 0.95, 0.975, "b")
    assert [each.verdict for each in found] == said
    for each in found:
        assert each.low is not None
        assert each.value is not None
        assert each.high is not None
        assert each.low <= each.value <= each.high


def test_small_groups_are_neither_compared_nor_compared_with() -> None:
    few = members([1.0] * 10 + [0.0] * 90, [1] * 50 + [0] * 50)
    assert membership.family(few, [30, 5]) == 3
    for comparison in ("impact_ratio", "difference_to_reference"):
        found = membership.judged(few, comparison, 0.2, 30, 0.95, 0.975, "b")
        assert [(each.verdict, each.value) for each in found] == [("too_few", None)] * 2
    lone = membership.judged(few, "at_least", 0.2, 30, 0.95, 0.975, None)
    assert [each.verdict for each in lone] == ["too_few", "within"]
    away = membership.judged(sure(0.5, 0.5), "ratio_to_reference", 0.8, 30, 0.95, 0.975, "c")
    assert {each.verdict for each in away} == {"too_few"}
    with pytest.raises(AssertionError):
        membership.compared("difference_to_reference", np.ones(1), Interval(np.ones(1), np.ones(1)), None)


def rows_file(folder: Path, lines: Any, head: str = "y,pa,pb") -> Path:
    return csv(folder, "\n".join([head, *lines]) + "\n")


def report_on(path: Path, roles: Roles = ROLES, **more: Any) -> dict[str, Any]:
    return bias_report(path, roles, **{"positive": 1, "source": "historical", **more})


def test_a_report_on_nothing_but_probabilities(tmp_path: Path) -> None:
    lines = []
    for i in range(4000):
        p, bound = (0.99, 3) if i % 2 else (0.01, 6)
        lines.append(f"{int(i // 2 % 10 < bound)},{p},{1 - p:.2f}")
    report = report_on(rows_file(tmp_path, lines), further_rules=[Rule(comparison="at_least", bound=0.1)])
    result, section = report["result"], report["memberships"]
    assert (result["verdict"], result["family"], result["attributes"]) == ("outside", 4, [])
    assert "whatever membership and decision have to do with each other" in result["sentence"]
    assert [each["verdict"] for each in result["further"]] == ["within"]
    assert section["reference"] == "pa"
    assert section["groups"][0]["by_threshold"] == {"count": 2000, "value": 0.3}
    assert section["groups"][0]["expected"] == pytest.approx(2000, abs=1e-4)
    assert {"memberships_estimated", "memberships_bounded"} <= {each["code"] for each in report["warnings"]}
    assert report["provenance"]["parameters"]["roles"]["membership"] == ["pa", "pb"]
    assert uncounted(report) == set()
    shown = presenting.memberships(report)
    assert shown is not None
    assert [row["found"]["verdict"] for row in shown["rows"]] == ["outside", "within"]
    assert "selection_rate, weighted" in tabling.as_csv(report)
    left = leaving.abridged(report, 3000)
    assert "memberships" not in left
    assert left["result"]["sentence"] == "Verdict: outside. Its numbers are withheld."
    assert "memberships" in leaving.abridged(report, 100)
    unsure = [f"{i % 2},{0.4 if i % 3 else 0.6},{0.6 if i % 3 else 0.4}" for i in range(400)]
    vague = report_on(rows_file(tmp_path, unsure))["result"]
    assert (vague["verdict"], "nobody's group is known" in vague["sentence"]) == ("inconclusive", True)
    equal = report_on(rows_file(tmp_path, [f"{i // 2 % 2},{i % 2},{1 - i % 2}" for i in range(4000)]))["result"]
    assert (equal["verdict"], equal["passes"]) == ("within", True)
    few = report_on(rows_file(tmp_path, [f"{i % 2},{0.5 * (i < 20)},{1 - 0.5 * (i < 20)}" for i in range(200)]))[
        "result"
    ]
    assert (few["verdict"], "pa (10)" in few["sentence"]) == ("too_few", True)
    lone = Rule(comparison="impact_ratio", minimum_group_size=1)
    none = report_on(rows_file(tmp_path, [f"{i % 2},0,1" for i in range(200)]), rule=lone)["result"]
    assert none["verdict"] == "too_few"


def test_beside_a_known_attribute_they_stand_beside_and_decide_nothing(tmp_path: Path) -> None:
    head = "y,g,p,pa,pb"
    lines = [f"{i % 2},{'ab'[i % 2]},{i // 2 % 2},{0.9 if i % 2 else 0.1},{0.1 if i % 2 else 0.9}" for i in range(800)]
    path, roles = rows_file(tmp_path, lines, head), Roles("p", ("g",), membership=("pa", "pb"))
    report, alone = report_on(path, roles), report_on(path, Roles("p", ("g",)))
    assert report["result"] == alone["result"]
    assert report["memberships"]["result"]["verdict"] in ("within", "inconclusive")
    sent = report_on(path, Roles("y", ("g",), prediction="p", membership=("pa", "pb")), source="submitted")
    assert "memberships" not in sent
    other = Rule(metric="accuracy", comparison="at_least", bound=0.1)
    model = path.with_name("model.onnx")
    model.write_bytes(worlds.onnx_bytes(0.1, 2))
    made = report_on(
        rows_file(tmp_path, [f"{i % 2},a,{i % 7},{i % 5},0.5,0.5" for i in range(80)], "y,g,f,h,pa,pb"),
        Roles("y", ("g",), ("f", "h"), membership=("pa", "pb")), source="model", model=model, rule=other,
        decision={"kind": "label", "output": "label", "equals": 1},
    )  # fmt: skip
    assert made["memberships"]["result"] is None
    shown = presenting.memberships(made)
    assert shown is not None
    assert (shown["compared"], shown["rows"][0]["found"]) == ("", None)


@pytest.mark.parametrize(
    ("lines", "roles", "code", "words"),
    [
        (["1,0.5,0.5", "0,0.5,0.6"], ROLES, "memberships_not_one", "row 2 sum to 1.1 over the columns pa, pb"),
        (
            ["1,0.5,0.5", "0,1.5,0"],
            ROLES,
            "not_probability",
            "'pa' is the probability of a group and holds 1.5 in row 2",
        ),
        (["1,0.5,0.5", "0,,1"], ROLES, "value_missing", "'pa' is empty in row 2"),
        (["1,0.5,0.5"], Roles("y", (), membership=("pa",)), "memberships_too_few", "Name a column for each group"),
        (["1,0.5,0.5"], Roles("y", (), weight="pb", membership=("pa", "pb")), "not_for_memberships", "'pb' another"),
    ],
    ids=["sum", "over one", "empty", "one column", "weights"],
)
def test_what_is_wrong_with_probabilities_is_said(
    tmp_path: Path, lines: list[str], roles: Roles, code: str, words: str
) -> None:
    with pytest.raises(DataProblem) as found:
        report_on(rows_file(tmp_path, lines), roles)
    assert found.value.code == code
    assert words in found.value.sentence
    with pytest.raises(DataProblem) as unfit:
        report_on(rows_file(tmp_path, ["1,0.5,0.5"]), rule=Rule(metric="accuracy"))
    assert unfit.value.code == "metric_needs_attribute"


def test_the_models_decisions_are_compared_by_probability_on_page_and_paper(cast: Any, signed_in: Any) -> None:
    rows = [f"{i % 2},{i % 7},{i % 5},{(i % 10) / 10},{1 - (i % 10) / 10:.1f}" for i in range(300)]
    data = "approved,income,debt,white,black\n" + "\n".join(rows) + "\n"
    roles = {"approved": "label", "income": "feature", "debt": "feature", "white": "membership", "black": "membership"}
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast, data=data.encode(), roles=roles)
    with pytest.raises(Refusal) as refused:
        request_bias_report(
            by=cast.developer, version=version, dataset=dataset, source="model", rule={"metric": "accuracy"}
        )
    assert (refused.value.code, refused.value.field) == ("metric_needs_attribute", "rule.metric")
    test = a_self_test(cast, version, dataset, source="model")
    browser = signed_in(cast.developer)
    text = browser.get(test.get_absolute_url()).content.decode()
    assert "Groups by probability of membership" in text
    assert "Fairness Under Unawareness" in text
    assert browser.get(reverse("self-test-pdf", args=[test.pk])).content.startswith(b"%PDF")
    form = {
        "what": "model", "metric": "selection_rate", "comparison": "impact_ratio", "bound": "0.8",
        "confidence": "0.95", "minimum_group_size": "30", "reason": "Why.",
    }  # fmt: skip
    at = f"{reverse('self-test-new', args=[version.pk])}?dataset={dataset.pk}"
    assert browser.post(at, form).status_code == 302, "no attribute need be chosen where none is known"
    assert SelfTest.objects.count() == 2
