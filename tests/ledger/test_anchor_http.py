"""How one speaks with servers that nobody here controls."""

import socket
import threading
import time

import pytest

from ledger.anchors import http
from ledger.anchors.targets import Failed
from tests.ledger.stand_ins import Reply, served


def sent(url, **bounds):
    with pytest.raises(Failed) as failed:
        http.send("POST", url, headers={}, body=b"note", **bounds)
    return failed.value.code


def test_redirects_are_not_followed():
    followed = []
    with (
        served(lambda asked: followed.append(asked) or Reply()) as other,
        served(lambda asked: Reply(307, headers={"Location": other})) as address,
    ):
        assert sent(address) == "redirected"
    assert followed == []


def test_an_answer_without_end_is_cut():
    with served(lambda asked: Reply(body=b"x" * 5000, headers={"Content-Length": "999999999"})) as address:
        assert sent(address, limit=4096) == "answer_too_large"


@pytest.fixture
def raw_server():
    """Answers every connection with the pieces it is given, a tenth of a second apart."""
    listening = socket.create_server(("127.0.0.1", 0))
    pieces: list[bytes] = []

    def serve():
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.1)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", pieces
    listening.close()
    thread.join()


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_given_up_on(raw_server, start):
    address, pieces = raw_server
    pieces += [start, *[b"x"] * 50]
    began = time.monotonic()
    assert sent(address, seconds=0.3) == "timed_out"
    assert time.monotonic() - began < 2


def test_a_server_that_speaks_no_http(raw_server):
    address, pieces = raw_server
    pieces.append(b"220 mail.test ESMTP\r\n")
    assert sent(address) == "answer_malformed"


def test_a_server_without_tls(raw_server):
    address, pieces = raw_server
    pieces.append(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert sent(address.replace("http://", "https://")) == "unreachable"


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert sent(f"http://127.0.0.1:{port}/") == "unreachable"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.8.9.1", True), ("::1", True), ("10.0.0.1", False), ("localhost.test", False)],
)
def test_loopback(host, expected):
    assert http.loopback(host) is expected
