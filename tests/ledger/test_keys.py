"""Signing keys: what makes one unfit is a sentence that says what to do and never shows the key."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ledger import keys, log_key
from ledger.notes import COSIGNATURE, Checkpoint, SigningKey, open_note, sign

NAME = "countersign.example.org/log"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log_key"
    keys.write(path, [SigningKey.generate(NAME)])
    return path


def command(capsys, *arguments) -> tuple[int, str, str]:
    status = log_key.main([str(one) for one in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_saved_key_is_its_owners_only_and_read_again(path):
    assert path.stat().st_mode & 0o777 == 0o600
    (key,) = keys.load("LOG_KEY", value="", file=str(path))
    assert key.name == NAME
    assert keys.load("LOG_KEY", value=key.text, file="")[0].vkey == key.vkey
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("setting", ["LOG_KEY", "PORTAL_KEY"])
def test_a_missing_key_says_how_to_make_one(tmp_path, setting):
    with pytest.raises(keys.KeyFault, match=rf"key is missing\. Make one with .*then set {setting}_FILE"):
        keys.load(setting, value="", file="")
    with pytest.raises(keys.KeyFault, match=r"gone does not exist\. Restore it .*log_key new .*gone --name a/b"):
        keys.load(setting, value="", file=str(tmp_path / "gone"), name="a/b")


def test_a_key_that_cannot_be_read_says_whose_it_must_be(tmp_path):
    with pytest.raises(keys.KeyFault, match=r"cannot be read \(Is a directory\).*mode 0400"):
        keys.load("LOG_KEY", value="", file=str(tmp_path))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o440, 0o444, 0o602])
def test_a_key_of_ours_that_others_can_reach_is_refused(path, mode):
    path.chmod(mode)
    with pytest.raises(keys.KeyFault, match=rf"open to others \(mode {mode:04o}\): run `chmod 0[46]00 ") as caught:
        keys.load("LOG_KEY", value="", file=str(path))
    path.chmod(int(re.search("chmod (0[0-9]+)", str(caught.value))[1], 8))
    assert keys.load("LOG_KEY", value="", file=str(path))


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_file_is_taken(path, mode):
    path.chmod(mode)
    assert keys.load("LOG_KEY", value="", file=str(path))


@pytest.mark.parametrize(
    ("mode", "ours", "left"),
    [(0o440, True, 0o040), (0o440, False, 0), (0o444, False, 0o004), (0o460, False, 0o020), (0o600, False, 0)],
)
def test_a_mounted_secret_may_be_read_through_its_group_alone(mode, ours, left):
    assert keys.needless(0o100000 | mode, ours=ours) == left


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_account_is_judged_by_that(path):
    path.chmod(0o440)
    os.chown(path, 65534, 0)
    assert keys.load("LOG_KEY", value="", file=str(path))
    status = log_key.main(["new", str(path), "--name", NAME])
    found = path.stat()
    assert (status, found.st_uid, found.st_mode & 0o777) == (0, 65534, 0o440)
    path.chmod(0o444)
    with pytest.raises(keys.KeyFault, match="chmod 0440"):
        keys.load("LOG_KEY", value="", file=str(path))


SECRET = SigningKey.generate(NAME).text
WITNESS = SigningKey.generate(NAME, COSIGNATURE).text


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "x", SECRET[:-4], SECRET.removeprefix("PRIVATE+KEY+"), SECRET + "=", f"{SECRET}\nx", WITNESS, "\xff",
     SECRET.replace(NAME, "a name"), SECRET.replace(NAME, "other")],
    ids=["none", "lines", "short", "cut", "bare", "padded", "two", "another kind", "bytes", "bad name", "other name"],
)  # fmt: skip
def test_a_malformed_key_is_a_sentence_without_it(path, text):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(keys.KeyFault, match=r"does not hold the log's key: a line for each") as caught:
        keys.load("LOG_KEY", value="", file=str(path))
    assert SECRET[-40:-5] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_no_key_at_all_is_not_read_whole(path):
    path.write_bytes(b"x" * (keys.LARGEST + 1))
    with pytest.raises(keys.KeyFault, match="too large"):
        keys.load("LOG_KEY", value="", file=str(path))


def test_the_same_key_twice_is_refused():
    with pytest.raises(keys.KeyFault, match="same key twice"):
        keys.load("LOG_KEY", value=f"{SECRET}\n{SECRET}", file="")


def test_a_key_of_another_name_is_refused(settings):
    settings.LOG_KEY, settings.LOG_ORIGIN = SECRET, "other.example.org/log"
    with pytest.raises(keys.KeyFault, match=r"is named countersign.example.org/log, but LOG_ORIGIN is other"):
        keys.log_keys()
    settings.LOG_ORIGIN = NAME
    assert keys.log_keys()[0].text == SECRET


def test_one_key_for_log_and_portal_is_refused_whatever_its_name():
    key, other = SigningKey.from_text(SECRET), SigningKey.generate("a/portal")
    same = SigningKey("a/portal", key.kind, key.private)
    keys.refuse_same([key], [other.verifier])
    with pytest.raises(keys.KeyFault, match="Log and portal have the same key"):
        keys.refuse_same([key], [other.verifier, same.verifier])


def test_the_portals_key_is_read_once_and_stands_in_for_tests_only(settings, tmp_path):
    settings.PORTAL_KEY = settings.PORTAL_KEY_FILE = ""
    assert keys.portal_key().name == keys.portal_name(settings.LOG_ORIGIN)
    settings.TESTING = False
    settings.PORTAL_KEY_FILE = str(tmp_path / "gone")
    with pytest.raises(keys.KeyFault, match=r"The portal's key .*gone does not exist"):
        keys.portal_key()
    settings.PORTAL_KEY = SECRET
    assert keys.portal_key().text == SECRET


def test_public_keys_to_publish_are_read_or_refused(settings):
    one, other = SigningKey.generate("a/portal"), SigningKey.generate("a/portal")
    settings.PORTAL_VKEY = f"{one.vkey}\n{other.vkey}"
    assert keys.portal_vkeys() == (one.verifier, other.verifier)
    settings.PORTAL_VKEY = one.text
    with pytest.raises(keys.KeyFault, match="PORTAL_VKEY is no list of public keys") as caught:
        keys.portal_vkeys()
    assert one.text not in str(caught.value)


def test_rotation_overlaps_and_retiring_waits_for_a_checkpoint_of_the_new_key(tmp_path, capsys):
    path, note = tmp_path / "log_key", tmp_path / "checkpoint"
    assert command(capsys, "new", path, "--name", NAME)[0] == 0
    (old,) = keys.load("LOG_KEY", value="", file=str(path))
    body = Checkpoint(NAME, 1, bytes(32)).body()
    note.write_bytes(sign(body, [old]))
    status, vkey, _ = command(capsys, "new", path, "--name", NAME)
    both = keys.load("LOG_KEY", value="", file=str(path))
    assert (status, both[1].vkey) == (0, vkey.strip())
    assert command(capsys, "show", path) == (0, f"{old.vkey}\n{vkey}", "")
    gone = f"{old.verifier.id:08x}"
    assert "Name the newest checkpoint" in command(capsys, "retire", path, gone)[2]
    assert f"is not signed by {vkey.strip()} yet" in command(capsys, "retire", path, gone, "--checkpoint", note)[2]
    note.write_bytes(sign(body, both))
    for known in (old.vkey, vkey.strip()):
        assert open_note(note.read_bytes(), [known])
    assert command(capsys, "retire", path, gone, "--checkpoint", note) == (0, vkey, "")
    assert [key.vkey for key in keys.load("LOG_KEY", value="", file=str(path))] == [vkey.strip()]


def test_the_only_key_stays_and_an_unknown_one_is_named(path, capsys):
    (key,) = keys.load("LOG_KEY", value="", file=str(path))
    status, _, said = command(capsys, "retire", path, f"{key.verifier.id:08x}", "--compromised")
    assert status == 2
    assert "is the only key" in said
    assert f"holds no key 00000000; it holds {key.vkey}" in command(capsys, "retire", path, "00000000")[2]


def test_a_compromised_key_goes_at_once(path, capsys):
    (old,) = keys.load("LOG_KEY", value="", file=str(path))
    command(capsys, "new", path, "--name", NAME)
    assert command(capsys, "retire", path, f"{old.verifier.id:08x}", "--compromised")[0] == 0
    assert old.vkey not in command(capsys, "show", path)[1]
    assert command(capsys, "new", path, "--name", "b/log", "--replace")[0] == 0
    assert [key.name for key in keys.load("LOG_KEY", value="", file=str(path))] == ["b/log"]


@pytest.mark.parametrize(
    ("name", "words"), [("b/log", "holds keys of another name"), ("a name", "cannot be a key's name")]
)
def test_a_name_that_does_not_fit_is_a_sentence(path, capsys, name, words):
    target = path if name == "b/log" else path.with_name("fresh")
    status, _, said = command(capsys, "new", target, "--name", name)
    assert status == 2
    assert words in said


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path, capsys):
    status, _, said = command(capsys, "new", tmp_path / "no" / "key", "--name", NAME)
    assert status == 2
    assert "cannot be written (No such file or directory)" in said
    assert command(capsys, "show", tmp_path / "no")[0] == 2
