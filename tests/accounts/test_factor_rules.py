"""Codes from an app against RFC 6238, and recovery codes as people type them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.factors import rules
from accounts.sessions import family

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at", "code"),
    # Appendix B of RFC 6238, SHA-1, the last six of the eight digits.
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_of_the_standard(at, code):
    assert rules.code_at(SECRET, at // 30) == code
    assert rules.step_of(SECRET, code, at) == at // 30


@settings(max_examples=40)
@given(st.integers(0, 2**40), st.integers(-4, 4))
def test_a_code_is_good_one_step_around_its_own(at, late):
    found = rules.step_of(SECRET, rules.code_at(SECRET, at // 30 + 5), (at // 30 + 5 + late) * 30)
    if abs(late) <= 1:
        assert found is not None
    assert found is None or abs(found - (at // 30 + 5 + late)) <= 1


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "28708x", "٢٨٧٠٨٢"])
def test_what_is_no_code_is_none(typed):
    assert rules.step_of(SECRET, typed, 59) is None


def test_the_address_says_all_that_an_app_needs():
    told = rules.address(SECRET, issuer="Countersign", account="vera@example.org")
    assert told == f"otpauth://totp/Countersign%3Avera%40example.org?secret={SECRET}&issuer=Countersign"
    assert rules.in_groups("JBSWY3DPEH") == "JBSW Y3DP EH"


def test_recovery_codes_are_read_as_they_are_typed():
    code = rules.new_recovery_code()
    plain = code.replace("-", "")
    assert len({rules.new_recovery_code() for _ in range(50)}) == 50
    for typed in (code, code.upper(), plain, f" {code.replace('-', ' ')} ", plain.replace("1", "l").replace("0", "O")):
        assert rules.recovery_code(typed) == plain
    for typed in ("", "123456", plain[:-1], plain + "7", "uuuu-uuuu-uuuu"):
        assert rules.recovery_code(typed) is None


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", ""),
    ],
)
def test_a_browser_is_named_by_its_family(agent, name):
    assert family(agent) == name
