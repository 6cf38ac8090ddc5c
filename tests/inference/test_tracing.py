"""Traces of real requests, as they arrive at a receiver of OTLP."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from dataclasses import replace

import pytest

from inference.gateway.tracing.config import config
from inference.gateway.tracing.export import Exporter
from inference.gateway.tracing.spans import Tracer
from inference.gateway.untraced import CLIENT, OFF, tracer
from tests.inference.gateway import bearer, body, code, infer, put, swap, until
from tests.inference.receiving import plain

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=x1"}
PARTS = ["admission", "receive", "parse", "run", "write"]
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "5"}


@pytest.fixture
def traced(receiver, settings, request):
    """The application with traces on, and settings that a test may add, on the board of the module's world."""
    settings.OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, **QUICK, **getattr(request, "param", {})}
    return request.getfixturevalue("inside")


def exporter(receiver, **changes):
    """A tracer whose batches are tried again at once, and three times at most."""
    found = config({"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, **QUICK}, "1")
    return Tracer(replace(found, **{"pauses": (0.0, 0.0), **changes}))


def one(tracer, **attributes):
    """A request of six spans."""
    trace = tracer.begin({"path": "/invocations", "method": "POST", "headers": []}, "request-1")
    for name in PARTS:
        with trace.part(name, attributes=attributes):
            pass
    trace.end(200)


def test_a_prediction_goes_on_with_its_callers_trace(traced, world, receiver):
    assert infer(traced, world, headers={**PARENT, "x-request-id": "request-42"}).status_code == 200
    (root,) = receiver.roots(1)
    (resource,) = {json.dumps(each["resourceSpans"][0]["resource"]) for each in receiver.bodies}
    about = plain(json.loads(resource)["attributes"])
    assert (about["service.name"], about["service.version"]) == ("countersign-gateway", "0.1.0")
    assert root["name"] == "infer loans"
    assert (root["traceId"], root["parentSpanId"], root["traceState"]) == (TRACE, CALLER, "vendor=x1")
    assert "status" not in root
    assert root["attributes"] == {
        "http.request.method": "POST",
        "url.path": f"{world.path}/infer",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.route": "/v2/models/{endpoint}/infer",
        "http.response.status_code": 200,
        "countersign.endpoint": "loans",
        "countersign.version": "1",
        "countersign.artifact": world.version.artifact.digest,
        "countersign.request_id": "request-42",
    }
    parts = [span for span in receiver.spans if span["kind"] == 1]
    assert [part["name"] for part in parts] == PARTS
    assert {(part["traceId"], part["parentSpanId"]) for part in parts} == {(TRACE, root["spanId"])}
    assert len({span["spanId"] for span in receiver.spans} | {CALLER}) == 7
    ends = 0
    for part in parts:
        assert max(int(root["startTimeUnixNano"]), ends) <= int(part["startTimeUnixNano"])
        ends = int(part["endTimeUnixNano"])
        assert int(part["startTimeUnixNano"]) <= ends <= int(root["endTimeUnixNano"])
    assert abs(ends / 1e9 - time.time()) < 60
    path, headers = receiver.posts[0]
    assert (path, headers["content-type"]) == ("/v1/traces", "application/json")


def test_refusals_say_their_code_and_only_faults_are_errors(traced, world, receiver):
    table = {"dataframe_split": {"columns": ["income", "nothing"], "data": [[4711.25, 1]]}}
    assert code(infer(traced, world, json=body(datatype="INT64", rows=[[4711.25, 1]])), 422) == "wrong_datatype"
    assert code(infer(traced, world, secret="cs_live_wrong"), 401) == "key_invalid"
    named = traced.ask("POST", "/endpoints/loans/invocations", headers=bearer(world.secret), json=table)
    assert named.status_code == 422
    assert code(traced.ask("POST", f"/v2/models/{world.secret}/infer", headers=bearer(world.secret)), 404)
    put(traced, run=lambda *_: 1 / 0)
    assert code(infer(traced, world, path="/versions/1"), 500) == "internal_error"
    wrong, stranger, rows, lost, broken = receiver.roots(5)
    assert wrong["name"] == rows["name"] == "infer loans"
    assert wrong["attributes"]["countersign.refusal"] == "wrong_datatype"
    assert rows["attributes"]["http.route"] == "/endpoints/{endpoint}/invocations"
    assert stranger["attributes"]["http.response.status_code"] == 401
    # Who has no key is told of nothing, and leaves nothing that looks like an endpoint.
    assert stranger["name"] == lost["name"] == "POST"
    assert "countersign.endpoint" not in stranger["attributes"]
    assert lost["attributes"]["url.path"] == "/withheld"
    assert all("status" not in each for each in (wrong, stranger, rows, lost))
    assert broken["status"] == {"code": 2}
    assert broken["attributes"]["error.type"] == broken["attributes"]["countersign.refusal"] == "internal_error"
    assert broken["attributes"]["http.route"] == "/v2/models/{endpoint}/versions/{version}/infer"
    run = [span for span in receiver.spans if span["name"] == "run"][-1]
    assert run["attributes"]["error.type"] == "ZeroDivisionError"
    (parse,) = [each for each in receiver.spans if each["name"] == "parse" and each["traceId"] == wrong["traceId"]]
    assert "status" not in parse
    sent = json.dumps(receiver.bodies)
    assert not any(secret in sent for secret in (world.secret, world.secret[-40:], "4711.25", "decision", "income"))


def test_waiting_for_the_prediction_log_is_a_part_of_its_own(traced, world, receiver):
    served = next(iter(traced.board.snapshot.endpoints.values()))
    swap(traced, log=replace(served.log, mode="strict"))
    traced.application.gateway.logbook.rows = 0
    assert code(infer(traced, world), 503) == "log_unavailable"
    (root,) = receiver.roots(1)
    parts = [span for span in receiver.spans if span["kind"] == 1]
    assert [part["name"] for part in parts] == [*PARTS, "log"]
    assert parts[-1]["parentSpanId"] == root["spanId"]
    assert parts[-1]["attributes"] == {"error.type": "log_unavailable"}


def test_only_what_asks_an_endpoint_is_traced(traced, world, receiver):
    for path in ("/v2/health/ready", "/v2", "/wp-login.php"):
        traced.ask("GET", path)
    assert traced.ask("GET", world.path, headers=bearer(world.secret)).status_code == 200
    (root,) = receiver.roots(1)
    assert root["name"] == "GET"
    assert "parentSpanId" not in root
    assert "traceState" not in root
    assert len(receiver.spans) == 1


@pytest.mark.parametrize(
    "traced", [{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}], indirect=True
)
def test_the_caller_decides_whether_its_trace_is_recorded(traced, world, receiver):
    assert infer(traced, world).status_code == 200
    assert infer(traced, world, headers={"traceparent": f"00-{TRACE}-{CALLER}-00"}).status_code == 200
    assert infer(traced, world, headers=PARENT).status_code == 200
    assert [root["traceId"] for root in receiver.roots(1)] == [TRACE]


def test_servers_behind_go_on_with_the_trace(receiver):
    tracer = exporter(receiver)
    scope = {"path": "/invocations", "method": "BREW", "headers": [(k.encode(), v.encode()) for k, v in PARENT.items()]}
    trace = tracer.begin(scope, "request-1")
    with trace.part("run"), contextlib.suppress(TimeoutError), trace.part("call", CLIENT, {"server.port": 8000}):
        sent = trace.onward()
        raise TimeoutError("with 4711.25 in it")
    outer = trace.onward()
    trace.end(200)
    (root,) = receiver.roots(1)
    call, run = receiver.spans[:2]
    assert (call["name"], call["kind"], call["parentSpanId"]) == ("call", 3, run["spanId"])
    assert call["attributes"] == {"server.port": 8000, "error.type": "TimeoutError"}
    assert run["parentSpanId"] == root["spanId"]
    assert sent == {"traceparent": f"00-{TRACE}-{call['spanId']}-01", "tracestate": "vendor=x1"}
    assert outer["traceparent"] == f"00-{TRACE}-{root['spanId']}-01"
    assert (root["name"], root["attributes"]["http.request.method_original"]) == ("HTTP", "BREW")

    silent = replace(
        config({"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}, "1"), sampler=tracer.sampler._replace(ratio=0)
    )
    unsampled = Tracer(silent)
    begun = unsampled.begin({"path": "/invocations", "method": "POST", "headers": []}, "request-2")
    assert begun.onward()["traceparent"].endswith("-00")
    told = dict(PARENT, traceparent=f"00-{TRACE}-{CALLER}-00")
    begun = unsampled.begin({**scope, "headers": [(k.encode(), v.encode()) for k, v in told.items()]}, "request-3")
    with begun.part("call"):
        sent = begun.onward()
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert (sent["traceparent"][-3:], sent["tracestate"]) == ("-00", "vendor=x1")
    assert OFF.onward() == {}
    for each in (tracer, unsampled):
        each.close()


def test_a_receiver_that_is_away_is_said_once_and_costs_no_answer(receiver, inside, world, settings, caplog):
    receiver.close()
    settings.OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, **QUICK}
    inside.application.gateway.tracer = exporter(receiver)
    with caplog.at_level(logging.WARNING, "inference.gateway"):
        for number in range(3):
            assert infer(inside, world).status_code == 200
            until(lambda wanted=number * 6 + 6: inside.application.gateway.tracer.lost == wanted, 5)
        inside.application.gateway.tracer.close()
    (said,) = caplog.messages
    assert said.startswith("traces do not reach 127.0.0.1: Connection refused")


def test_a_queue_is_bounded_and_what_is_lost_is_counted(receiver, caplog):
    receiver.gate.clear()
    tracer = exporter(receiver, queue=18, batch=6)
    with caplog.at_level(logging.WARNING, "inference.gateway"):
        one(tracer)
        until(lambda: receiver.posts, 5)
        start = time.perf_counter()
        for _ in range(50):
            one(tracer)
        assert time.perf_counter() - start < 0.5
        # One batch is on its way and counts until it has arrived.
        assert (len(tracer.exporter.queue), tracer.lost) == (2, 48 * 6)
        receiver.gate.set()
        assert len(receiver.roots(3)) == 3
        one(tracer)
        assert len(receiver.roots(4)) == 4
        until(lambda: len(caplog.messages) == 2, 5)
        tracer.close()
    assert "more spans come than are taken" in caplog.messages[0]
    assert caplog.messages[1] == "traces reach 127.0.0.1 again; 288 spans were lost so far"


def test_batches_are_sent_again_where_that_helps(receiver, caplog):
    busy = (503, {"retry-after": "0"}, b"")
    receiver.answers = [busy, (429, {}, b""), (200, {}, b""), (400, {}, b"secret"), busy, busy, busy]
    receiver.answers += [(200, {}, b'{"partialSuccess": {"rejectedSpans": "2"}}')]
    tracer = exporter(receiver, gzip=True, headers={"authorization": "Bearer hush"})
    with caplog.at_level(logging.WARNING, "inference.gateway"):
        for posts, lost in ((3, 0), (4, 6), (7, 12), (8, 14)):
            one(tracer)
            until(lambda posts=posts, lost=lost: (len(receiver.posts), tracer.lost) == (posts, lost), 5)
        one(tracer, oops="\ud800")
        until(lambda: tracer.lost == 20, 5)
        tracer.close()
    assert len(receiver.spans) == 12
    assert {headers["authorization"] for _, headers in receiver.posts} == {"Bearer hush"}
    assert "it answered 503" in caplog.messages[0]
    assert not any("hush" in said or "secret" in said for said in caplog.messages)


def test_what_waits_is_sent_before_the_process_ends(receiver):
    tracer = exporter(receiver, delay=60.0)
    one(tracer)
    tracer.close()
    assert len(receiver.spans) == 6
    assert not tracer.exporter.thread.is_alive()


def test_a_wrong_setting_traces_nothing_and_says_so(caplog, tmp_path):
    assert tracer({}, "1") is None
    good = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318"}
    assert tracer({**good, "OTEL_SDK_DISABLED": "true"}, "1") is None
    assert caplog.messages == []
    missing = tmp_path / "missing.pem"
    for wrong in ({"PROTOCOL": "grpc"}, {"CERTIFICATE": str(missing)}, {"CLIENT_CERTIFICATE": str(missing)}):
        assert tracer(good | {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in wrong.items()}, "1") is None
        assert caplog.messages.pop().startswith("nothing is traced: ")
        caplog.clear()


def test_a_host_that_cannot_be_named_is_no_end_of_the_thread():
    odd = Exporter(config({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a..b:1", **QUICK}, "1"))
    with pytest.raises(Exception, match="UnicodeError"):
        odd.post(b"{}")
    odd.close()
