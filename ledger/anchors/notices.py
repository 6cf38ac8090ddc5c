"""When a target was last tried in vain, and why. In the cache: it is news, not record, and each run says it anew."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from django.core.cache import cache

from ledger.anchors.targets import Failed

KEPT_SECONDS = 7 * 86400


class Notice(NamedTuple):
    """`since` is the first failure in a row, `tried` the last."""

    since: datetime
    tried: datetime
    code: str
    sentence: str


def keep(name: str, reason: Failed) -> None:
    now = datetime.now(UTC)
    before = found([name]).get(name)
    notice = Notice(before.since if before else now, now, reason.code, reason.sentence)
    cache.set(key(name), tuple(notice), KEPT_SECONDS)


def clear(name: str) -> None:
    cache.delete(key(name))


def found(names: Iterable[str]) -> dict[str, Notice]:
    names = list(names)
    kept = cache.get_many([key(name) for name in names])
    return {name: Notice(*kept[key(name)]) for name in names if key(name) in kept}


def key(name: str) -> str:
    return f"ledger:anchor:{name}"
