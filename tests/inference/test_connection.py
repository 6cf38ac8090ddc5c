"""Requests whose head does not come, has no end, or is two at once: refused by the connection itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from uvicorn.server import ServerState

from inference.gateway.connection import Connection

GOOD = b"POST / HTTP/1.1\r\nhost: gateway\r\ncontent-length: 2\r\n\r\n{}"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


class Impatient(Connection):
    patience = idle = 0.2
    body_seconds = 0.6
    most = 1024


async def echo(scope, receive, send):
    """Answers with path and length of the body; otherwise where the path asks for it."""
    path, body = scope["path"], b""
    if path == "/deaf":
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        return
    try:
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
    except TimeoutError:
        path = "/late"
    if path == "/slow":
        await asyncio.sleep(0.5)
    if path == "/headers":
        path = ",".join(name.decode() for name, _ in scope["headers"])
    if path == "/fails":
        raise ArithmeticError
    said = b"%b %d" % (path.encode(), len(body)) if path != "/large" else b"a" * 30_000_000
    headers = [(b"content-length", b"%d" % len(said))]
    if path == "/split":
        headers.append((b"x-a", b"1\r\nx-b: 2"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


def heard(talk: Talk) -> bytes:
    """What a connection gives until it is closed."""
    return told(talk)[0]


def told(talk: Talk, ends_after: float | None = None) -> tuple[bytes, ServerState]:
    """The same, and what uvicorn knows of connections and tasks afterwards; it ends after so many seconds."""

    async def run() -> tuple[bytes, ServerState]:
        config = uvicorn.Config(echo, http=Impatient, ws="none", log_level="critical", lifespan="off")
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            if ends_after is not None:
                loop.call_later(ends_after, lambda: [each.shutdown() for each in state.connections])
            try:
                said = await asyncio.wait_for(talk(reader, writer), 5)
            finally:
                writer.close()
            while state.connections or state.tasks:
                await asyncio.sleep(0.01)
            return said, state

    return asyncio.run(run())


async def one(reader: asyncio.StreamReader) -> bytes:
    """One answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))


def to(path: str, method: str = "POST") -> bytes:
    return GOOD.replace(b"POST /", f"{method} {path}".encode())


def statuses(said: bytes) -> list[int]:
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


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
        first = await one(reader)
        await asyncio.sleep(0.1)
        writer.write(GOOD[:20])
        return first + await reader.read()

    said = heard(talk)
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 408 ")) == (1, 1)
    said = heard(saying(to("/slow") + GOOD[:20]))
    assert statuses(said) == [200, 408], "nothing before the answer that is on its way"


def test_empty_lines_between_requests_keep_no_connection_open():
    async def talk(reader, writer):
        writer.write(GOOD)
        first = await one(reader)
        writer.write(b"\r\n")
        return first + await reader.read()

    assert heard(talk).count(b"HTTP/1.1") == 1


def test_a_body_may_take_longer_than_a_head():
    async def talk(reader, writer):
        writer.write(GOOD[:-2])
        await asyncio.sleep(0.4)
        writer.write(b"{}")
        return await one(reader)

    said = heard(talk)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"/ 2")


def test_a_body_that_does_not_come_is_the_applications_to_refuse():
    assert b"/late 0" in heard(saying(to("/")[:-2]))
    assert b"/late 1" in heard(saying(to("/")[:-2], b"{", pause=0.1)), "whatever came of it"


def test_requests_that_do_not_wait_are_answered_in_turn():
    said = heard(saying(to("/slow") + to("/a") + to("/b") + to("/c%20d?e=f") + to("http://gateway/g")))
    assert statuses(said) == [200] * 5
    assert [said.index(path) for path in (b"/slow 2", b"/a 2", b"/b 2", b"/c d 2", b"/g 2")] == sorted(
        said.index(path) for path in (b"/slow 2", b"/a 2", b"/b 2", b"/c d 2", b"/g 2")
    )


def test_what_is_said_before_the_body_came_leaves_the_connection_to_the_next():
    async def talk(reader, writer):
        writer.write(b"POST /deaf HTTP/1.1\r\ncontent-length: 300000\r\n\r\n" + b"a" * 100_000)
        first = await one(reader)
        writer.write(b"a" * 200_000 + to("/next"))
        return first + await one(reader)

    said = heard(talk)
    assert statuses(said) == [401, 200]
    assert said.endswith(b"/next 2")


def test_an_answer_before_the_end_of_the_body_is_read_before_the_connection_ends():
    async def talk(reader, writer):
        writer.write(b"POST /deaf HTTP/1.1\r\nconnection: close\r\ncontent-length: 3000000\r\n\r\n" + b"a" * 2_000_000)
        await writer.drain()
        first = await one(reader)
        writer.write(b"a" * 1_000_000)
        await writer.drain()
        return first + await reader.read()

    assert statuses(heard(talk)) == [401]


def test_a_body_that_is_no_body_is_refused_though_somebody_waits_for_it():
    chunked = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    assert statuses(heard(saying(chunked, b"x\r\n", pause=0.05))) == [400]
    assert statuses(heard(saying(chunked.replace(b"/", b"/deaf", 1), b"x\r\n", pause=0.05))) == [401], (
        "it has its answer"
    )


def test_trailers_are_no_headers_and_have_an_end():
    chunked = b"POST /headers HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    said = heard(saying(chunked + b"x-forwarded-for: 192.0.2.1\r\n\r\n"))
    assert said.endswith(b"transfer-encoding 1")
    said = heard(saying(chunked, b"x-a: " + b"a" * 1_000, b"a" * 1_000, pause=0.05))
    assert statuses(said) == [431]
    many = b"".join(b"1\r\na\r\n" for _ in range(3_000))
    said = heard(saying(chunked[:-3] + many, b"0\r\n\r\n", pause=0.05))
    assert said.endswith(b" 3001"), "small chunks are no trailers"


def test_a_body_that_waits_to_be_asked_for():
    async def talk(reader, writer):
        writer.write(to("/").replace(b"host", b"expect: 100-continue\r\nhost")[:-2])
        said = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"{}")
        return said + await one(reader)

    assert statuses(heard(talk)) == [100, 200]
    refused = heard(saying(to("/deaf").replace(b"host", b"expect: 100-continue\r\nhost")[:-2]))
    assert statuses(refused) == [401]
    assert b"connection: close" in refused, "whether the body comes nobody knows"


def test_a_large_body_is_read_as_it_is_asked_for():
    said = heard(saying(b"POST / HTTP/1.1\r\ncontent-length: 2000000\r\nconnection: close\r\n\r\n", b"a" * 2_000_000))
    assert said.endswith(b"/ 2000000")


def test_who_does_not_read_the_answer_is_not_kept():
    async def talk(reader, writer):
        writer.transport.pause_reading()
        writer.write(to("/large") + to("/a"))
        await asyncio.sleep(1.5)
        writer.transport.resume_reading()
        return await reader.read()

    said = heard(talk)
    assert statuses(said) == [200]
    assert len(said) < 30_000_000, "what the network had taken already"


@pytest.mark.parametrize(
    "first",
    [
        b"POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        to("/fails"),
        to("/split"),
    ],
    ids=["1.0", "close", "failed", "two headers in one"],
)
def test_a_connection_that_ends_with_its_answer_says_so(first):
    said = heard(saying(first + GOOD))
    assert statuses(said) == [500 if first in (to("/fails"), to("/split")) else 200]
    assert b"connection: close\r\n" in said
    assert b"x-b" not in said


def test_another_protocol_is_not_taken_up():
    upgrade = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nhost"
    plain = b"GET /plain HTTP/1.1\r\n" + upgrade + b": gateway\r\n\r\n"
    said = heard(saying(plain + to("/next"), plain))
    assert statuses(said) == [200, 200, 200], "it goes on as before"
    said = heard(saying(plain, GOOD.replace(b"host", upgrade), pause=0.05))
    assert statuses(said) == [200, 400]
    assert b'"upgrade_refused"' in said, "its body cannot be told from the other protocol"
    assert statuses(heard(saying(b"CONNECT gateway:80 HTTP/1.1\r\nhost: gateway\r\n\r\n"))) == [400]


def test_the_end_of_the_server_waits_for_what_was_begun():
    assert told(saying(), ends_after=0.05)[0] == b""
    said, state = told(saying(to("/slow") + to("/next")), ends_after=0.2)
    assert statuses(said) == [200], "the next one is for another process"
    assert b"connection: close\r\n" in said
    assert not state.tasks


def test_who_leaves_is_not_waited_for():
    async def talk(reader, writer):
        writer.write(to("/")[:-1])
        await writer.drain()
        writer.close()
        return b""

    assert heard(talk) == b""


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
    assert statuses(said) == [400]
