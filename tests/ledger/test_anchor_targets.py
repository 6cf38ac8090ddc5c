"""Where checkpoints go: a folder, a webhook and a time-stamp authority."""

import base64
import errno
import hashlib
import hmac
import json
import os
import subprocess
import threading

import pytest

from ledger.anchors.folder import Folder, place
from ledger.anchors.targets import Failed, Known, NeedsProof, Published
from ledger.anchors.timestamp import Authority
from ledger.anchors.webhook import Webhook
from tests.ledger.stand_ins import Log, Reply, TimeStamps, served

NOTE = Published("log.test/one", 7, "log.test/one\n7\nAAAA\n\n— log.test/one AAAA\n".encode())
OTHER = Published("log.test/one", 7, "log.test/one\n7\nBBBB\n\n— log.test/one BBBB\n".encode())
NOTHING = Known()
SECRET = "a secret that nobody may read in a log"


def code(target, what=NOTE, known=NOTHING):
    with pytest.raises(Failed) as failed:
        target.take(what, known)
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


def test_a_folder_sees_whether_the_log_only_grew(tmp_path):
    log, folder = Log(), Folder(name="folder", path=tmp_path)
    fork = log.fork_at(5)
    folder.take(log.published(7), Known())
    with pytest.raises(NeedsProof) as wanted:
        folder.take(log.published(20), Known(7))
    assert wanted.value.old == 7
    for proof in (fork.prove(7, 20), log.prove(7, 20)):
        assert code(folder, fork.published(20), Known(7, {7: proof})) == "other_checkpoint"
    folder.take(log.published(20), Known(7, {7: log.prove(7, 20)}))
    assert code(folder, log.published(12)) == "ahead"
    assert sorted(one.name for one in (tmp_path / log.published(7).folder).iterdir()) == ["20", "7"]


@pytest.mark.parametrize("strange", [b"", b"\xff", NOTE.note, Log("log.test/two").note(7), Log().note(6)])
def test_a_folder_with_strange_files(tmp_path, strange):
    log, folder = Log(), Folder(name="folder", path=tmp_path)
    (tmp_path / log.published(7).folder).mkdir()
    (tmp_path / log.published(7).folder / "README").write_text("kept for the auditors")
    (tmp_path / log.published(7).folder / "7").write_bytes(strange)
    assert code(folder, log.published(20), Known(7, {7: log.prove(7, 20)})) == "other_checkpoint"


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


def test_a_name_taken_at_the_last_moment(tmp_path):
    place(tmp_path / "7", NOTE.note)
    place(tmp_path / "7", NOTE.note)
    with pytest.raises(Failed, match="other_checkpoint"):
        place(tmp_path / "7", OTHER.note)
    assert [one.name for one in tmp_path.iterdir()] == ["7"]


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
