"""The bytes that are written today must be the bytes that are verified in ten years: fixed examples."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import canonical, digest_of, disclosure_bytes, sha256, timestamp, uuid7

# RFC 8785, section 3.2.2 and 3.2.3: numbers, escapes, and the order of names by UTF-16 units.
NUMBERS = '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}'  # noqa: E501
NUMBERS_CANONICAL = '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'  # noqa: E501
ORDER = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew",
    "1": "One",
    "\U0001f600": "Emoji",
    "\x80": "Control",
    "ö": "Latin",
}


def test_the_examples_of_rfc_8785():
    assert canonical(json.loads(NUMBERS)).decode() == NUMBERS_CANONICAL
    assert list(json.loads(canonical(ORDER))) == ["\r", "1", "\x80", "ö", "\u20ac", "\U0001f600", "\ufb33"]


def test_an_event_of_today_keeps_its_digest():
    event = {
        "v": 1,
        "id": "01a20b06-2070-769b-bd61-62bbdcfdf336",
        "time": "2026-11-24T00:48:00.624413Z",
        "actor": {"kind": "person", "id": "453a2f3f-b50f-4d12-b98b-d52152c964b1"},
        "origin": {"channel": "browser", "request": "6f0d4a2e-0c3e-4b51-9c39-3f1d6e1a2b3c"},
        "event": "team.added",
        "object": {"type": "accounts.team", "id": "3"},
        "team": "3",
        "facts": {"slug": "äpfel", "size": 12, "ratio": 0.1, "none": None},
        "outcome": "done",
        "disclosures": {"actor_name": "sha256:" + "0" * 64},
    }
    raw = canonical(event)
    assert raw.startswith(b'{"actor":{"id":"453a2f3f-b50f-4d12-b98b-d52152c964b1","kind":"person"},"disclosures":{')
    assert raw.endswith(
        '"facts":{"none":null,"ratio":0.1,"size":12,"slug":"äpfel"},"id":"01a20b06-2070-769b-bd61-62bbdcfdf336","object":{"id":"3","type":"accounts.team"},"origin":{"channel":"browser","request":"6f0d4a2e-0c3e-4b51-9c39-3f1d6e1a2b3c"},"outcome":"done","team":"3","time":"2026-11-24T00:48:00.624413Z","v":1}'.encode()
    )
    assert sha256(raw) == digest_of(event) == "sha256:b99b17d128cf54c7a57cbbca69740eade0a420be1549a9569e14102135374bf1"


def test_a_disclosure_of_today_keeps_its_digest():
    raw = disclosure_bytes(bytes(range(16)), "reason", "Vera is ill – “flu”")
    assert raw == '["AAECAwQFBgcICQoLDA0ODw","reason","Vera is ill – “flu”"]'.encode()
    assert sha256(raw) == "sha256:5bc81a34dbc88e48528f4a8b5818ef9331b22c734d9a15ccce852af0e0e763f0"


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, -(2**53), {1: 2}, b"x", {"x": object()}, "\ud800"]
)
def test_what_json_cannot_hold_exactly_is_no_event(value):
    with pytest.raises(ValueError, match="not canonical JSON"):
        canonical({"x": value} if not isinstance(value, dict) else value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**52), 2.0**52)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_canonical_bytes_are_a_fixed_point(value):
    raw = canonical(value)
    assert canonical(json.loads(raw)) == raw


@given(st.dictionaries(st.text("abcé€\U0001f600", max_size=3), st.integers(0, 9), max_size=6), st.randoms())
def test_the_order_of_writing_does_not_matter(value, dice):
    pairs = list(value.items())
    dice.shuffle(pairs)
    assert canonical(dict(pairs)) == canonical(value)


def test_times_are_utc_with_microseconds():
    at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    assert timestamp(at) == "2026-11-24T09:30:00.000000Z"
    assert timestamp(at.astimezone(timezone(timedelta(hours=2)))) == "2026-11-24T09:30:00.000000Z"
    with pytest.raises(ValueError, match="needs its zone"):
        timestamp(at.replace(tzinfo=None))


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.binary(min_size=8, max_size=8)
)
def test_ids_are_of_version_7_and_in_the_order_of_time(at, random):
    one, next_ = uuid7(at, random), uuid7(at + timedelta(microseconds=1), random)
    assert (one.version, one.variant) == (7, uuid.RFC_4122)
    assert one < next_
    assert one.int >> 80 == int(at.timestamp()) * 1000 + at.microsecond // 1000
