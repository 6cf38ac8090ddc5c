"""The inventory: where each model stands by the gate's rule, at the cost of a page however much there is."""

from __future__ import annotations

import csv
import io
import re

import pytest

from tests import worlds
from tests.approvals import world
from tests.approvals.findings_world import a_finding
from tests.inference.world import an_endpoint

pytestmark = pytest.mark.django_db
MANY = """
    INSERT INTO registry_version (model_id, number, artifact_id, filename, signature, decision_rule, features, card,
        notes, registered_by_id)
    SELECT model_id, place, artifact_id, filename, signature, decision_rule, features, card, notes, registered_by_id
    FROM registry_version, generate_series(100, 5100) AS place WHERE id = %s
"""


def text_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def lines_of(answer):
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_each_model_stands_as_the_gate_says(cast, signed_in, api):
    approved = world.an_approval(cast)
    pilot = world.a_request(cast, worlds.a_version(cast, approved.version.model, weight=2.0), environment="staging")
    idle = worlds.a_model(cast, "Fraud alarm")
    (row,) = api(cast.auditor).get("/api/v1/inventory/?q=mortgage").json()["results"]
    stands = {stand["environment"]: stand for stand in row["stands"]}
    assert stands["production"]["allowed"]
    assert stands["production"]["state"] == "active"
    assert (stands["staging"]["state"], stands["staging"]["version"]) == ("in_review", pilot.version_id)
    assert (row["next_review"], row["review_state"]) == (stands["production"]["valid_until"], "")
    assert row["last_test"]["verdict"] == "within"
    assert (row["latest_version"], row["risk_tier"], row["risk_tier_set"]) == (2, "high", False)
    page = text_of(signed_in(cast.validator).get("/models/"))
    for words in (
        "Active version 1, production",
        "In review version 2, staging",
        "none: nothing is approved",
        idle.name,
    ):
        assert words in page
    assert api(cast.outsider).get("/api/v1/inventory/").json()["results"] == []


def test_what_lapsed_is_overdue(cast, api):
    from registry.services import edit_card

    request = world.an_approval(cast)
    edit_card(by=cast.developer, version=request.version, card="# Intended use\n\nLess.\n")
    (row,) = api(cast.auditor).get("/api/v1/inventory/").json()["results"]
    assert (row["stands"][0]["state"], row["review_state"]) == ("outdated", "overdue")


def test_the_version_that_serves_is_shown_though_newer_ones_were_refused(cast, api):
    request = world.an_approval(cast)
    model = request.version.model
    for weight in (2.0, 3.0, 4.0):
        newer = world.a_request(cast, worlds.a_version(cast, model, weight=weight))
        world.sign(cast.validator, newer, "validation", "reject", sealed=False)
    (row,) = api(cast.auditor).get("/api/v1/inventory/").json()["results"]
    assert [(stand["number"], stand["allowed"]) for stand in row["stands"]] == [(1, True)]


def test_filters_choose_the_same_for_page_file_and_api(cast, signed_in, api):
    version = worlds.a_version(cast, worlds.a_model(cast, "Limits"))
    an_endpoint(cast, version, environment="staging")
    other = worlds.a_version(cast, worlds.a_model(cast, "Alarms"))
    a_finding(cast, other)
    browser, client = signed_in(cast.auditor), api(cast.auditor)
    for query, found in [
        ("environment=staging", {"Limits"}), ("findings=standing", {"Alarms"}), ("findings=overdue", set()),
        ("environment=production", set()), ("q=a", {"Alarms", "Limits"}), (f"owner={cast.model_owner.pk}", set()),
        ("tier=high&findings=standing", {"Alarms"}),
    ]:  # fmt: skip
        page = text_of(browser.get(f"/models/?{query}"))
        assert {name for name in ("Limits", "Alarms") if name in page} == found, query
        assert {line["name"] for line in lines_of(browser.get(f"/models/inventory.csv?{query}"))} == found
        assert {row["name"] for row in client.get(f"/api/v1/inventory/?{query}").json()["results"]} == found
    assert "No model is like this" in text_of(browser.get("/models/?environment=production"))


def test_the_file_runs_nothing_in_a_spreadsheet(cast, signed_in):
    worlds.a_model(cast, "=HYPERLINK(1)")
    world.an_approval(cast)
    answer = signed_in(cast.developer).get("/models/inventory.csv")
    assert answer["Content-Disposition"] == 'attachment; filename="models.csv"'
    first, second = lines_of(answer)
    assert first["name"] == "'=HYPERLINK(1)"
    assert second["state_production"] == "active: version 1 for mortgage-screening"
    assert second["last_test_verdict"] == "within"
    assert lines_of(signed_in(cast.outsider).get("/models/inventory.csv")) == []


def test_a_page_asks_the_same_of_the_database_however_many_versions_there_are(
    cast, signed_in, django_assert_max_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from portal.health import KNOWN

    version = world.an_approval(cast).version
    worlds.a_version(cast)  # for which nobody has asked
    browser = signed_in(cast.auditor)
    KNOWN.clear()  # how the log stands is asked every two seconds: here each time
    with CaptureQueriesContext(connection) as once:
        browser.get("/models/")
    with connection.cursor() as cursor:
        cursor.execute(MANY, [version.pk])
    for _ in range(5):
        world.a_request(cast, worlds.a_version(cast))
    KNOWN.clear()
    with django_assert_max_num_queries(len(once)):
        page = browser.get("/models/")
    assert "version 1, production" in text_of(page)
