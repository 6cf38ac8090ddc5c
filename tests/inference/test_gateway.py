"""The gateway as a real process, beside a database that really commits."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import psycopg2
import pytest

from tests.approvals import policies
from tests.approvals.world import a_complete_version, a_request, an_approval, sign
from tests.conftest import administrate
from tests.inference.gateway import (
    a_key,
    a_world,
    an_endpoint,
    bearer,
    bind,
    body,
    cut,
    expected,
    running,
    until,
)

ROUNDS = ("first", "second", "third")


def infer(client, name, secret, **changes):
    return client.post(f"/v2/models/{name}/infer", json=body(**changes), headers=bearer(secret))


def test_it_serves_from_the_last_signature_until_a_revocation(cast, committing_db, process_environment):
    from approvals.services import revoke
    from inference.services import revoke_key

    version = a_complete_version(cast)
    endpoint = an_endpoint(cast, version.model)
    key, secret = a_key(cast, endpoint)
    with running(process_environment) as client:
        unbound = infer(client, "loans", secret)
        assert (unbound.status_code, unbound.json()["code"]) == (409, "not_approved")
        assert [each["code"] for each in unbound.json()["reasons"]] == ["unbound"]

        bind(cast, endpoint, version)
        until(lambda: infer(client, "loans", secret).json().get("state") == "no_approval", 3)
        request = a_request(cast, version)
        sign(cast.validator, request, "validation")
        until(lambda: infer(client, "loans", secret).json().get("state") == "in_review", 3)
        reasons = infer(client, "loans", secret).json()["reasons"]
        assert reasons
        assert all(each["code"] and each["sentence"] for each in reasons)

        sign(cast.approver, request, "approval")
        until(lambda: infer(client, "loans", secret).status_code == 200, 3)
        answer = infer(client, "loans", secret).json()
        labels, table, decisions = expected()
        assert {one["name"]: one["data"] for one in answer["outputs"]} == {
            "label": labels, "probabilities": pytest.approx(table, abs=1e-7), "decision": decisions,
        }  # fmt: skip
        assert answer["parameters"] == {"artifact": version.artifact.digest, "revision": request.latest.digest}

        others = {}
        for use in ROUNDS:
            others[use] = an_approval(cast, version, use=use)
            other = an_endpoint(cast, version.model, name=use, use=use)
            bind(cast, other, version)
            others[use].secret = a_key(cast, other)[1]
        until(lambda: all(infer(client, use, others[use].secret).status_code == 200 for use in ROUNDS), 3)
        for use in ROUNDS:
            revoke(by=cast.approver, request=others[use], reason="Drift.")
            took = until(lambda use=use: infer(client, use, others[use].secret).status_code == 409, 3)
            assert took <= 1.0, f"still served {took:.2f} s after the revocation"
            told = infer(client, use, others[use].secret).json()
            assert told["state"] == "revoked"
            assert "revoked" in [each["code"] for each in told["reasons"]]
        assert infer(client, "loans", secret).status_code == 200

        revoke_key(by=cast.model_owner, key=key, reason="Seen in a chat.")
        took = until(lambda: infer(client, "loans", secret).status_code == 401, 3)
        assert took <= 1.0, f"the key still opened {took:.2f} s after it was revoked"


def test_it_serves_without_its_database_until_the_lease_ends(cast, committing_db, process_environment):
    world = a_world(cast)
    # Another endpoint's policy lets it be served for less.
    policies.a_policy(cast, policies.a_document(evidence=[], max_lease_seconds=2), use="hiring")
    request = a_request(cast, world.version, use="hiring")
    sign(cast.approver, request, "approval")
    hiring = an_endpoint(cast, world.version.model, name="hiring", use="hiring")
    bind(cast, hiring, world.version)
    brief = a_key(cast, hiring)[1]
    with running(process_environment, SERVING_LEASE_SECONDS="4") as client:
        until(lambda: infer(client, "loans", world.secret).status_code == 200, 3)
        until(lambda: infer(client, "hiring", brief).status_code == 200, 3)
        cut(committing_db)
        try:
            served, first = 0, until(lambda: infer(client, "hiring", brief).status_code == 503, 4)
            assert 1.0 < first <= 2.5
            assert infer(client, "hiring", brief).json()["code"] == "lease_expired"
            assert client.get("/v2/health/ready").status_code == 200

            def refused():
                nonlocal served
                answer = infer(client, "loans", world.secret)
                served += answer.status_code == 200
                return answer.status_code == 503

            took = first + until(refused, 4)
            assert served > 0
            assert 3.0 < took <= 4.5
            assert infer(client, "loans", world.secret).json()["code"] == "lease_expired"
            ready = client.get("/v2/health/ready")
            assert (ready.status_code, ready.json()["code"]) == (503, "lease_expired")
            assert ready.headers["retry-after"] == "5"
            assert client.get("/v2/health/live").status_code == 200
            assert client.get(world.path).status_code == 503
        finally:
            administrate(f'ALTER DATABASE "{committing_db}" ALLOW_CONNECTIONS true')
        until(lambda: infer(client, "loans", world.secret).status_code == 200, 3)
        assert infer(client, "hiring", brief).status_code == 200
        assert client.get("/v2/health/ready").status_code == 200


def test_damaged_bytes_are_never_served_and_the_trace_says_so(cast, committing_db, process_environment, receiver):
    world = a_world(cast)
    place = Path(process_environment["ARTIFACT_ROOT"]) / world.version.artifact.path
    before, mode = place.read_bytes(), place.stat().st_mode
    place.chmod(0o600)
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    try:
        place.write_bytes(before.replace(b"tiny", b"Tiny"))
        with running(process_environment, **traces) as client:
            until(lambda: infer(client, "loans", world.secret).json().get("code") != "model_loading", 5)
            answer = infer(client, "loans", world.secret)
            assert (answer.status_code, answer.json()["code"]) == (503, "artifact_damaged")
            assert answer.headers["retry-after"] == "10"
            ready = client.get(f"{world.path}/ready", headers=bearer(world.secret))
            assert (ready.status_code, ready.json()["code"]) == (503, "artifact_damaged")
            assert receiver.bodies == []
    finally:
        place.write_bytes(before)
        place.chmod(mode)
    # What waited was sent when the process ended.
    *_, last, ready = receiver.roots(2)
    assert (last["name"], last["attributes"]["error.type"]) == ("infer loans", "artifact_damaged")
    assert ready["attributes"]["http.response.status_code"] == 503


def test_it_refuses_at_the_wire_and_asks_the_database_nothing_for_it(cast, committing_db, process_environment):
    world = a_world(cast)
    slow_key = a_key(cast, world.endpoint, rate=1)[1]
    with running(process_environment) as client:
        until(lambda: infer(client, "loans", world.secret).status_code == 200, 3)
        headers = bearer(world.secret)
        limit = world.endpoint.max_body_bytes
        large = client.post(f"{world.path}/infer", content=b" " * (limit + 1), headers=headers)
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        chunked = client.post(f"{world.path}/infer", content=iter([b" " * 65_536] * 20), headers=headers)
        assert (chunked.status_code, chunked.json()["code"]) == (413, "too_large")
        # A length alone is enough: the body need not come.
        assert said(client, world, f"Content-Length: {limit + 1}\r\n\r\n") == b"413"

        twice = [infer(client, "loans", slow_key) for _ in range(2)]
        assert [one.status_code for one in twice] == [200, 429]
        assert 1 <= int(twice[1].headers["retry-after"]) <= 60

        asked, began = queries(committing_db), time.monotonic()
        # A key may well end in x itself.
        another = world.secret[:-1] + ("y" if world.secret.endswith("x") else "x")
        for number in range(240):
            wrong = another if number % 2 else f"{world.secret[:8]}zzzzzzzz{world.secret[16:]}"
            assert infer(client, "loans", wrong).status_code == 401
        # Lease, counts and log make a few transactions a second, however long a busy machine takes.
        assert queries(committing_db) - asked < 30 + 10 * (time.monotonic() - began)
        named = client.get("/v2", headers={"X-Request-ID": "ledger-2024.11"})
        assert named.headers["x-request-id"] == "ledger-2024.11"


def said(client, world, rest):
    """The status that a raw request gets whose body never comes."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=5) as raw:
        start = f"POST {world.path}/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.secret}\r\n{rest}"
        raw.sendall(start.encode())
        return raw.recv(4096).split(b" ")[1]


def queries(database):
    """Transactions that a database has seen; the lease alone makes two a second."""
    connection = psycopg2.connect(os.environ["ADMIN_DATABASE_URL"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s", [database])
            return cursor.fetchone()[0]
    finally:
        connection.close()
