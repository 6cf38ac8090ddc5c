"""What the gateway has to know of an endpoint's upstream, with its secret unsealed."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import InvalidToken

from inference.gateway.dialects import Target
from inference.models import Endpoint
from ledger.boxes import box
from registry.models import Version

USE = "upstreams: secrets"


def seal(secret: str) -> bytes:
    return box(USE).encrypt(secret.encode())


@lru_cache(maxsize=1_000)
def unsealed(sealed: bytes) -> str | None:
    """None where FACTOR_KEY is no longer the one it was sealed with. Asked of each upstream twice a second."""
    try:
        return box(USE).decrypt(sealed).decode()
    except InvalidToken:
        return None


def target_of(endpoint: Endpoint) -> Target | None:
    """None where the endpoint's predictions are made in the gateway."""
    given = endpoint.elsewhere
    if given is None:
        return None
    secret = unsealed(bytes(given.sealed)) if given.header_name else None
    return Target(
        endpoint=endpoint.pk, kind=given.kind, url=given.asked_at, seconds=float(given.seconds), rows_at=given.rows_at,
        row_form=given.row_form, predictions_at=given.predictions_at, version_at=given.version_at,
        expected=expected(endpoint.version) if endpoint.version is not None else "",
        header=(given.header_name, secret) if secret is not None else None,
        usable=not given.header_name or secret is not None,
    )  # fmt: skip


def expected(version: Version) -> str:
    """What an upstream has to say that it runs: the pinned model version, or the image where none is pinned."""
    pins = version.pinned
    return "" if pins is None else pins.upstream_version or pins.image
