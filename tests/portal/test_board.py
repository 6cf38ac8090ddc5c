"""The report to the board: one sheet, the same numbers as page, PDF and JSON."""

from __future__ import annotations

import pytest

from portal.inventory.board import standing_of
from registry.services import edit_card, set_risk_tier
from tests import worlds
from tests.approvals import policies, world
from tests.approvals.findings_world import a_finding, a_risk
from tests.approvals.test_pages import text_of
from tests.inference.world import an_endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(api, cast):
    def read(query="", who=None):
        answer = api(who or cast.auditor).get(f"/api/v1/board-report/{query}")
        assert answer.status_code == 200, answer.content
        return answer.json()["results"]

    return read


def test_its_numbers_are_those_of_the_records(cast, report, signed_in):
    assert report() == []
    approved = world.an_approval(cast)
    set_risk_tier(by=cast.risk_officer, model=approved.version.model, tier="low", reason="Small sums.")
    approved = world.an_approval(cast, world.a_complete_version(cast))
    a_risk(cast, approved, f"finding:{a_finding(cast, approved.version, 'medium').pk}")
    an_endpoint(cast, approved.version)
    worlds.a_model(cast)
    (told,) = report()
    assert told["tiers"]["high"] == {"serves": 1, "lapsed": 0, "review": 0, "refused": 0, "none": 1}
    assert told["tiers"]["low"]["lapsed"] == 1, "its tier was changed after it was signed"
    assert [(line["severity"], line["total"]) for line in told["findings"]] == [("medium", 1)]
    assert (told["accepted_risks"], told["attested"], told["attestations_missing"]) == (1, 0, 3)
    assert told["overdue"] == {"approvals": 1, "findings": 0, "conditions": 0}
    assert set(told["mismatches"].values()) == {0}
    assert report(f"?team={cast.other_team.pk}") == []
    assert report(who=cast.outsider) == []
    page = signed_in(cast.model_owner).get("/models/board-report/")
    words = text_of(page)
    for said in ("High 1 0 0 0 1 2", "Low 0 1 0 0 0 1", "1 approval, 0 findings, 0 conditions", "0, missing 3"):
        assert said in words
    assert signed_in(cast.platform_admin).get("/models/board-report/").status_code == 403


def test_the_pdf_is_one_sheet_and_the_same_for_the_same_numbers(cast, signed_in):
    import re

    version = world.a_complete_version(cast)
    for severity in ("critical", "high", "medium", "low"):
        a_finding(cast, version, severity)
    answer = signed_in(cast.auditor).get(f"/models/board-report/?format=pdf&team={cast.team.pk}")
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"].startswith('attachment; filename="model-risk-')
    assert answer.content.startswith(b"%PDF-")
    assert re.findall(rb"/Count (\d+)", answer.content)[:1] == [b"1"], "one page"


def test_the_best_use_in_production_speaks_for_a_model(cast):
    from portal.inventory.standing import stands_by_model

    request = world.an_approval(cast)
    model = request.version.model_id

    def standing():
        return standing_of(stands_by_model([model], cast.auditor).get(model, []))

    assert standing() == "serves"
    edit_card(by=cast.developer, version=request.version, card="# Intended use\n\nLess.\n")
    assert standing() == "lapsed"
    assert standing_of([]) == "none"


def test_an_emergency_is_counted_and_serves(cast, report):
    policies.a_policy(cast, policies.a_document(emergency={"people": 2, "hours": 4}), everywhere=True)
    request = world.a_request(cast)
    for who in (cast.approver, cast.risk_officer):
        world.sign(who, request, "emergency", "emergency")
    (told,) = report()
    assert told["emergencies"] == 1
    assert told["tiers"]["high"]["serves"] == 1
