"""Trace contexts, samplers and settings, by their specifications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from inference.gateway.tracing.config import config, headers, resource, sampler
from inference.gateway.tracing.context import HALF, Context, Sampler, read, state_of, written

GOOD = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
IDS = some.integers(1, (1 << 128) - 1), some.integers(1, (1 << 64) - 1)


@given(IDS[0], IDS[1], some.booleans(), some.sampled_from(["", "a=1", "fw529a3039@dt=FfAAA,b=2"]))
def test_what_is_written_is_read_again(trace_id, span_id, sampled, state):
    sent = {name: value.encode() for name, value in written(trace_id, span_id, sampled, state).items()}
    states = [sent["tracestate"]] if "tracestate" in sent else []
    assert read([sent["traceparent"]], states) == Context(trace_id, span_id, sampled, state)


def test_callers_that_are_not_understood_are_not_followed():
    known = read([GOOD], [])
    assert known == Context(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, "")
    assert read([GOOD[:-2] + b"fe"], []) == known._replace(sampled=False)
    # A later version may say more; what this one knows is taken.
    assert read([b"01" + GOOD[2:]], []) == read([b"01" + GOOD[2:] + b"-more"], []) == known
    wrong = [
        b"", GOOD.upper(), GOOD[:-1], GOOD + b"0", GOOD + b"-more", b"01" + GOOD[2:] + b"more", b"ff" + GOOD[2:],
        b"00-" + b"0" * 32 + GOOD[35:], GOOD[:36] + b"0" * 16 + b"-01", GOOD.replace(b"-", b"_"), b" " + GOOD,
    ]  # fmt: skip
    assert [read([each], []) for each in wrong] == [None] * len(wrong)
    assert read([GOOD, GOOD], []) is None
    assert read([], []) is None


def test_the_state_of_vendors_is_passed_on_or_left_out_whole():
    assert state_of([b"a=1 , b=2", b"", b"t@v=x y"]) == "a=1,b=2,t@v=x y"
    wrong = [b"A=1", b"a", b"a=", b"a=1,b", b"a=\xe9", b"a=1\r\nb=2", b"a=" + b"x" * 520]
    assert [state_of([each]) for each in wrong] == [""] * len(wrong)
    many = [b"k%d=1" % number for number in range(33)]
    assert (state_of(many), state_of(many[:32])) == ("", b",".join(many[:32]).decode())


@given(IDS[0], some.floats(0, 1), some.floats(0, 1), some.booleans())
def test_a_ratio_takes_the_same_traces_everywhere_and_more_when_it_is_greater(trace_id, one, other, sampled):
    less, more = sorted((one, other))
    assert Sampler(True, less).samples(trace_id, None) <= Sampler(False, more).samples(trace_id, None)
    assert Sampler(False, 1.0).samples(trace_id, None)
    assert not Sampler(False, 0.0).samples(trace_id, None)
    parent = Context(trace_id, 1, sampled, "")
    assert Sampler(True, one).samples(trace_id, parent) is sampled
    assert Sampler(False, one).samples(trace_id, parent) == Sampler(True, one).samples(trace_id, None)


def test_a_ratio_is_of_the_lower_half_of_the_id():
    # As TraceIdRatioBased of the SDK for Python: below round(ratio * 2^64).
    assert Sampler(False, 0.25).samples((HALF >> 2) | (HALF << 64), None)
    assert not Sampler(False, 0.25).samples((HALF >> 2) + 1, None)


@pytest.mark.parametrize(
    ("name", "ratio", "wanted", "said"),
    [
        ("", "", Sampler(True, 1.0), False),
        ("", "0.1", Sampler(True, 1.0), False),
        ("always_on", "", Sampler(False, 1.0), False),
        ("always_off", "", Sampler(False, 0.0), False),
        ("parentbased_always_off", "", Sampler(True, 0.0), False),
        ("traceidratio", "0.1", Sampler(False, 0.1), False),
        ("parentbased_traceidratio", "0.01", Sampler(True, 0.01), False),
        ("parentbased_traceidratio", "", Sampler(True, 1.0), False),
        ("parentbased_traceidratio", "1.5", Sampler(True, 1.0), True),
        ("traceidratio", "nan", Sampler(False, 1.0), True),
        ("traceidratio", "some", Sampler(False, 1.0), True),
        ("jaeger_remote", "", Sampler(True, 1.0), True),
    ],
)
def test_samplers_have_the_standard_names(name, ratio, wanted, said, caplog):
    assert sampler({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": ratio}) == wanted
    assert bool(caplog.messages) is said


def test_what_holds_for_traces_goes_first():
    usual = config(ENDPOINT, "1")
    assert usual.url.geturl() == "http://collector:4318/v1/traces"
    assert (usual.timeout, usual.gzip, usual.delay, usual.queue, usual.batch) == (10.0, False, 5.0, 2048, 512)
    assert (usual.headers, usual.authority, usual.certificate, usual.key) == ({}, None, None, None)
    every = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in {
        "ENDPOINT": "http://one:1/", "TRACES_ENDPOINT": "https://two:2/t?x=1", "HEADERS": "a=1",
        "TRACES_HEADERS": "b=2", "TIMEOUT": "1000", "TRACES_TIMEOUT": "2000", "COMPRESSION": "none",
        "TRACES_COMPRESSION": "gzip", "PROTOCOL": "grpc", "TRACES_PROTOCOL": "http/protobuf", "CERTIFICATE": "a.pem",
    }.items()}  # fmt: skip
    found = config({**every, "OTEL_BSP_MAX_QUEUE_SIZE": "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "9"}, "1")
    assert (found.url.geturl(), found.headers, found.timeout) == ("https://two:2/t?x=1", {"b": "2"}, 2.0)
    assert (found.gzip, found.authority, found.batch, found.queue) == (True, "a.pem", 9, 9)
    slashed = config({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://one:1/otel/"}, "1")
    assert slashed.url.path == "/otel/v1/traces"


def test_traces_can_be_turned_off():
    assert config({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, "1") is None
    assert config({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, "1") is None
    assert config({**ENDPOINT, "OTEL_TRACES_EXPORTER": "console, otlp"}, "1") is not None


@pytest.mark.parametrize(
    "address",
    [
        "collector:4318",
        "ftp://one",
        "http://",
        "http://one:x",
        "http://one:0",
        "http://u:hush@one",
        "http://o ne",
        "http://ö",
    ],
    ids=["no-scheme", "scheme", "no-host", "port", "port-zero", "user", "space", "not-ascii"],
)
def test_addresses_that_cannot_be_posted_to_are_told(address):
    with pytest.raises(ValueError, match="OTEL_EXPORTER_OTLP_ENDPOINT has to be like") as told:
        config({"OTEL_EXPORTER_OTLP_ENDPOINT": address}, "1")
    assert "hush" not in str(told.value)


def test_headers_are_decoded_and_never_told():
    assert headers("Authorization=Bearer%20x%3D, b = 2 ,") == {"authorization": "Bearer x=", "b": "2"}
    for wrong in ("hush", "na me=hush", "a=hush%0d%0ab: c", "=hush"):
        with pytest.raises(ValueError, match="has to be like") as told:
            headers(wrong)
        assert "hush" not in str(told.value)


def test_the_operator_says_what_sends(caplog):
    found = resource({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=pro%20d,service.name=x,oops"}, "1.2")
    assert (found["deployment.environment.name"], found["service.name"]) == ("pro d", "x")
    assert found["service.version"] == "1.2"
    assert len(caplog.messages) == 1
    assert (
        resource({"OTEL_SERVICE_NAME": "y", "OTEL_RESOURCE_ATTRIBUTES": "service.name=x"}, "1")["service.name"] == "y"
    )
    assert found["service.instance.id"] != resource({}, "1.2")["service.instance.id"]
