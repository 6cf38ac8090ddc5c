"""What the gateway answers to whom, with the whole application in this process and a board filled from the database."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import numpy as np
import orjson
import pytest
from django.conf import settings

from inference.gateway import infer as inference
from inference.gateway.app import Application, Gateway
from inference.gateway.board import Unusable, clock
from inference.gateway.runner import RunFailed, Runner
from registry.onnx.decision import DecisionRule, Output
from tests.conftest import administrate
from tests.inference.gateway import (
    Inside,
    a_key,
    a_world,
    bearer,
    bind,
    body,
    code,
    cut,
    expected,
    infer,
    put,
    swap,
    until,
)


def test_the_server_tells_about_itself(inside, world):
    assert inside.ask("GET", "/v2/health/live").json() == {"live": True}
    ready = inside.ask("GET", "/v2/health/ready")
    assert ready.status_code == 200
    assert 0 < ready.json()["lease_seconds_left"] <= 30
    assert inside.ask("GET", "/v2").json() == {
        "name": "countersign", "version": settings.VERSION, "extensions": ["binary_tensor_data"],
    }  # fmt: skip
    assert inside.ask("HEAD", "/v2").content == b""
    inside.board.snapshot = None
    assert code(inside.ask("GET", "/v2/health/ready"), 503) == "starting"
    assert code(inside.ask("GET", "/v3"), 404) == "not_found"
    assert code(inside.ask("GET", "/v2/models/loans/other"), 404) == "not_found"


def test_the_model_tells_what_it_takes(inside, world):
    told = inside.ask("GET", world.path, headers=bearer(world.secret)).json()
    assert (told["name"], told["versions"], told["platform"]) == ("loans", ["1"], "onnxruntime_onnx")
    assert told["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}]
    assert [(one["name"], one["datatype"], one["shape"]) for one in told["outputs"]] == [
        ("label", "INT64", [-1]), ("probabilities", "FP32", [-1, 2]), ("decision", "BOOL", [-1]),
    ]  # fmt: skip
    assert told["parameters"]["artifact"] == world.version.artifact.digest
    ready = inside.ask("GET", f"{world.path}/versions/1/ready", headers=bearer(world.secret))
    assert ready.json() == {"name": "loans", "ready": True}


def test_predictions_are_those_of_the_model_and_of_the_signed_rule(inside, world):
    labels, table, decisions = expected()
    answer = infer(inside, world, path="/versions/1", json={**body(), "id": "mine"}, headers={"X-Request-ID": "a" * 8})
    assert answer.headers["x-request-id"] == "a" * 8
    told = answer.json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("loans", "1", "mine")
    by_name = {one["name"]: one for one in told["outputs"]}
    assert by_name["label"]["data"] == labels
    assert by_name["probabilities"]["data"] == pytest.approx(table, abs=1e-7)
    assert (by_name["decision"]["data"], by_name["decision"]["shape"]) == (decisions, [3])

    only = infer(inside, world, json={**body(), "outputs": [{"name": "decision"}]}).json()
    assert [one["name"] for one in only["outputs"]] == ["decision"]
    raw = infer(inside, world, json={**body(), "outputs": [{"name": "label"}]}, headers={"X-Request-ID": "no spaces"})
    assert [one["name"] for one in raw.json()["outputs"]] == ["label"]
    assert raw.headers["x-request-id"] != "no spaces"
    assert raw.json()["id"] == raw.headers["x-request-id"]

    many = [[0.1, 0.2]] * 900
    assert infer(inside, world, json=body(many)).json()["outputs"][2]["shape"] == [900]
    wide = [[0.123456789012345, 0.2]] * 900
    padded = infer(inside, world, content=b" " * 70_000 + orjson.dumps(body(wide)))
    assert padded.status_code == 200


def test_a_rule_that_was_signed_is_what_decides(inside, world):
    approved = inside.board.snapshot.endpoints["loans"].approved
    strict = DecisionRule("threshold", "probabilities", "1", 0.9)
    swap(inside, approved=replace(approved, rule=strict))
    assert infer(inside, world).json()["outputs"][2]["data"] == [False, False, True]
    swap(inside, approved=replace(approved, rule=DecisionRule("threshold", "probabilities", "7")))
    assert code(infer(inside, world), 502) == "decision_failed"


def test_keys(inside, world):
    reader, slow = world.reader, world.slow
    for headers in ({}, {"Authorization": f"Basic {world.secret}"}, bearer(world.secret[:-1]), bearer("é")):
        given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        refused = inside.ask("POST", f"{world.path}/infer", json=body(), headers=given)
        assert code(refused, 401) == "key_invalid"
        assert refused.headers["www-authenticate"] == 'Bearer realm="countersign"'
    twice = [(b"authorization", f"Bearer {world.secret}".encode())] * 2
    assert code(inside.ask("POST", f"{world.path}/infer", json=body(), headers=twice), 401) == "key_invalid"

    assert inside.ask("GET", world.path, headers=bearer(reader)).status_code == 200
    assert code(infer(inside, world, secret=reader), 403) == "scope_missing"
    unknown = inside.ask("POST", "/v2/models/nothing/infer", json=body(), headers=bearer(world.secret))
    assert code(unknown, 404) == "unknown_endpoint"
    assert code(inside.ask("POST", "/v2/models/nothing/infer", json=body()), 401) == "key_invalid"
    assert code(infer(inside, world, path="/versions/2"), 404) == "unknown_version"

    assert infer(inside, world, secret=slow).status_code == 200
    refused = infer(inside, world, secret=slow)
    assert code(refused, 429) == "rate_limited"
    assert 55 <= int(refused.headers["retry-after"]) <= 60

    snapshot = inside.board.snapshot
    ended = {name: replace(terms, until=clock()) for name, terms in snapshot.keys.items()}
    inside.board.snapshot = replace(snapshot, keys=ended)
    assert code(infer(inside, world), 401) == "key_invalid"


def test_the_gate_decides(db, cast):
    """From the database to the answer, and what the board keeps on the way."""
    from approvals.services import revoke
    from inference.services import revoke_key

    world, inside = a_world(cast), Inside()
    other = a_key(cast, world.endpoint)[1]
    inside.renew()
    assert infer(inside, world).status_code == 200
    left = inside.board.snapshot.keys[world.key.key_id].until - clock()
    assert 30 * 86_400 - 3600 < left <= 30 * 86_400

    assert inside.board.used == {world.key.pk}
    inside.lease.touched -= 61
    inside.renew()
    world.key.refresh_from_db()
    assert world.key.last_used_at is not None
    assert inside.board.used == set()

    # What could not be loaded is tried again, but not at once.
    digest = world.version.artifact.digest
    inside.board.runners[digest] = Unusable("artifact_missing", "Gone.", clock() + 60)
    assert isinstance(inside.renew().board.runners[digest], Unusable)
    inside.board.runners[digest] = Unusable("artifact_missing", "Gone.", clock())
    assert isinstance(inside.renew().board.runners[digest], Runner)

    revoke_key(by=cast.model_owner, key=world.key, reason="Seen in a chat.")
    inside.renew()
    assert code(infer(inside, world), 401) == "key_invalid"
    world.secret = other
    assert infer(inside, world).status_code == 200

    revoke(by=cast.approver, request=world.request, reason="Drift.")
    inside.renew()
    assert inside.board.runners == {}
    revoked = infer(inside, world)
    assert (code(revoked, 409), revoked.json()["state"]) == ("not_approved", "revoked")
    told = inside.ask("GET", world.path, headers=bearer(world.secret)).json()["parameters"]
    assert (told["state"], told["artifact"]) == ("revoked", "")

    bind(cast, world.endpoint, None)
    inside.renew()
    unbound = infer(inside, world)
    assert (code(unbound, 409), unbound.json()["reasons"][0]["code"]) == ("not_approved", "unbound")
    assert inside.ask("GET", world.path, headers=bearer(world.secret)).json()["versions"] == []
    inside.close()


def test_an_approval_ends_by_the_clock(inside, world):
    approved = inside.board.snapshot.endpoints["loans"].approved
    swap(inside, approved=replace(approved, until=clock()))
    ended = infer(inside, world)
    assert code(ended, 409) == "not_approved"
    assert ended.json()["reasons"][0]["code"] == "approval_ended"


@pytest.mark.parametrize(
    ("changes", "field", "wanted"),
    [
        ({"name": "Y"}, "inputs.0.name", "input_unknown"),
        ({"datatype": "FP64"}, "inputs.0.datatype", "wrong_datatype"),
        ({"shape": [3, 3]}, "inputs.0.shape", "wrong_shape"),
        ({"shape": [2, 2]}, "inputs.0.data", "wrong_length"),
        ({"data": [[1, 2], [3], [4, 5]]}, "inputs.0.data", "ragged_data"),
        ({"data": [["1", 2], [3, 4], [4, 5]]}, "inputs.0.data", "wrong_value"),
        ({"data": [[1e39, 2], [3, 4], [4, 5]]}, "inputs.0.data", "not_finite"),
    ],
)
def test_what_is_wrong_with_the_inputs_is_said(inside, world, changes, field, wanted):
    refused = infer(inside, world, json=body(**changes))
    assert code(refused, 422) == wanted
    assert refused.json()["errors"] == [{"field": field, "code": wanted, "detail": refused.json()["detail"]}]


def test_hostile_bodies(inside, world):
    start = b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": ['
    for number in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
        refused = infer(inside, world, content=start + number + b", 1]}]}")
        assert code(refused, 422) == "not_finite"
        assert refused.json()["errors"][0]["field"].startswith("inputs")
    for content in (b"[" * 100_000, b'{"a":' * 50_000, b"", b"{", b"[]", b'"text"', b"\xff\xfe"):
        assert code(infer(inside, world, content=content), 400) == "not_json"
    deep = start + b"[" * 900 + b"]" * 900 + b"]}]}"
    assert code(infer(inside, world, content=deep), 422) == "wrong_value"
    assert code(infer(inside, world, content=b" " * (1024**2 + 1)), 413) == "too_large"
    assert code(infer(inside, world, headers={"Content-Encoding": "gzip"}), 415) == "unsupported_media_type"
    wrong = inside.ask("GET", f"{world.path}/infer", headers=bearer(world.secret))
    assert (code(wrong, 405), wrong.headers["allow"]) == ("method_not_allowed", "POST")
    wrong = inside.ask("DELETE", "/v2")
    assert (code(wrong, 405), wrong.headers["allow"]) == ("method_not_allowed", "GET, HEAD")


def test_the_lease_ends_by_the_clock(inside, world):
    inside.board.snapshot = replace(inside.board.snapshot, until=clock())
    assert code(infer(inside, world), 503) == "lease_expired"
    assert code(inside.ask("GET", "/v2/health/ready"), 503) == "lease_expired"


def test_an_answer_leaves_only_if_it_would_still_be_given(inside, world, cast):
    """Approval, key, lease and endpoint may all end while the model runs."""
    snapshot, real = inside.board.snapshot, next(iter(inside.board.runners.values()))
    served = snapshot.endpoints["loans"]
    again = replace(snapshot, endpoints=dict(snapshot.endpoints))
    meanwhile = {
        "not_approved": replace(snapshot, endpoints={"loans": replace(served, approved=None)}),
        "key_invalid": replace(snapshot, keys={}),
        "lease_expired": replace(snapshot, until=clock()),
        "endpoint_changed": replace(
            snapshot, endpoints={"loans": replace(served, approved=replace(served.approved, revision="sha256:other"))}
        ),
    }

    def ran(after):
        def run(feed, rows, stop=None):
            inside.board.snapshot = after
            return real.run(feed, rows, stop)

        return run

    for wanted, after in meanwhile.items():
        inside.board.snapshot = snapshot
        put(inside, run=ran(after))
        assert infer(inside, world).json()["code"] == wanted
    inside.board.snapshot = snapshot
    put(inside, run=ran(again))
    assert infer(inside, world).status_code == 200


def test_models_that_fail(inside, world, monkeypatch):

    def fails(feed, rows, stop=None):
        raise RunFailed("InvalidArgument")

    put(inside, run=fails)
    assert code(infer(inside, world), 502) == "model_failed"
    table = np.array([[np.nan, np.nan]] * 3, dtype=np.float32)
    outputs = [Output("label", np.array([1, 1, 1])), Output("probabilities", table)]
    put(inside, run=lambda feed, rows, stop=None: outputs)
    assert code(infer(inside, world), 502) == "output_not_finite"
    raw = infer(inside, world, json={**body(), "outputs": [{"name": "probabilities"}]})
    assert code(raw, 502) == "output_not_finite"

    def breaks(feed, rows, stop=None):
        raise ZeroDivisionError

    put(inside, run=breaks)
    assert code(infer(inside, world), 500) == "internal_error"
    inside.board.runners.clear()
    assert code(infer(inside, world), 503) == "model_loading"
    inside.board.runners[world.version.artifact.digest] = Unusable("model_unusable", "No.", 0.0)
    assert code(infer(inside, world), 503) == "model_unusable"


def test_slow_models_run_beside_and_are_stopped(inside, world, monkeypatch):
    real = next(iter(inside.board.runners.values()))
    put(inside, quick=lambda rows: False, run=real.run)
    assert infer(inside, world).status_code == 200

    monkeypatch.setattr(inference, "RUN_SECONDS", 0.05)
    stopped, seen = threading.Event(), []

    def slow(feed, rows, stop):
        seen.append(stop)
        stopped.wait(5)
        return real.run(feed, rows)

    put(inside, quick=lambda rows: False, run=slow)
    assert code(infer(inside, world), 504) == "model_timeout"
    stopped.set()
    assert seen[0].terminate is True

    inside.application.gateway.inference.waiting = inference.WAITING_AT_MOST
    assert code(infer(inside, world), 503) == "overloaded"


def test_bytes_that_cannot_be_loaded(inside, db):
    from registry import storage

    missing, outside = "sha256:" + "0" * 64, "sha256:../../etc/passwd"
    junk = storage.put([b"no model"], limit=100).digest
    for digest, wanted in ((missing, "artifact_missing"), (junk, "model_unusable"), (outside, "artifact_unreadable")):
        inside.lease.load(digest, False)
        assert inside.board.runners[digest].code == wanted


def test_it_lives_and_stops_with_its_server(cast, committing_db):
    """Startup, renewals while the database is away and back, shutdown: all by the lifespan protocol."""
    application, sent = Application(), []

    async def lived():
        told = asyncio.Queue()

        async def send(message):
            sent.append(message["type"])

        with pytest.raises(RuntimeError, match="lifespan"):
            await application({"type": "http"}, told.get, send)
        running = asyncio.create_task(application({"type": "lifespan"}, told.get, send))
        await told.put({"type": "lifespan.startup"})
        await asyncio.to_thread(until, lambda: application.board.snapshot, 10)
        assert isinstance(application.gateway, Gateway)
        cut(committing_db)
        try:
            await asyncio.to_thread(until, lambda: application.lease.failing, 5)
        finally:
            administrate(f'ALTER DATABASE "{committing_db}" ALLOW_CONNECTIONS true')
        await asyncio.to_thread(until, lambda: not application.lease.failing, 5)
        await told.put({"type": "lifespan.shutdown"})
        await running
        await application({"type": "websocket"}, told.get, send)

    asyncio.run(lived())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert not application.lease.thread.is_alive()
