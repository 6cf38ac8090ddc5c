"""A 3 GB upload is refused by its declared length while none of it has been sent."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from accounts.services import create_own_token

SIZE = 3 * 1024**3


def answer_to(address: str, head: str) -> tuple[int, str]:
    where = urlsplit(address)
    with socket.create_connection((where.hostname, where.port), timeout=20) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\nonly these few bytes")
        line.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: line.recv(65_536), b"")).decode()
    return int(said.split(" ", 2)[1]), said.partition("\r\n\r\n")[2]


@pytest.fixture
def token(cast):
    scopes = ["registry.upload_artifact", "registry.view_model"]
    return create_own_token(by=cast.developer, account=cast.developer, name="big", scopes=scopes, days=1)[1]


def test_over_the_api(live_portal, cast, token):
    path = f"/api/v1/artifacts/?team={cast.team.pk}&filename=big.onnx"
    head = (
        f"PUT {path} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {token}\nContent-Length: {SIZE}\n"
        "Content-Type: application/octet-stream\nConnection: close"
    )
    status, body = answer_to(live_portal, head)
    assert (status, json.loads(body)["code"]) == (413, "too_large")


def test_by_a_form(live_portal, signed_in, cast):
    session = signed_in(cast.developer).cookies["countersign_session"].value
    head = (
        f"POST /datasets/new/ HTTP/1.1\nHost: 127.0.0.1\nCookie: countersign_session={session}\n"
        f"Content-Length: {SIZE}\nContent-Type: multipart/form-data; boundary=x\nConnection: close"
    )
    status, body = answer_to(live_portal, head)
    assert status == 413
    assert "larger than" in body


def test_a_body_that_breaks_off(live_portal, cast, token):
    path = f"/api/v1/artifacts/?team={cast.team.pk}&filename=cut.onnx"
    head = (
        f"PUT {path} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {token}\nContent-Length: 500\n"
        "Content-Type: application/octet-stream\nConnection: close"
    )
    status, body = answer_to(live_portal, head)
    assert (status, json.loads(body)["code"]) == (409, "upload_incomplete")
