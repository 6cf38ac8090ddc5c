"""Requests whose head does not come, has no end, or is two at once: refused by the connection itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from uvicorn.server import ServerState

from inference.gateway.connection import Connection

GOOD = b"POST / HTTP/1.1\r\nhost: gateway\r\ncontent-length: 2\r\n\r\n{}"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


class Impatient(Connection):
    patience = 0.2
    most = 1024


async def echo(scope, receive, send):
    """Answers with the length of the body, after a while where the path asks for it."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def heard(talk: Talk) -> bytes:
    """What a connection gives until it is closed."""

    async def run() -> bytes:
        config = uvicorn.Config(echo, http=Impatient, ws="none", log_level="critical", lifespan="off")
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            try:
                return await asyncio.wait_for(talk(reader, writer), 5)
            finally:
                writer.close()

    return asyncio.run(run())


def saying(*parts: bytes, pause: float = 0.0) -> Talk:
    async def talk(reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await reader.read()

    return talk


def test_a_head_that_does_not_come_is_waited_for_a_while():
    assert heard(saying()) == b"", "nobody said anything"
    trickle = [GOOD[n : n + 1] for n in range(5)]
    assert heard(saying(*trickle, pause=0.02)).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_end_is_not_kept():
    assert heard(saying(GOOD[:17], b"x-a: " + b"a" * 2000)).startswith(b"HTTP/1.1 431 ")
    assert heard(saying(b"GET /" + b"a" * 2000)).startswith(b"HTTP/1.1 431 ")


def test_a_second_request_on_the_same_connection_has_as_long_and_is_no_answer_to_the_first():
    async def talk(reader, writer):
        writer.write(GOOD)
        first = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)
        await asyncio.sleep(0.1)
        writer.write(GOOD[:20])
        return first + await reader.read()

    said = heard(talk)
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 408 ")) == (1, 1)
    slow = GOOD.replace(b"POST /", b"POST /slow")
    assert heard(saying(slow + GOOD[:20])).count(b"HTTP/1.1") <= 1, "nothing before the answer that is on its way"


def test_empty_lines_between_requests_keep_no_connection_open():
    async def talk(reader, writer):
        writer.write(GOOD)
        first = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)
        writer.write(b"\r\n")
        return first + await reader.read()

    assert heard(talk).count(b"HTTP/1.1") == 1


def test_a_body_may_take_longer_than_a_head():
    async def talk(reader, writer):
        writer.write(GOOD[:-2])
        await asyncio.sleep(0.4)
        writer.write(b"{}")
        return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)

    said = heard(talk)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"2")


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 2\r\ncontent-length: 3\r\n",
        b"content-length: 2, 3\r\n",
        b"content-length: -2\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding : chunked\r\n",
        b"content-length: 2\n\r\n",
        b" content-length: 2\r\n",
        b"x-a: \x00\r\n",
    ],
    ids=["both", "two", "list", "negative", "not last", "space", "newline", "folded", "null"],
)
def test_a_request_that_is_perhaps_two_is_refused(head):
    said = heard(saying(b"POST / HTTP/1.1\r\nhost: gateway\r\n" + head + b"\r\n{}GET / HTTP/1.1\r\n\r\n"))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1") == 1
