"""That secrets in logs are found, and what is public is none."""

from __future__ import annotations

import pytest

from inference import keys
from tests.cast import PASSWORD
from tests.leaks import SECRETS, leaks, of_files, of_sections

TEXTS = {
    "an inference key": f"GET /?key={keys.text_of(keys.new())} 404",
    "an API token": f"Bearer cst_abcd1234_{'aB3_-' * 9}"[:70],
    "the secret of a webhook": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "a one-time link": "Not Found: /sign-in/reset/5-0-abcdefgh/",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFVqQ1hJbXBvc3NpYmxlVG9SZWFkQXRBbGw=",
    "the password of an account": f"{{'password': '{PASSWORD}'}}",
    "a password in an address": "cannot connect to postgres://portal:hunter2@db.example:5432/x",
}
PUBLIC = [
    "cs_live_abcd1234… was revoked", "cst_abcd1234… has expired", "/sign-in/reset/…/", "postgres://portal@db.example/x",
    "postgres://portal:***@db.example/x", "PUBLIC KEY-----", "redis+socket:///run/valkey.sock",
    "a line for each, which begins with PRIVATE+KEY+",
]  # fmt: skip


def test_every_kind_is_found():
    assert TEXTS.keys() == SECRETS.keys()
    for what, text in TEXTS.items():
        (found,) = leaks(text)
        assert found.startswith(f"{what}, after "), found
        assert not leaks(found), "what is said of it does not have it"
    assert of_sections([("Captured stderr call", "fine"), ("Captured log call", TEXTS["an API token"])]) != []


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_is_no_secret(text):
    assert leaks(text) == []


def test_log_files_are_looked_through(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_text("fine\n")
    (tmp_path / "logs" / "key.txt").write_text(TEXTS["an inference key"])
    assert list(of_files([tmp_path])) == []
    log = tmp_path / "logs" / "gateway.log.1"
    log.write_text(TEXTS["an inference key"])
    (found,) = of_files([tmp_path])
    assert found.startswith("gateway.log.1: an inference key")
    log.unlink()
