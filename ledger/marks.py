"""How code says what a write is that no act needs an event for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MECHANICAL: dict[str, str] = {}


def mechanical(reason: str) -> Callable[[Callable[Concatenate[P], T]], Callable[Concatenate[P], T]]:
    """Mark a write that is no act (heartbeat, last-used, delivery), and say why it needs no event."""

    def decorate(writer: Callable[P, T]) -> Callable[P, T]:
        MECHANICAL[f"{writer.__module__}.{writer.__qualname__}"] = reason
        return writer

    return decorate
