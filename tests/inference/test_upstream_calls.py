"""Endpoints whose predictions another server makes, asked through the gateway; the servers really run."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace

import pytest

from approvals.services import revoke
from inference.gateway.breaker import Breaker
from inference.gateway.dialects import Target
from inference.gateway.outside import Host, Unreachable
from inference.gateway.refused import Refused
from inference.gateway.tensors import read
from inference.gateway.upstream import AT_ONCE, Caller
from inference.upstreams.services import set_upstream
from tests import worlds
from tests.approvals import policies
from tests.approvals import world as approvals
from tests.inference import elsewhere
from tests.inference.elsewhere import SECRET, VERSION, World, ask
from tests.inference.gateway import ROWS, Inside, a_key, an_endpoint, bind, body, code, expected, swap
from tests.inference.test_upstreams import INTERFACE

MAPPED = {
    "kind": "http-json", "rows_at": "data.rows", "row_form": "records", "predictions_at": "result.scores",
    "header": ("X-API-Key", SECRET),
}  # fmt: skip


@pytest.fixture(scope="module")
def servers():
    with elsewhere.served() as told:
        yield told


@pytest.fixture
def world(settings):
    return World(settings.KEY_PEPPER)


@pytest.fixture
def inside(settings):
    settings.UPSTREAM_INTERNAL_HOSTS = ["127.0.0.1"]
    found = Inside()
    yield found
    found.close()


def to(inside, world, url, kind="http-json", seconds=5.0, **changes):
    return world.put(inside, Target(endpoint=1, kind=kind, url=url, seconds=seconds, **changes))


def lie(inside, world, servers, name, seconds=5.0):
    return to(inside, world, f"{servers.liar}/{name}", seconds=seconds)


def refused(inside, world, status):
    answer = ask(inside, world)[0]
    return code(answer, status), answer.json().get("fault")


def test_each_kind_answers_as_the_model_itself_would(inside, world, servers):
    labels, table, decisions = expected()
    targets = [
        (servers.good + "/score", MAPPED),
        (servers.good + "/v2/models/loans/versions/3/infer", {"kind": "http-oip"}),
        (servers.good + "/v1/models/loans:predict", {"kind": "tf-serving"}),
        (servers.good + "/invocations", {"kind": "mlflow"}),
        (servers.flask, {"kind": "http-json"}),
    ]
    for url, how in targets:
        to(inside, world, url, **how)
        answer = ask(inside, world, body())[0]
        assert answer.status_code == 200, (how, answer.text)
        found = {one["name"]: one for one in answer.json()["outputs"]}
        assert (found["label"]["data"], found["label"]["datatype"]) == (labels, "INT64")
        assert found["probabilities"]["data"] == pytest.approx(table)
        assert found["decision"]["data"] == decisions
        assert answer.json()["parameters"]["artifact"] == world.artifact
    # Many rows are written and read beside the event loop, and give the same.
    many = ROWS * 1_500
    swap(inside, max_rows=len(many), max_body_bytes=1_000_000)
    answer = ask(inside, world, body(many))[0]
    assert answer.json()["outputs"][-1]["data"] == decisions * 1_500
    rows = {"dataframe_split": {"columns": ["debt", "income"], "data": [[row[1], row[0]] for row in ROWS]}}
    answer = ask(inside, world, rows, path="/endpoints/loans/invocations")[0]
    assert [row["decision"] for row in answer.json()["predictions"]] == decisions


def test_a_service_that_takes_single_rows(inside, world, servers):
    to(inside, world, servers.flask + "/one", row_form="single", rows_at="applicant", predictions_at="result")
    answer = ask(inside, world, body(ROWS[1:2]))[0]
    assert answer.json()["outputs"][-1]["data"] == expected()[2][1:2]


def test_what_the_upstream_is_told_and_what_it_is_not(inside, world, servers):
    to(inside, world, servers.good + "/score?api-version=1", **MAPPED)
    before = len(servers.seen)
    answers = ask(inside, world, *[body()] * 3)
    assert [each.status_code for each in answers] == [200] * 3
    assert len(servers.seen) == before + 3
    said = servers.last
    assert (said["x-api-key"], said["x-request-id"]) == (SECRET, answers[-1].headers["x-request-id"])
    assert "authorization" not in said
    assert world.secret not in str(said)
    to(inside, world, servers.good + "/score", **MAPPED | {"header": None})
    assert refused(inside, world, 502) == ("upstream_failed", None)


def test_an_answer_leaves_only_if_it_would_still_be_given(inside, world, servers):
    def ended():
        swap(inside, approved=None, reasons=({"code": "revoked", "sentence": "It was revoked."},))

    changes = ((lambda: to(inside, world, servers.flask), 503, "endpoint_changed"), (ended, 409, "not_approved"))
    for change, status, said in changes:
        to(inside, world, servers.good + "/score", **MAPPED)
        servers.meanwhile = change
        try:
            assert refused(inside, world, status) == (said, None)
        finally:
            servers.meanwhile = bool


def test_answers_of_another_version_are_refused(inside, world, servers):
    to(inside, world, servers.good + "/score", **MAPPED, version_at="model.version", expected=VERSION)
    assert ask(inside, world)[0].status_code == 200
    to(inside, world, servers.good + "/score", **MAPPED, version_at="model.version", expected="score-8")
    assert refused(inside, world, 502) == ("upstream_differs", None)


@pytest.mark.parametrize(("name", "status", "said", "fault"), [
    ("longer", 502, "upstream_invalid", "garbled"),
    ("shorter", 502, "upstream_invalid", "not_json"),
    ("both", 502, "upstream_invalid", "garbled"),
    ("noise", 502, "upstream_invalid", "garbled"),
    ("upgrade", 502, "upstream_invalid", "garbled"),
    ("headers", 502, "upstream_invalid", "garbled"),
    ("huge", 502, "upstream_invalid", "garbled"),
    ("page", 502, "upstream_invalid", "not_json"),
    ("packed", 502, "upstream_invalid", "compressed"),
    ("nan", 502, "upstream_invalid", "not_json"),
    ("rows", 502, "upstream_invalid", "wrong_length"),
    ("silent", 502, "upstream_failed", None),
    ("redirect", 502, "upstream_failed", None),
    ("broken", 502, "upstream_failed", None),
    ("busy", 502, "upstream_failed", None),
])  # fmt: skip
def test_what_an_upstream_that_misbehaves_comes_to(inside, world, servers, name, status, said, fault):
    lie(inside, world, servers, name)
    before = servers.connections
    assert refused(inside, world, status) == (said, fault)
    assert servers.connections == before + 1  # nothing is sent a second time


def test_ways_of_answering_that_are_odd_but_right(inside, world, servers):
    for name in ("until-closed", "continue", "again"):
        lie(inside, world, servers, name)
        answers = ask(inside, world, *[body([[0.4, -0.1]])] * 2)
        assert [each.status_code for each in answers] == [200, 200], name
        assert answers[0].json()["outputs"][-1]["data"] == [True]


def test_one_that_hangs_is_given_up_after_its_seconds(inside, world, servers):
    for name in ("hangs", "half"):
        lie(inside, world, servers, name, seconds=0.2)
        start = time.monotonic()
        assert refused(inside, world, 504) == ("upstream_timeout", None)
        assert time.monotonic() - start < 2


def test_one_that_fails_in_a_row_is_left_alone(inside, world, servers):
    for name, opens in (("busy", True), ("broken", False), ("page", False)):
        lie(inside, world, servers, name)
        before = servers.connections
        answers = ask(inside, world, *[body([[0.4, -0.1]])] * 7)
        last = answers[-1]
        assert (last.json()["code"] == "upstream_open", servers.connections - before == 5) == (opens, opens), name
        if opens:
            assert code(last, 503) == "upstream_open"
            assert 0 < int(last.headers["retry-after"]) <= 10


def test_after_a_while_one_tries_and_all_go_on(inside, world, servers):
    served = lie(inside, world, servers, "silent")
    asked = read(json.dumps(body()).encode(), served.inputs, served.output_names, 10)

    async def story():
        caller, found = Caller(served.upstream, ["127.0.0.1"], "test", asyncio.to_thread), []
        caller.breaker = Breaker(failures=2, seconds=0.1)

        async def once():
            try:
                await caller.run(served, asked, {"X-Request-ID": "a-request"})
                found.append("fine")
            except Refused as refusal:
                found.append(refusal.code)

        for _ in range(3):
            await once()
        with pytest.raises(Refused):
            caller.ready()
        caller.host = Host(servers.flask, ["127.0.0.1"])
        caller.head = caller.head.replace(b"/silent", b"/predict")
        await asyncio.sleep(0.12)
        caller.ready()
        trying = asyncio.create_task(once())
        await asyncio.sleep(0)
        await once()  # another, while that one tries
        trying.cancel()  # it goes away
        await asyncio.gather(trying, return_exceptions=True)
        await once()
        await once()
        caller.host.close()
        return found

    assert asyncio.run(story()) == [*["upstream_failed"] * 2, *["upstream_open"] * 2, "fine", "fine"]


def test_a_connection_that_the_other_side_left_is_not_used(inside, world, servers):
    lie(inside, world, servers, "leaves")

    async def twice():
        host, found = Host(f"{servers.liar}/leaves", ["127.0.0.1"]), []
        message = b"POST /leaves HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        for _ in range(2):
            found.append((await host.ask(message, 1_000, 5)).status)
            time.sleep(0.1)  # the loop does not hear of it
        host.close()
        return found

    assert asyncio.run(twice()) == [200, 200]


def test_addresses_inside_are_asked_only_if_the_administrator_named_them(inside, world, servers, settings):
    port = servers.flask.rpartition(":")[2]

    def reached(url, internal):
        async def go():
            host = Host(url, internal)
            line = await host.connected()
            line.close()
            return True

        try:
            return asyncio.run(go())
        except Unreachable as error:
            return type(error.__cause__).__name__

    assert reached(f"http://127.0.0.1:{port}", ["127.0.0.1"]) is True
    assert reached(f"http://localhost:{port}", ["localhost"]) is True
    for url in (f"https://127.0.0.1:{port}", f"https://localhost:{port}", f"https://[::1]:{port}",
                f"http://127.0.0.1:{port}", "https://169.254.169.254"):  # fmt: skip
        assert reached(url, ["elsewhere"]) == "NotPublic", url
    assert reached("https://127.0.0.1:9", ["127.0.0.1"]) == "ConnectionRefusedError"
    assert reached(f"https://127.0.0.1:{port}", ["127.0.0.1"]).startswith("SSL")  # it does not speak TLS
    assert reached("https://" + "a" * 70 + ".example", []) == "UnicodeError"
    settings.UPSTREAM_INTERNAL_HOSTS = []
    outside = Inside()
    to(outside, world, servers.flask)
    assert refused(outside, world, 502) == ("upstream_failed", None)
    outside.close()


def test_connections_are_kept_and_callers_are_bounded(inside, world, servers):
    served = to(inside, world, servers.good + "/v1/models/loans:predict", kind="tf-serving")
    assert inside.application.gateway is not None
    upstreams = inside.application.gateway.inference.upstreams
    caller = upstreams.of(served.upstream)
    caller.waiting = AT_ONCE
    assert refused(inside, world, 503) == ("overloaded", None)
    answers = ask(inside, world, *[body()] * 20, at_once=True)
    assert {each.status_code for each in answers} == {200}
    first = upstreams.of(served.upstream)
    second = upstreams.of(to(inside, world, servers.flask).upstream)
    assert (first.host.closed, second.host.closed, list(upstreams.callers.values())) == (True, False, [second])


def test_ready_and_metadata_say_who_predicts(inside, world, servers):
    to(inside, world, servers.flask)
    headers = {"Authorization": f"Bearer {world.secret}"}
    assert inside.ask("GET", world.path, headers=headers).json()["platform"] == "http-json"
    assert inside.ask("GET", f"{world.path}/ready", headers=headers).status_code == 200
    to(inside, world, servers.flask, usable=False)
    assert code(inside.ask("GET", f"{world.path}/ready", headers=headers), 503) == "upstream_unusable"
    assert refused(inside, world, 503) == ("upstream_unusable", None)


@pytest.mark.django_db
def test_an_approved_version_without_bytes_from_the_portal_to_its_decision(cast, settings, servers):
    settings.UPSTREAM_INTERNAL_HOSTS = ["127.0.0.1"]
    version = worlds.a_pinned_version(cast, interface=INTERFACE)
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    request = approvals.a_request(cast, version)
    endpoint = an_endpoint(cast, version.model)
    how = {"kind": "http-json", "rows_at": "data.rows", "row_form": "records", "predictions_at": "result.scores"}
    set_upstream(
        by=cast.model_owner, endpoint=endpoint, url=servers.good + "/score", **how, version_at="model.version",
        header_name="X-API-Key", secret=SECRET,
    )  # fmt: skip
    bind(cast, endpoint, version)
    _, secret = a_key(cast, endpoint)
    served = SimpleNamespace(path="/v2/models/loans", secret=secret)
    inside = Inside().renew()
    assert code(ask(inside, served)[0], 409) == "not_approved"
    approvals.sign(cast.approver, request, "approval")
    answer = ask(inside.renew(), served, body())[0]
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][-1] == {
        "name": "decision", "datatype": "BOOL", "shape": [len(ROWS)], "data": expected()[2],
    }  # fmt: skip
    assert answer.json()["parameters"]["artifact"] == version.artifact.digest
    assert inside.board.runners == {}
    revoke(by=cast.approver, request=request, reason="The vendor changed it.")
    assert code(ask(inside.renew(), served)[0], 409) == "not_approved"
    inside.close()
