"""A policy says how long at most a gateway may serve without having asked the gate again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference.gateway.board import clock
from tests import worlds
from tests.approvals import policies
from tests.approvals.world import USE, a_request, sign
from tests.inference.gateway import Inside, World, a_key, an_endpoint, bearer, bind, code, infer, put
from tests.inference.world import a_rollout
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db
MOST = 10


@pytest.fixture
def inside():
    made = Inside()
    yield made
    made.close()


@pytest.fixture
def lasting(cast):
    """Served for as long as the house's lease."""
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    return served(cast, worlds.a_version(cast), "lasting", USE)


@pytest.fixture
def brief(cast, lasting):
    """The same version for a use whose policy sets less."""
    document = policies.a_document(slug="brief", evidence=[], max_lease_seconds=MOST)
    policies.a_policy(cast, document, use="hiring")
    return served(cast, lasting.version, "brief", "hiring")


def served(cast, version, name, use):
    request = approved(cast, version, use)
    endpoint = an_endpoint(cast, version.model, name=name, use=use)
    bind(cast, endpoint, version)
    return World(endpoint, version, request, *a_key(cast, endpoint))


def approved(cast, version, use):
    request = a_request(cast, version, use=use)
    sign(cast.approver, request, "approval")
    return request


def later(inside, name, seconds):
    """An endpoint's approval as it is when so many seconds have passed on the board without an answer."""
    snapshot = inside.board.snapshot
    assert snapshot is not None
    found = snapshot.endpoints[name]
    ends = {field: getattr(found.approved, field) - seconds for field in ("until", "ends")}
    changed = replace(found, approved=replace(found.approved, **ends))
    inside.board.snapshot = replace(snapshot, endpoints={**snapshot.endpoints, name: changed})


def test_what_rests_on_the_policy_is_refused_before_the_house_refuses_everything(inside, lasting, brief):
    inside.renew()
    snapshot = inside.board.snapshot
    assert snapshot.endpoints["brief"].approved.until == snapshot.renewed + MOST
    assert snapshot.endpoints["lasting"].approved.until > snapshot.until > snapshot.renewed + MOST
    assert (infer(inside, brief).status_code, infer(inside, lasting).status_code) == (200, 200)
    for world, seconds in ((brief, MOST), (lasting, 30)):
        told = inside.ask("GET", world.path, headers=bearer(world.secret)).json()
        assert told["parameters"]["lease_seconds"] == seconds
    for name in ("brief", "lasting"):
        later(inside, name, MOST)
    refused = infer(inside, brief)
    assert code(refused, 503) == "lease_expired"
    assert f"than its policy allows ({MOST} s)" in refused.json()["detail"]
    assert refused.headers["retry-after"] == "5"
    ready = inside.ask("GET", f"{brief.path}/ready", headers=bearer(brief.secret))
    assert code(ready, 503) == "lease_expired"
    assert inside.ask("GET", "/v2/health/ready").status_code == 200
    assert infer(inside, lasting).status_code == 200
    inside.renew()
    assert infer(inside, brief).status_code == 200


def test_a_shorter_lease_of_the_house_goes_first(inside, brief, settings):
    settings.SERVING_LEASE_SECONDS = 5
    inside.renew()
    told = inside.ask("GET", brief.path, headers=bearer(brief.secret)).json()
    assert told["parameters"]["lease_seconds"] == 5
    inside.board.snapshot = replace(inside.board.snapshot, until=clock())
    refused = infer(inside, brief)
    assert code(refused, 503) == "lease_expired"
    assert "refuses all of them" in refused.json()["detail"]


def test_an_approval_that_has_ended_is_said_to_have(inside, brief):
    inside.renew()
    later(inside, "brief", inside.board.snapshot.endpoints["brief"].approved.ends - clock())
    assert code(infer(inside, brief), 409) == "not_approved"


def test_the_lease_may_end_while_the_model_runs(inside, brief):
    inside.renew()
    (runner,) = inside.board.runners.values()

    def run(feed, rows, stop=None):
        later(inside, "brief", MOST)
        return runner.run(feed, rows, stop)

    put(inside, run=run)
    assert code(infer(inside, brief), 503) == "lease_expired"


def test_a_canary_whose_maximum_has_passed_answers_nothing(cast, inside, brief):
    challenger = worlds.a_version(cast, model=brief.version.model, weight=-2.0)
    approved(cast, challenger, "hiring")
    a_rollout(cast, brief.endpoint, challenger, share=99)
    inside.renew()
    assert infer(inside, brief, path="/versions/2").status_code == 200
    snapshot = inside.board.snapshot
    found = snapshot.endpoints["brief"]
    beside = found.challenger.served
    ended = replace(beside, approved=replace(beside.approved, until=clock()))
    changed = replace(found, challenger=replace(found.challenger, served=ended))
    inside.board.snapshot = replace(snapshot, endpoints={"brief": changed})
    assert {infer(inside, brief).json()["model_version"] for _ in range(8)} == {"1"}
    assert code(infer(inside, brief, path="/versions/2"), 404) == "unknown_version"


def test_the_endpoints_page_says_what_the_policy_sets(lasting, brief, cast, signed_in):
    client = signed_in(cast.model_owner)
    assert f"{MOST} s at most, by the policy" in text_of(client.get(brief.endpoint.get_absolute_url()))
    assert "s at most, by the policy" not in text_of(client.get(lasting.endpoint.get_absolute_url()))
