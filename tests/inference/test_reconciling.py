"""What is deployed against what is approved."""

from __future__ import annotations

import pytest

from approvals.services import revoke
from inference.services import bind_endpoint
from tests import worlds
from tests.approvals import world
from tests.approvals.test_pages import text_of
from tests.inference.world import an_endpoint

pytestmark = pytest.mark.django_db
PATH = "/api/v1/endpoints/reconciliation/"


def test_each_way_of_differing_is_told_until_both_agree(cast, api, signed_in):
    client, browser = api(cast.auditor), signed_in(cast.auditor)

    def told():
        return [(row["kind"], row["endpoint"], row["number"]) for row in client.get(PATH).json()["results"]]

    assert "Nothing to compare" in text_of(browser.get("/endpoints/reconciliation/"))
    request = world.an_approval(cast)
    assert told() == [("not_deployed", None, 1)]
    endpoint = an_endpoint(cast, request.version)
    assert told() == []
    assert "They agree" in text_of(browser.get("/endpoints/reconciliation/"))
    newer = worlds.a_version(cast, request.version.model, weight=2.0)
    pilot = an_endpoint(cast, newer, environment="staging")
    assert told() == [("not_allowed", pilot.name, 2)]
    page = text_of(browser.get("/endpoints/reconciliation/"))
    assert f"{pilot.name} Deployed, but not approved" in page
    assert "Nobody has asked for approval" in page
    assert client.get(f"{PATH}?team={cast.other_team.pk}").json()["results"] == []
    assert api(cast.outsider).get(PATH).json()["results"] == []
    assert bind_endpoint(by=cast.model_owner, endpoint=pilot, version=None).version is None
    revoke(by=cast.risk_officer, request=request, reason="Found a mistake.")
    (row,) = client.get(PATH).json()["results"]
    assert (row["kind"], row["endpoint"], row["state"]) == ("not_allowed", endpoint.name, "revoked")


def test_an_older_version_that_serves_beside_a_newer_approved_one_is_told(cast, api):
    request = world.an_approval(cast)
    endpoint = an_endpoint(cast, request.version)
    model, dataset = request.version.model, worlds.a_dataset(cast)
    newer = worlds.a_version(cast, model, weight=2.0)
    for kind, source in [("bias_report", "model"), ("bias_report", "historical"), ("explanation_report", "model")]:
        world.a_report(newer, dataset, kind=kind, source=source, by=cast.second_developer)
    world.an_approval(cast, newer)
    (row,) = api(cast.auditor).get(PATH).json()["results"]
    assert (row["kind"], row["endpoint"], row["number"]) == ("newer_approved", endpoint.name, 1)
    assert row["sentence"] == "Version 2 may serve there too."
    bind_endpoint(by=cast.model_owner, endpoint=endpoint, version=newer)
    assert api(cast.auditor).get(PATH).json()["results"] == []
