"""The text of an inference key: how it is made, recognised and compared. Knows no framework."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Callable
from typing import NamedTuple

PREFIX = "cs_live_"
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
BASE36 = string.digits + string.ascii_lowercase
ID_CHARACTERS = 8
SECRET_BYTES, SECRET_CHARACTERS = 32, 43
CHECK_CHARACTERS = 6
# Two digits of base 62 at a time: the checksum is looked at with every request.
PAIRS = tuple(first + second for first in BASE62 for second in BASE62)
SHAPE = re.compile(
    rf"cs_live_([0-9a-z]{{{ID_CHARACTERS}}})_([0-9A-Za-z]{{{SECRET_CHARACTERS}}})([0-9A-Za-z]{{{CHECK_CHARACTERS}}})"
)


class Parts(NamedTuple):
    """`id` is public and names the key; only `secret` proves it."""

    id: str
    secret: str


def base62(number: int, width: int) -> str:
    """Digits 0-9, A-Z, a-z, padded with zeros. Raises ValueError where the number needs more than `width`."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    if number:
        raise ValueError(f"does not fit into {width} digits of base 62")
    return "".join(reversed(digits))


def new(random: Callable[[int], bytes] = secrets.token_bytes) -> Parts:
    """A fresh key. `random` gives as many random bytes as it is asked for."""
    name = "".join(BASE36[byte % 36] for byte in random(ID_CHARACTERS))
    return Parts(name, base62(int.from_bytes(random(SECRET_BYTES), "big"), SECRET_CHARACTERS))


def text_of(parts: Parts) -> str:
    """What its owner sends: prefix, id, secret, and a checksum by which scanners tell a key from noise."""
    body = f"{PREFIX}{parts.id}_{parts.secret}"
    return body + checksum(body)


def checksum(body: str) -> str:
    """CRC-32 of everything before it. Keeps typing mistakes and false alarms out; it protects nothing."""
    rest, low = divmod(zlib.crc32(body.encode()), 3844)
    high, middle = divmod(rest, 3844)
    return PAIRS[high] + PAIRS[middle] + PAIRS[low]


def split(text: str) -> Parts | None:
    """Id and secret of a well-formed key; None for anything else."""
    found = SHAPE.fullmatch(text)
    if found is None or checksum(text[:-CHECK_CHARACTERS]) != found[3]:
        return None
    return Parts(found[1], found[2])


def digest(secret: str, pepper: str) -> bytes:
    """What is stored: SHA-256 of pepper and secret, 32 bytes. Secrets are equally long, so the two cannot be confused.

    The secret has 256 random bits, so a slow hash would cost each request and win nothing.
    """
    return hashlib.sha256((pepper + secret).encode()).digest()


def matches(stored: bytes | None, secret: str, pepper: str) -> bool:
    """Whether a secret is the stored one, in the same time whether there is such a key (None: there is none) or not."""
    right = hmac.compare_digest(stored or NOBODY, digest(secret, pepper))
    return right and stored is not None


# No secret has this digest: it stands in for keys that do not exist.
NOBODY = hashlib.sha256(b"no such key").digest()
