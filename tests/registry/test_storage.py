"""Bytes go in whole or not at all, and come out as they went in or not at all."""

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import storages
from hypothesis import given
from hypothesis import strategies as st

from ledger.refusals import Refusal
from registry import storage
from registry.models import Artifact


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def root():
    return Path(settings.ARTIFACT_ROOT)


def left_over():
    folder = root() / "incoming"
    return list(folder.iterdir()) if folder.exists() else []


def refused(code, act):
    with pytest.raises(Refusal) as caught:
        act()
    assert caught.value.code == code
    assert left_over() == []
    return caught.value


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_put_in_pieces_is_read_as_a_whole(pieces):
    whole = b"".join(pieces)
    stored = storage.put(pieces, limit=10_000, expected=digest(whole))
    assert stored == storage.Stored(digest(whole), len(whole))
    artifact = Artifact(digest=stored.digest, size=stored.size)
    assert artifact.path == stored.path
    assert storage.read(artifact) == whole
    assert b"".join(storage.stream(artifact)) == whole
    assert left_over() == []


def test_too_much_is_refused_at_the_first_byte_over_and_nothing_is_kept():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"x" * 100

    refusal = refused("too_large", lambda: storage.put(endless(), limit=250))
    assert len(taken) == 3
    assert "250 bytes" in refusal.sentence


def test_another_digest_than_promised_is_refused():
    refused("digest_mismatch", lambda: storage.put([b"one"], limit=10, expected=digest(b"two")))
    assert not (root() / storage.path_of(digest(b"one"))).exists()


@pytest.mark.parametrize("promised", ["", "sha256:", "md5:abc", "sha256:" + "A" * 64, "sha256:" + "0" * 63])
def test_a_promise_that_is_no_digest_is_refused(promised):
    assert refused("digest_invalid", lambda: storage.put([b"one"], limit=10, expected=promised)).field == "digest"


def test_a_source_that_breaks_off_leaves_nothing():
    def broken():
        yield b"begun"
        raise ConnectionResetError(errno.ECONNRESET, "gone")

    with pytest.raises(ConnectionResetError):
        storage.put(broken(), limit=100)
    assert left_over() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_a_refusal():
    def full():
        yield b"begun"
        with open("/dev/full", "wb") as device:
            device.write(b"x" * 65_536)
            device.flush()

    refused("disk_full", lambda: storage.put(full(), limit=10**6))


def test_damage_is_detected_and_healed_by_uploading_again():
    stored = storage.put([b"precious"], limit=100)
    place = root() / stored.path
    assert place.stat().st_mode & 0o222 == 0
    place.chmod(0o600)
    place.write_bytes(b"previous")
    refusal = refused("artifact_damaged", lambda: storage.read(stored))
    assert stored.digest in refusal.sentence
    refused("artifact_damaged", lambda: storage.stream(stored))
    with storage.local(stored, verify=False) as path:
        assert path.read_bytes() == b"previous"
    storage.put([b"precious"], limit=100)
    assert storage.read(stored) == b"precious"
    place.unlink()
    refused("artifact_missing", lambda: storage.read(stored))


def test_what_a_killed_process_left_is_cleared_a_day_later():
    folder = root() / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    old, young = folder / "old", folder / "young"
    for file in (old, young):
        file.write_bytes(b"half")
    yesterday = time.time() - storage.ABANDONED_SECONDS - 60
    os.utime(old, (yesterday, yesterday))
    storage.put([b"next"], limit=100)
    assert left_over() == [young]
    young.unlink()


@pytest.fixture
def elsewhere(settings):
    """A storage without a folder on this machine, as an object store is."""
    kept = settings.STORAGES["default"]
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    yield
    settings.STORAGES = {**settings.STORAGES, "default": kept}


@pytest.mark.usefixtures("elsewhere")
def test_a_remote_storage_keeps_and_checks_too():
    stored = storage.put([b"far ", b"away"], limit=100)
    assert storage.read(stored) == b"far away"
    assert storage.put([b"far away"], limit=100) == stored
    remote = storages["default"]
    with remote.open(stored.path, "wb") as file:
        file.write(b"damaged, and longer")
    with pytest.raises(Refusal, match="no longer has the digest"):
        storage.read(stored)
    storage.put([b"far away"], limit=100)
    assert storage.read(stored) == b"far away"
