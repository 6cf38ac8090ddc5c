"""The text of a key: what comes out of making one goes back in, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from inference import keys

RANDOM = st.binary(min_size=32, max_size=32)
SECRETS = st.text(keys.BASE62, min_size=keys.SECRET_CHARACTERS, max_size=keys.SECRET_CHARACTERS)


def of(name: bytes, secret: bytes) -> keys.Parts:
    return keys.new(lambda count: name if count == keys.ID_CHARACTERS else secret)


@given(name=st.binary(min_size=8, max_size=8), secret=RANDOM)
def test_a_key_reads_back_as_what_it_was_made_of(name, secret):
    parts = of(name, secret)
    text = keys.text_of(parts)
    assert text.startswith("cs_live_")
    assert len(text) == len("cs_live_") + 8 + 1 + 43 + 6
    assert keys.split(text) == parts


@given(one=RANDOM, other=RANDOM)
def test_different_random_bytes_give_different_secrets(one, other):
    assume(one != other)
    assert of(bytes(8), one).secret != of(bytes(8), other).secret


@given(secret=RANDOM, place=st.integers(0, 65), wrong=st.characters())
def test_one_wrong_character_anywhere_makes_it_no_key(secret, place, wrong):
    text = keys.text_of(of(b"endpoint", secret))
    assume(text[place] != wrong)
    assert keys.split(text[:place] + wrong + text[place + 1 :]) is None


@given(secret=RANDOM, cut=st.integers(0, 65), more=st.text(min_size=1, max_size=4))
def test_a_key_cut_short_or_with_more_around_it_is_no_key(secret, cut, more):
    text = keys.text_of(of(b"endpoint", secret))
    assert keys.split(text[:cut]) is None
    assert keys.split(text + more) is None
    assert keys.split(more + text) is None


@given(st.text(max_size=120))
def test_noise_is_no_key_and_no_error(text):
    assert keys.split(text) is None


@given(secret=SECRETS, other=SECRETS, pepper=st.text(max_size=40), salt=st.text(max_size=40))
def test_only_the_secret_with_the_pepper_matches(secret, other, pepper, salt):
    stored = keys.digest(secret, pepper)
    assert len(stored) == 32
    assert keys.matches(stored, secret, pepper)
    assert keys.matches(stored, other, pepper) == (other == secret)
    assert keys.matches(stored, secret, salt) == (salt == pepper)


@given(secret=SECRETS)
def test_a_key_that_does_not_exist_matches_nothing(secret):
    assert not keys.matches(None, secret, "pepper")


@given(number=st.integers(0, 2**256 - 1))
def test_base62_keeps_the_number(number):
    text = keys.base62(number, 43)
    assert len(text) == 43
    back = 0
    for digit in text:
        back = back * 62 + keys.BASE62.index(digit)
    assert back == number


@pytest.mark.parametrize(("number", "width"), [(62, 1), (62**6, 6), (2**256, 42)])
def test_base62_refuses_what_does_not_fit(number, width):
    with pytest.raises(ValueError, match=f"does not fit into {width} digits"):
        keys.base62(number, width)


def test_the_checksum_is_the_one_on_record():
    """Scanners know the form: it cannot change without them."""
    parts = keys.Parts("0123abcd", "0" * 42 + "1")
    assert keys.text_of(parts) == f"cs_live_0123abcd_{'0' * 42}1{keys.checksum('cs_live_0123abcd_' + '0' * 42 + '1')}"
    assert keys.checksum("123456789") == keys.base62(0xCBF43926, 6) == "3jZRME"  # the check value of CRC-32
