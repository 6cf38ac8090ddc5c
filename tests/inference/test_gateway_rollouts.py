"""Canaries and shadows at the gateway: who answers, and what is compared."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import orjson
import pytest

from approvals.services import revoke
from inference.gateway.board import Unusable
from inference.gateway.entry import Entry
from inference.gateway.forms import TENSORS
from inference.gateway.shadow import Answered, compared
from inference.models import Comparison, GatewayProcess, Prediction, Tally
from inference.rollouts.services import change_share, promote, withdraw_rollout
from tests import worlds
from tests.approvals import policies
from tests.approvals.world import a_request, sign
from tests.inference.gateway import ROWS, Inside, World, a_key, an_endpoint, bearer, bind, body, code, infer, until
from tests.inference.world import a_rollout

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(cast):
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    version = approved(cast, worlds.a_version(cast))
    endpoint = an_endpoint(cast, version.model)
    bind(cast, endpoint, version)
    return World(endpoint, version, version.requests.get(), *a_key(cast, endpoint))


def approved(cast, version):
    sign(cast.approver, a_request(cast, version), "approval")
    return version


@pytest.fixture
def challenger(cast, world):
    """It decides each of ROWS otherwise than the champion."""
    return approved(cast, worlds.a_version(cast, model=world.version.model, weight=-2.0))


@pytest.fixture
def inside():
    made = Inside()
    yield made
    made.close()


def versions(inside, world, count, **given):
    """How many of so many requests each version answered."""
    return Counter(infer(inside, world, **given).json()["model_version"] for _ in range(count))


def test_a_canary_answers_its_share_and_whoever_asks_for_it(cast, inside, world, challenger):
    a_rollout(cast, world.endpoint, challenger, share=50)
    inside.renew()
    found = versions(inside, world, 100)
    assert found.keys() == {"1", "2"}
    assert 20 <= found["2"] <= 80
    answer = infer(inside, world, path="/versions/2").json()
    assert answer["parameters"]["artifact"] == challenger.artifact.digest
    assert answer["outputs"][-1]["data"] == [False, True, False]
    assert versions(inside, world, 20, path="/versions/1").keys() == {"1"}
    told = inside.ask("GET", world.path, headers=bearer(world.secret)).json()
    assert told["versions"] == ["1"], "what it is, it says of the champion"
    change_share(by=cast.model_owner, endpoint=world.endpoint, share=99)
    inside.renew()
    assert versions(inside, world, 30)["2"] >= 20
    promote(by=cast.model_owner, endpoint=world.endpoint)
    inside.renew()
    assert versions(inside, world, 5).keys() == {"2"}
    assert code(infer(inside, world, path="/versions/1"), 404) == "unknown_version"


def test_while_a_canary_cannot_answer_the_champion_does(cast, inside, world, challenger):
    a_rollout(cast, world.endpoint, challenger, share=99)
    inside.renew()
    runner = inside.board.runners[challenger.artifact.digest]
    inside.board.runners[challenger.artifact.digest] = Unusable("artifact_missing", "Not there.", float("inf"))
    assert versions(inside, world, 20).keys() == {"1"}
    assert code(infer(inside, world, path="/versions/2"), 404) == "unknown_version"
    inside.board.runners[challenger.artifact.digest] = runner
    assert "2" in versions(inside, world, 20)
    revoke(by=cast.risk_officer, request=challenger.requests.get(), reason="The data were wrong.")
    inside.renew()
    assert versions(inside, world, 20).keys() == {"1"}
    assert challenger.artifact.digest not in inside.board.runners


def test_an_answer_of_a_canary_leaves_only_if_it_would_still_be_given(cast, inside, world, challenger):
    a_rollout(cast, world.endpoint, challenger, share=99)
    inside.renew()
    before, runner = inside.board.snapshot, inside.board.runners[challenger.artifact.digest]
    change_share(by=cast.model_owner, endpoint=world.endpoint, share=1)
    again = inside.renew().board.snapshot
    withdraw_rollout(by=cast.model_owner, endpoint=world.endpoint, reason="It is wrong.")
    ended = inside.renew().board.snapshot

    def meanwhile(after):
        def run(*given):
            inside.board.snapshot = after
            return runner.run(*given)

        inside.board.snapshot = before
        inside.board.runners[challenger.artifact.digest] = SimpleNamespace(quick=lambda rows: True, run=run)
        return infer(inside, world, path="/versions/2")

    assert meanwhile(again).json()["model_version"] == "2", "it still answers some"
    assert code(meanwhile(ended), 503) == "endpoint_changed"


def test_a_shadow_is_compared_and_answers_nobody(cast, inside, world, challenger):
    rollout = a_rollout(cast, world.endpoint, challenger)
    inside.renew()
    beside = inside.application.gateway.inference.shadow
    for _ in range(3):
        assert infer(inside, world).json()["model_version"] == "1"
        until(lambda: not beside.waiting, 5)
    assert code(infer(inside, world, path="/versions/2"), 404) == "unknown_version"
    assert beside.taken() == {
        rollout.pk: {"requests": 3, "both": 0, "neither": 0, "champion_only": 6, "challenger_only": 3}
    }
    assert beside.taken() == {}
    assert infer(inside, world, json=body([[1.0]])).status_code == 422
    assert beside.taken() == {}, "nothing to compare with"
    assert infer(inside, world).status_code == 200
    until(lambda: not beside.waiting, 5)
    for _ in range(2):
        inside.application.gateway.counter.tell()
    assert Comparison.objects.get().differ == 3


def test_what_versions_answered_is_counted_and_logged_by_their_part(cast, inside, world, challenger):
    a_rollout(cast, world.endpoint, challenger, share=99)
    inside.renew()
    gateway = inside.application.gateway
    while not Prediction.objects.filter(role="canary"):
        assert infer(inside, world).status_code == 200
        gateway.logbook.flush()
    canary = Prediction.objects.filter(role="canary").latest("pk")
    assert (canary.artifact, canary.status) == (challenger.artifact.digest, 200)
    wrong = infer(inside, world, path="/versions/1", json=body([[1.0]]))
    assert wrong.status_code == 422
    assert code(infer(inside, world, secret="wrong"), 401) == "key_invalid"
    for _ in range(2):
        gateway.counter.tell()
    counted = {(row.artifact, row.code): row for row in Tally.objects.filter(span=0)}
    row = counted[challenger.artifact.digest, ""]
    assert (row.rows, row.positives) == (3 * row.requests, row.requests), "one of three is decided with yes"
    assert (row.endpoint, row.key) == (world.endpoint, world.key)
    assert counted[world.version.artifact.digest, wrong.json()["code"]].requests == 1
    assert counted["", "key_invalid"].endpoint is None
    (process,) = GatewayProcess.objects.all()
    assert process.said["prediction_log"]["dropped"] == 0


def test_a_shadow_that_fails_or_is_too_slow_is_counted(cast, inside, world, challenger):
    rollout = a_rollout(cast, world.endpoint, challenger)
    inside.renew()
    beside = inside.application.gateway.inference.shadow
    held = threading.Event()
    beside.pool.submit(held.wait)
    for _ in range(2):
        beside.waiting = 32 if _ else 0
        assert infer(inside, world).status_code == 200
    assert beside.taken() == {rollout.pk: {"skipped": 1}}
    beside.waiting = 1
    held.set()
    until(lambda: not beside.waiting, 5)
    assert beside.taken()[rollout.pk]["requests"] == 1
    served = inside.board.snapshot.endpoints["loans"]
    runner = inside.board.runners[challenger.artifact.digest]
    text = orjson.dumps(body(ROWS))
    outputs = inside.board.runners[world.version.artifact.digest].run({"X": np.array(ROWS, np.float32)}, 3)
    terms = inside.board.snapshot.keys[world.key.key_id]
    right = Answered("request-1", terms, TENSORS, text, None, served, served.approved, outputs)

    def said(answered):
        entry = Entry("request-1", 0.0)
        return compared(answered, served.challenger, runner, None, entry), (entry.status, entry.code)

    counts, answer = said(right)
    assert (counts["champion_only"], answer) == (2, (200, ""))
    failed = {"requests": 1, "failed": 1}
    assert said(replace(right, body=b"[]")) == (failed, (400, "not_json"))
    fewer = inside.board.runners[world.version.artifact.digest].run({"X": np.array(ROWS[:1], np.float32)}, 1)
    assert said(replace(right, outputs=fewer))[0] == failed
