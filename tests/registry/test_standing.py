"""Where a version stands, on its own page, its model's and the inventory: always what the gate says now."""

import re
from html import unescape

import pytest

from approvals.services import revoke
from inference.services import add_endpoint, bind_endpoint
from ledger.actors import SystemActor
from portal.pages.standing import best, stands_of
from registry.services import edit_card
from tests.approvals.world import USE, a_complete_version, a_request, an_approval
from tests.worlds import a_version

pytestmark = pytest.mark.django_db


def text_of(response):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


@pytest.fixture
def pages(signed_in, cast):
    """The three pages on a version, as the validator reads them."""
    browser = signed_in(cast.validator)

    def read(version):
        paths = (version.get_absolute_url(), version.model.get_absolute_url(), "/models/")
        return [text_of(browser.get(path)) for path in paths]

    return read


def test_from_review_to_approval_to_an_outdated_card(cast, pages):
    version = a_complete_version(cast)
    request = a_request(cast, version)
    page, model, inventory = pages(version)
    assert f"May not serve in production for {USE}" in page
    assert "one signature needed, none given" in page
    assert f"Open request {request.pk}" in page
    assert "In review" in model
    assert "In review version 1, production" in inventory


def test_an_approved_version_shows_what_it_rests_on(cast, pages):
    request = an_approval(cast)
    version = request.version
    page, model, inventory = pages(version)
    assert f"May serve in production for {USE}" in page
    assert "Independent validation" in page
    assert "Signed, " in model
    assert "Active version 1, production" in inventory
    edit_card(by=cast.developer, version=version, card="# Something else")
    page, model, inventory = pages(version)
    assert f"May not serve in production for {USE}" in page
    assert "Outdated" in model
    assert "Outdated version 1, production" in inventory


def test_a_revoked_approval_is_said_at_once(cast, pages):
    request = an_approval(cast)
    revoke(by=cast.risk_officer, request=request, reason="Found a mistake in the data.")
    page, model, inventory = pages(request.version)
    assert "Revoked" in model
    assert "Revoked" in inventory
    assert "May not serve" in page


def test_the_allowed_version_speaks_for_the_model_not_the_newest(cast):
    request = an_approval(cast)
    newer = a_version(cast, request.version.model, weight=5.0)
    a_request(cast, newer)
    stands = stands_of([request.version, newer], cast.auditor)
    chosen = best([stand for each in stands.values() for stand in each])
    assert [(stand.version.number, stand.result.allowed) for stand in chosen] == [(1, True)]
    assert chosen[0].tone == "ok"


def test_an_endpoint_counts_as_asked(cast, pages):
    version = a_version(cast)
    owner = cast.model_owner
    endpoint = add_endpoint(by=owner, model=version.model, name="home-loans", environment="staging", use="pilot")
    bind_endpoint(by=owner, endpoint=endpoint, version=version)
    page, model, _ = pages(version)
    assert "May not serve in staging for pilot" in page
    assert "Nobody has asked for approval" in page
    assert "home-loans" in model


def test_a_failed_and_a_running_report_are_said_on_the_page(cast, pages):
    from fairness.services import request_bias_report
    from jobs.models import Job
    from tests.worlds import a_dataset

    version = a_version(cast)
    job = request_bias_report(by=cast.developer, version=version, dataset=a_dataset(cast), source="historical")
    assert "Watch it" in pages(version)[0]
    Job.objects.filter(pk=job.pk).update(state="failed", error_code="one_class", error_sentence="Only one class.")
    assert "Only one class. Open the job" in pages(version)[0]


def test_the_system_sees_no_team(cast):
    from ledger.refusals import Denied
    from registry.services.inputs import account_of

    with pytest.raises(Denied):
        account_of(SystemActor("robot"))
