"""What reaches the gateway before it answers anybody: bodies in parts, headers that matter, a start that fails."""

from __future__ import annotations

import asyncio

import pytest

from inference.gateway.app import Application, Headers, headers_of
from inference.gateway.infer import body_of
from inference.gateway.refused import Refused


def pieces(*messages, then=None):
    left = list(messages)

    async def receive():
        if left:
            return left.pop(0)
        raise TimeoutError  # as a connection does when the time is over

    return receive


def part(data, more=True):
    return {"type": "http.request", "body": data, "more_body": more}


def test_bodies_come_in_parts_or_not_at_all():
    assert asyncio.run(body_of(pieces(part(b"ab"), part(b"c", more=False)), None, 3)) == b"abc"
    cases = [
        (pieces(part(b"ab"), part(b"cd", more=False)), None, 413, "too_large"),
        (pieces(), b"4", 413, "too_large"),
        (pieces(), b"-1", 413, "too_large"),
        (pieces({"type": "http.disconnect"}), None, 400, "disconnected"),
        (pieces(part(b"a"), {"type": "http.disconnect"}), None, 400, "disconnected"),
        (pieces(part(b"a")), None, 408, "body_timeout"),
        (pieces(), b"3", 408, "body_timeout"),
    ]
    for receive, length, status, wanted in cases:
        with pytest.raises(Refused) as refused:
            asyncio.run(body_of(receive, length, 3))
        assert (refused.value.status, refused.value.code) == (status, wanted)


def test_it_says_when_it_cannot_start():
    application, sent = Application(), []
    application.lease.thread.start()  # a thread starts only once
    application.lease.stopping.set()

    async def lived():
        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            sent.append(message["type"])

        await application({"type": "lifespan"}, receive, send)

    asyncio.run(lived())
    assert sent == ["lifespan.startup.failed"]


def test_headers_that_do_not_matter_are_passed_over():
    assert headers_of([(b"accept", b"*/*")]) == Headers()
