"""Reports as documents: what they say first, that they are the same each time, who gets them."""

from __future__ import annotations

import json
import re

import pytest
from django.urls import reverse

from fairness import explaining, matching
from fairness.papers import bias, blocks
from fairness.papers.explanation import explanation
from fairness.papers.making import TEMPLATE, told
from fairness.reports import content_of
from fairness.views import lead, parts_of
from ledger.models import Event
from registry import storage
from tests import worlds
from tests.fairness.reporting import stored_report


@pytest.fixture
def world(cast):
    return worlds.a_version(cast), worlds.a_dataset(cast)


def headings(found):
    return [one["text"] for one in found["blocks"] if one["kind"] == "heading"]


def test_a_paper_is_the_same_each_time_says_the_digest_and_its_taking_is_recorded(cast, world, signed_in, api):
    evidence = stored_report(cast, *world)
    address, client = reverse("report-pdf", args=[evidence.pk]), signed_in(cast.developer)
    first = client.get(address)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "application/pdf")
    assert first.headers["Content-Disposition"] == 'attachment; filename="bias-model.pdf"'
    assert Event.objects.about(evidence).first().event == "artifact.downloaded"
    again = api(cast.auditor).get(f"/api/v1/reports/{evidence.pk}/document/")
    assert first.content == again.content
    assert b"<pdfuaid:part>1</pdfuaid:part>" in first.content
    assert Event.objects.about(evidence).filter(event="artifact.downloaded").count() == 2
    page = client.get(reverse("report", args=[evidence.pk])).content.decode()
    assert address in page
    assert matching.digest(storage.read(evidence.artifact)) in page
    assert api(cast.ci_bot).get(f"/api/v1/reports/{evidence.pk}/document/").status_code == 403
    for who in (cast.outsider, cast.platform_admin):
        assert signed_in(who).get(address).status_code == 404


def test_a_paper_goes_from_one_minute_to_how_to_check_it(cast, world):
    evidence = stored_report(cast, *world)
    stored_report(cast, *world, source="historical")
    report = content_of(evidence)
    found = told(evidence, parts_of(evidence, report), lead(evidence))
    assert headings(found) == [
        "In one minute", "Groups by group", "Recorded decisions beside the model's own",
        "What these numbers can and cannot show", "All metrics by group", "Scores by group", "Where it comes from",
        "How to check it",
    ]  # fmt: skip
    scores = next(one for one in found["blocks"] if one.get("title") == "Scores by group")
    figures = {row[0]: row[1:] for row in scores["rows"]}
    assert {"Calibration intercept (0 if calibrated)", "Calibration error by chance alone"} <= set(figures)
    assert all(re.fullmatch(r"−?\d+\.\d{3} \[.*\]", cell) for cell in figures["Calibration slope (1 if calibrated)"])
    differences = next(one for one in found["blocks"] if one.get("title") == "Differences of scores to group = a")
    assert {row[1] for row in differences["rows"]} == {"group = b"}
    minute = next(one for one in found["blocks"] if one["kind"] == "summary")
    (what, sentence, _), (_, whom, lines), (_, sure, _), (_, untested, _) = minute["rows"]
    assert (what, sentence) == ("What was found", report["result"]["sentence"])
    assert whom == "200 rows, by group; the decisions of the model are compared."
    assert lines[0].startswith("group: a (150), b (50).")
    assert (sure, untested) == ("At 95 % confidence, held for 2 groups together.", "Every group was tested.")
    digests = [row[1] for one in found["blocks"] if one["kind"] == "facts" for row in one["rows"] if row[2]]
    assert evidence.artifact.digest in digests
    assert found["digest"] == evidence.artifact.digest
    assert evidence.dataset.artifact.digest in digests
    assert matching.digest(storage.read(evidence.artifact)) in digests
    plot = next(one for one in found["blocks"] if one["kind"] == "plot")
    assert "group = b: " in plot["alt"]
    evidence.withdrawn_at = evidence.created_at
    assert "withdrawn" in told(evidence, parts_of(evidence, report), "")["notes"][0]


EXPLANATION = {
    "result": {"sentence": "The score is moved most by debt."},
    "method": {
        "name": "exact", "why": "few features", "rows": 300, "of_rows": 2000, "background": 100, "evaluations": 9000,
        "output": "probabilities",
    },
    "features": [
        {"feature": "debt", "importance": 0.2, "low": 0.1, "high": 0.3, "mean": -0.05, "correlation": -0.9},
        {"feature": "age", "importance": 0.0, "low": 0.0, "high": 0.0, "mean": 0.0, "correlation": None},
    ],
    "groups": [
        {
            "attribute": "sex", "group": "sex = f", "rows": 150, "mean_output": 0.4, "too_few": False,
            "features": [{"feature": "debt", "mean": 0.1, "difference": -0.02}],
        },
        {"attribute": "sex", "group": "sex = x", "rows": 2, "mean_output": 0.5, "too_few": True, "features": []},
    ],
    "base_value": 0.41, "additivity": {"largest": 1e-9, "mean": 1e-10}, "warnings": [],
    "reasons": {
        "refused": 40, "most": 4, "baseline": "all", "baseline_asked": "all", "baseline_words": "the mean of all rows",
        "baseline_rows": 300, "justification": "Comment 5.",
        "dictionary": [{"feature": "debt", "words": "monthly debts"}],
        "groups": [
            {
                "group": "all", "refused": 40, "too_few": False,
                "features": [{"feature": "debt", "share_first": 0.75, "share_any": 1.0}],
            },
            {"group": "sex = x", "refused": 1, "too_few": True, "features": []},
        ],
    },
    "proxies": [
        {
            "attribute": "sex", "rows": 148, "left_out": 2,
            "features": [
                {
                    "feature": "debt", "tells": "much", "measure": "η²", "value": 0.2, "by_chance": 0.01, "auc": 0.8,
                    "group": "sex = f",
                }
            ],
        },
        {"attribute": "age", "rows": 4, "left_out": 296, "features": []},
    ],
}  # fmt: skip


def test_an_explanation_has_the_same_order():
    found = list(explanation({"report": EXPLANATION, **explaining.parts(EXPLANATION)}))
    assert headings({"blocks": found}) == [
        "In one minute", "How strongly each feature moves the score", "Groups by sex", "Why the answer was no",
        "Features that tell groups apart by sex", "Features that tell groups apart by age",
        "What these numbers can and cannot show",
    ]  # fmt: skip
    text = json.dumps(found, ensure_ascii=False)
    for words in (
        "debt: higher values lower it.", "Too few rows to say anything about: sex = x.", "debt −0.0200",
        "monthly debts: 75 %, 100 %", "too few refused rows to say", "The score uses debt", "η² 0.200",
    ):  # fmt: skip
        assert words in text
    assert "age: –" not in text, "what moves nothing does not lead"


@pytest.mark.parametrize("reasons", [pytest.param(None, id="before"), pytest.param({"refused": 0}, id="none refused")])
def test_an_explanation_without_reasons(reasons):
    parts = {"report": EXPLANATION, **explaining.parts(EXPLANATION), "reasons": reasons}
    found = list(explanation(parts))
    assert ("Why the answer was no" in headings({"blocks": found})) is (reasons is not None)


def test_other_rules_and_rows_left_out_are_in_the_paper():
    further = [
        {"words": "the accuracy of every group is at least 0.80", "verdict": "outside", "sentence": "It is not."}
    ]
    (_, _, rules) = bias.other_rules({"further": further})
    assert rules["items"] == ["Outside the rule: the accuracy of every group is at least 0.80. It is not."]
    without = {"verdict": "within", "sentence": "Every group is."}
    exclusions = {
        "column": "why", "rows": 3, "reasons": [{"reason": "test", "rows": 3}], "without": without,
        "groups": [{"group": "sex = f", "rows": 9, "excluded": None}],
    }  # fmt: skip
    _, why, told, table = bias.left_out({"report": {"exclusions": exclusions}})
    assert why["text"] == "3 rows have a reason in “why” and are not tested: test (3)."
    assert told["text"] == "With them the result would be: Within the rule. Every group is."
    assert table["rows"] == [["sex = f", "9", "withheld"]]
    assert not list(bias.other_rules({"further": []}))
    assert not list(bias.left_out({"report": {}}))


def test_calibration_stands_in_the_paper_bin_by_bin():
    def of(up_to, count):
        return {"up_to": up_to, "count": count, "predicted": up_to / 2, "observed": 0.5, "low": 0.4, "high": 0.6}

    rows = {"a": [of(0.2, 1000), of(0.8, 9)], "b": [of(0.8, 7)], "c": [of(0.2, 5)]}
    section = {"bins": [{"group": name, "rows": found} for name, found in rows.items()]}
    two, one, note = bias.calibration(section)
    assert two["head"][1:4] == ["a: rows", "a: expected", "a: observed"]
    assert [row[0] for row in two["rows"]] == ["0.200", "0.800"]
    assert two["rows"][0][1:3] == ["1,000", "0.100"]
    assert two["rows"][0][4:] == ["0", "–", "–"], "a bin in which a group has no rows"
    rows["b"][0].update(dict.fromkeys(("count", "predicted", "observed", "low", "high")))
    assert next(iter(bias.calibration(section)))["rows"][1][4:] == ["withheld", "–", "–"]
    assert (len(one["head"]), len(one["rows"])) == (4, 1)
    assert "by chance" in note["text"]
    assert list(bias.calibration({})) == []


def test_many_gaps_are_counted_at_the_top_and_listed_below():
    gaps = [{"what": f"group {number}", "why": "few rows"} for number in range(6)]
    answer, lines = bias.untested({"gaps": gaps})
    assert answer == "6 parts of the data."
    assert lines[:2] == ["group 0: few rows.", "group 1: few rows."]
    assert lines[-1] == "And 2 more, under “What these numbers can and cannot show”."
    assert bias.untested({"gaps": gaps[:1]})[0] == "1 part of the data."


def test_numbers_are_written_as_on_the_page():
    assert [blocks.number(value) for value in (None, -0.5, 1234.5)] == ["–", "−0.500", "1,234.500"]
    assert blocks.estimate({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert blocks.estimate({"value": 0.5, "low": 0.25, "high": 1}) == "0.500 [0.250, 1.000]"
    assert blocks.estimate({"value": None}) == blocks.estimate(None) == "–"
    assert (blocks.count(None), blocks.count(1200), blocks.share(0.5)) == ("withheld", "1,200", " (50.0 %)")


def test_every_kind_of_block_has_its_place_in_the_template():
    template = TEMPLATE.read_text()
    for kind in ("heading", "words", "bullets", "facts", "summary", "table", "plot"):
        assert f'one.kind == "{kind}"' in template
