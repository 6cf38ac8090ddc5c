"""Coverage's tracer costs half of a test's time again, and building the same world twice covers nothing new."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import coverage

F = TypeVar("F", bound=Callable[..., Any])


def traced_once(build: F) -> F:
    """A builder of worlds: traced when it is first called in a process, and not from then on."""
    known = False

    @functools.wraps(build)
    def untraced(*args: Any, **kwargs: Any) -> Any:
        nonlocal known
        tracer = coverage.Coverage.current() if known else None
        known = True
        if tracer is None or not tracer._started:
            return build(*args, **kwargs)
        tracer.stop()
        try:
            return build(*args, **kwargs)
        finally:
            tracer.start()

    return untraced  # type: ignore[return-value]
