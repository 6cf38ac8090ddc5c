"""Trade-offs: the numbers against fairlearn's own, the report, who may not ask, and versions side by side."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from fairness.bias import canonical_bytes
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.tradeoff import curves, mitigating
from fairness.tradeoff.presenting import scatter
from fairness.tradeoff.report import trade_off_report
from fairness.tradeoff.services import request_trade_off_report
from jobs.models import Job
from ledger.models import Event
from ledger.refusals import Refusal
from tests import worlds
from tests.fairness.auditing import applicants, stored_audit
from tests.fairness.files import uncounted
from tests.fairness.reporting import stored_report, stored_trade_off

ROLES = Roles("approved", ("group",), worlds.FEATURES)


def drawn(rows=400):
    dice = np.random.default_rng(5)
    group = dice.integers(0, 3, rows)
    scores = np.clip(dice.normal(0.5 + 0.08 * group, 0.2), 0, 1)
    return scores, dice.random(rows) < scores, group


@pytest.mark.parametrize(("constraint", "tolerance"), [("demographic_parity", 0.1), ("equalized_odds", None)])
def test_optimised_thresholds_give_what_fairlearn_gives(constraint, tolerance):
    scores, label, group = drawn()
    made = mitigating.optimised(scores, label, group, constraint, tolerance)
    p = mitigating.probabilities(made, scores, group)
    oracle = made._pmf_predict(scores[:, None], sensitive_features=group)[:, 1]
    assert np.abs(p - oracle).max() < 1e-12
    found = curves.point(p, label, group, 3)
    if tolerance is None:
        assert found["equalised_odds"] < 0.01
    else:
        assert found["difference"] <= tolerance + 1e-9


def test_points_are_those_of_fairlearns_metrics():
    from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference

    scores, label, group = drawn()
    yes = scores >= 0.5
    found = curves.point(yes.astype(float), label, group, 3)
    given = {"sensitive_features": group}
    assert found["difference"] == pytest.approx(demographic_parity_difference(label, yes, **given), abs=1e-12)
    assert found["ratio"] == pytest.approx(demographic_parity_ratio(label, yes, **given), abs=1e-12)
    assert found["equalised_odds"] == pytest.approx(equalized_odds_difference(label, yes, **given), abs=1e-12)
    assert found["accuracy"] == pytest.approx(float((yes == label).mean()), abs=1e-12)


def test_where_there_is_nothing_to_divide_by_there_is_no_number():
    nobody = curves.point(np.zeros(4), np.array([True, True, True, False]), np.array([0, 0, 1, 1]), 2)
    assert (nobody["ratio"], nobody["equalised_odds"], nobody["difference"]) == (None, None, 0.0)
    one = np.array([0.25, 0.25, 0.5])
    assert curves.thresholds(one) == [0.25, 0.5]
    assert curves.thresholds(one, 0.4) == [0.25, 0.4, 0.5]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_reweighing_evens_the_groups_out_and_halves_lose_nobody(rows, seed):
    label, group = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    assert (curves.reweighing(label, group, 3, 0.0) == 1).all()
    weights = curves.reweighing(label, group, 3, 1.0)
    for at in range(3):
        here = group == at
        if label[here].any() and not label[here].all():
            share = (weights * label)[here].sum() / weights[here].sum()
            assert share == pytest.approx(label.mean())
    fit, judged = curves.halves(len(rows), seed)
    assert sorted([*fit, *judged]) == list(range(len(rows)))
    assert 0 <= len(judged) - len(fit) <= 1


def test_what_another_beats_is_named():
    points = [{"accuracy": a, "difference": d} for a, d in ((0.9, 0.3), (0.8, 0.3), (0.8, 0.1), (0.8, 0.1), (0.7, 0.2))]
    assert curves.undominated(points) == [True, False, True, True, False]
    flat = scatter("One", [("Only", [{"accuracy": 0.5, "difference": 0.0, "name": "Version 1"}])])
    (mark,) = flat["series"][0]["marks"]
    assert (mark["x"], mark["y"], mark["name"]) == (60.0, 166.0, "Version 1")


@pytest.fixture
def loans(tmp_path):
    data, model = tmp_path / "loans.csv", tmp_path / "tiny.onnx"
    data.write_bytes(worlds.csv_bytes(400) + b"1,,0.5,0.5\n")
    model.write_bytes(worlds.onnx_bytes())
    return {"dataset": data, "model": model, "positive": "1", "decision": worlds.RULE, "tolerances": (0.05,)}


def test_the_report_says_what_less_disparity_costs_and_is_the_same_twice(loans):
    report = trade_off_report(roles=ROLES, **loans)
    assert canonical_bytes(report) == canonical_bytes(trade_off_report(roles=ROLES, **loans))
    assert uncounted(report) == set()
    assert [curve["name"] for curve in report["curves"]] == [
        "one_threshold", "group_thresholds", "equalised_odds", "reweighing",
    ]  # fmt: skip
    assert report["own"] == next(row for row in report["curves"][0]["points"] if row["own"])
    assert report["own"]["setting"] == 0.5
    assert report["left_out"] == [{"name": "unknown", "rows": 1, "why": "the attribute is not known"}]
    assert report["rows"]["set_on"] + report["rows"]["judged_on"] == report["rows"]["used"] == 400
    assert report["result"]["sentence"].startswith("Under its own rule")


def test_groups_that_cannot_be_weighed_up_are_named(loans, tmp_path):
    few = "".join(f"{number % 2},c,0.5,0.5\n" for number in range(20)) + "".join("1,d,0.5,0.5\n" for _ in range(200))
    rows = b"".join(line + b"\n" for line in worlds.csv_bytes(400).splitlines() if b",b," not in line)
    (tmp_path / "loans.csv").write_bytes(rows + few.encode())
    with pytest.raises(DataProblem) as caught:
        trade_off_report(roles=ROLES, **loans)
    assert caught.value.code == "too_few_groups"


def test_where_it_is_about_employment_in_the_united_states_it_is_refused(cast, api):
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    asked = {"by": cast.developer, "version": version, "dataset": dataset, "sensitive": "group"}
    with pytest.raises(Refusal) as caught:
        request_trade_off_report(**asked, us_employment=True)
    assert caught.value.code == "group_cut_offs_unlawful"
    head, *rows = worlds.csv_bytes().decode().splitlines()
    weighted = worlds.a_dataset(
        cast, data="\n".join([f"{head},w", *(f"{row},2" for row in rows), ""]).encode(),
        roles={"approved": "label", "group": "sensitive", "income": "feature", "debt": "feature", "w": "weight"},
    )  # fmt: skip
    with pytest.raises(Refusal) as caught:
        request_trade_off_report(**asked | {"dataset": weighted}, us_employment=False)
    assert caught.value.code == "weights_not_taken"
    assert not Job.objects.exists()
    assert Event.objects.filter(event="report.requested.refused").count() == 2
    body = {"dataset": dataset.pk, "sensitive": "group", "us_employment": False}
    path = f"/api/v1/versions/{version.pk}/trade-off-reports/"
    answer = api(cast.developer).post(path, json.dumps(body), content_type="application/json")
    assert answer.status_code == 202
    stored_audit(cast, worlds.a_version(cast, model=version.model, weight=2.0), applicants(cast))
    refused = api(cast.developer).post(path, json.dumps(body), content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (422, "group_cut_offs_unlawful"), refused.content


def test_it_is_asked_for_on_a_page_that_asks_what_it_is_for(cast, signed_in):
    version = worlds.a_version(cast)
    client, address = signed_in(cast.developer), reverse("trade-off-new", args=[version.pk])
    assert "No data to look at" in client.get(address).content.decode()
    worlds.a_dataset(cast)
    assert client.post(address, {"sensitive": "group"}).status_code == 422
    refused = client.post(address, {"sensitive": "group", "us_employment": "yes"})
    assert refused.status_code == 422
    assert "42 USC 2000e-2(l)" in refused.content.decode()
    answer = client.post(address, {"sensitive": "group", "us_employment": "no"})
    assert answer.headers["Location"] == Job.objects.get().get_absolute_url()
    worlds.a_dataset(cast)
    assert "Take this dataset" in client.get(address).content.decode()
    assert signed_in(cast.auditor).get(address).status_code == 403
    assert signed_in(cast.outsider).get(address).status_code == 404


def test_the_page_and_the_sheet_show_every_way(cast, signed_in):
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast, data=worlds.csv_bytes(400))
    evidence = stored_trade_off(cast, version, dataset)
    client = signed_in(cast.validator)
    text = client.get(reverse("report", args=[evidence.pk])).content.decode()
    for words in ("Nothing here is applied", "One threshold for everybody", "42 USC 2000e-2(l)", "<svg", "<polygon"):
        assert words in text
    sheet = client.get(reverse("report-csv", args=[evidence.pk])).content.decode()
    assert {row["way"] for row in csv.DictReader(io.StringIO(sheet))} == {
        "one_threshold", "group_thresholds", "equalised_odds", "reweighing",
    }  # fmt: skip


def test_versions_stand_side_by_side_on_the_same_data(cast, signed_in, api):
    one, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    address = reverse("model-alternatives", args=[one.model_id])
    first = stored_report(cast, one, dataset)
    client = signed_in(cast.validator)
    assert "Nothing to compare yet" in client.get(address).content.decode()
    other = worlds.a_version(cast, model=one.model, decision_rule={**worlds.RULE, "at_least": 0.01})
    second = stored_report(cast, other, dataset)
    text = client.get(address).content.decode()
    assert f'href="/reports/{first.pk}/"' in text
    assert f'href="/reports/{second.pk}/"' in text
    assert "no other has less disparity" in text
    (found,) = api(cast.validator).get(f"/api/v1/models/{one.model_id}/alternatives/").json()
    assert {row["version"] for row in found["versions"]} == {one.pk, other.pk}
    assert any(row["unbeaten"] for row in found["versions"])
    assert signed_in(cast.outsider).get(address).status_code == 404
