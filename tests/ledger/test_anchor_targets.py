"""Where checkpoints go: a folder, a webhook and a time-stamp authority, and how one speaks with strange servers."""

import base64
import errno
import hashlib
import hmac
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from ledger.anchors import http
from ledger.anchors.folder import Folder
from ledger.anchors.targets import Failed, Known, Published
from ledger.anchors.timestamp import Authority
from ledger.anchors.webhook import Webhook
from tests.ledger.stand_ins import Reply, TimeStamps, served

NOTE = Published("log.test/one", 7, "log.test/one\n7\nAAAA\n\n— log.test/one AAAA\n".encode())
OTHER = Published("log.test/one", 7, "log.test/one\n7\nBBBB\n\n— log.test/one BBBB\n".encode())
SECRET = "a secret that nobody may read in a log"


def code(target, what=NOTE):
    with pytest.raises(Failed) as failed:
        target.take(what, Known())
    assert SECRET not in failed.value.sentence
    assert failed.value.sentence.endswith(".")
    return failed.value.code


# A folder


def test_a_folder_keeps_the_note(tmp_path):
    receipt = Folder(name="folder", path=tmp_path).take(NOTE, Known())
    file = tmp_path / hashlib.sha256(b"log.test/one").hexdigest() / "7"
    assert file.read_bytes() == NOTE.note
    assert receipt.place == str(file)
    assert json.loads(receipt.content)["sha256"] == "sha256:" + hashlib.sha256(NOTE.note).hexdigest()
    assert [one.name for one in file.parent.iterdir()] == ["7"]
    assert file.stat().st_mode & 0o222 == 0


def test_a_folder_takes_a_repetition_for_one_and_never_overwrites(tmp_path):
    folder = Folder(name="folder", path=tmp_path)
    assert folder.take(NOTE, Known()) == folder.take(NOTE, Known())
    assert code(folder, OTHER) == "other_checkpoint"
    (file,) = (tmp_path / NOTE.folder).iterdir()
    assert file.read_bytes() == NOTE.note


def test_of_many_writers_at_once_one_wins(tmp_path):
    folder, ends = Folder(name="folder", path=tmp_path), []

    def write(what):
        try:
            ends.append(folder.take(what, Known()).place)
        except Failed as failed:
            ends.append(failed.code)

    threads = [threading.Thread(target=write, args=[what]) for what in (NOTE, OTHER) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends.count("other_checkpoint") == 8
    assert [one.name for one in (tmp_path / NOTE.folder).iterdir()] == ["7"]


def test_what_is_left_of_a_killed_writer_does_no_harm(tmp_path):
    (tmp_path / NOTE.folder).mkdir()
    (tmp_path / NOTE.folder / ".7-0123").write_bytes(NOTE.note[:5])
    Folder(name="folder", path=tmp_path).take(NOTE, Known())
    assert (tmp_path / NOTE.folder / "7").read_bytes() == NOTE.note


def test_a_missing_folder_is_not_made(tmp_path):
    assert code(Folder(name="folder", path=tmp_path / "not mounted")) == "folder_missing"
    assert not (tmp_path / "not mounted").exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / NOTE.folder).write_text("")
    assert code(Folder(name="folder", path=tmp_path)) == "not_writable"


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EROFS, "not_writable"), (errno.ENOSPC, "disk_full"), (errno.EIO, "not_writable")]
)
def test_errors_of_a_disk_say_what_to_do(tmp_path, number, expected):
    found = Folder(name="folder", path=tmp_path).explain(OSError(number, os.strerror(number)))
    assert found.code == expected


# A webhook


@pytest.fixture
def secret_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    return file


def test_a_webhook_gets_the_note_signed(secret_file):
    got = []
    with served(lambda asked: got.append(asked) or Reply(202, b"thanks")) as address:
        hook = Webhook(name="hook", url=f"{address}/in?token=abc", secret_file=secret_file)
        receipt = hook.take(NOTE, Known())
        hook.take(NOTE, Known())
    first, second = got
    assert (first.method, first.path, first.body) == ("POST", "/in?token=abc", NOTE.note)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == first.headers["webhook-id"]
    signed = f"{first.headers['webhook-id']}.{first.headers['webhook-timestamp']}.".encode() + NOTE.note
    mac = base64.b64encode(hmac.new(SECRET.encode(), signed, "sha256").digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{mac}"
    assert (receipt.place, receipt.content) == (address, b"thanks")
    assert hook.place == address


def test_a_webhooks_secret_in_the_form_of_the_standard(secret_file):
    key = os.urandom(32)
    secret_file.write_text("whsec_" + base64.b64encode(key).decode())
    got = []
    with served(lambda asked: got.append(asked) or Reply()) as address:
        Webhook(name="hook", url=address, secret_file=secret_file).take(NOTE, Known())
    headers = got[0].headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + NOTE.note
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


@pytest.mark.parametrize("status", [204, 400, 401, 404, 500, 503])
def test_a_webhook_that_does_not_take_it(secret_file, status):
    with served(lambda asked: Reply(status, SECRET.encode() if status != 204 else b"")) as address:
        hook = Webhook(name="hook", url=address, secret_file=secret_file)
        if status == 204:
            assert hook.take(NOTE, Known()).content == b""
        else:
            assert code(hook) == "refused"


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, "secret_unreadable"), (b"", "secret_unreadable"), (b"\xff\xfe", "secret_unreadable"),
     (b"too short", "secret_weak"), (b"whsec_*", "secret_weak")],
)  # fmt: skip
def test_a_secret_that_is_none(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "secret").write_bytes(text)
    assert code(Webhook(name="hook", url="http://127.0.0.1:1/", secret_file=tmp_path / "secret")) == expected


# Strange servers


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


# A time-stamp authority


@pytest.fixture(scope="module")
def time_stamps(tmp_path_factory):
    return TimeStamps(tmp_path_factory.mktemp("tsa"))


def test_a_time_stamp_verifies_with_openssl(time_stamps, tmp_path):
    with served(time_stamps.answer) as address:
        authority = Authority(name="tsa", url=f"{address}/tsr?key=abc", ca_file=time_stamps.root)
        receipt = authority.take(NOTE, Known())
    assert receipt.place == f"{address}/tsr"
    (tmp_path / "note").write_bytes(NOTE.note)
    (tmp_path / "token.tsr").write_bytes(receipt.content)
    verify = ["openssl", "ts", "-verify", "-data", "note", "-in", "token.tsr", "-CAfile", str(time_stamps.root)]
    assert subprocess.run(verify, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "note").write_bytes(OTHER.note)
    assert subprocess.run(verify, cwd=tmp_path, check=False, capture_output=True).returncode != 0


def test_a_time_stamp_of_somebody_else_is_not_kept(time_stamps, tmp_path):
    """Another root, a replayed answer (an older nonce), nonsense, and a refusal."""
    stranger = TimeStamps(tmp_path)
    kept = []
    with served(lambda asked: kept.append(stranger.answer(asked)) or kept[0]) as address:
        assert code(Authority(name="tsa", url=address, ca_file=time_stamps.root)) == "token_invalid"
        assert code(Authority(name="tsa", url=address, ca_file=stranger.root)) == "token_invalid"
    with served(lambda asked: Reply(body=b"<html>")) as address:
        assert code(Authority(name="tsa", url=address, ca_file=time_stamps.root)) == "token_invalid"
    with served(lambda asked: Reply(503)) as address:
        assert code(Authority(name="tsa", url=address, ca_file=time_stamps.root)) == "refused"


def test_a_refusing_authority_gives_no_token(time_stamps):
    refusal = bytes.fromhex("30053003020102")  # TimeStampResp with PKIStatus rejection, and no token
    with served(lambda asked: Reply(body=refusal)) as address:
        assert code(Authority(name="tsa", url=address, ca_file=time_stamps.root)) == "token_invalid"


def test_a_ca_file_without_certificates(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    assert code(Authority(name="tsa", url="http://127.0.0.1:1/", ca_file=tmp_path / "ca.pem")) == "secret_unreadable"
