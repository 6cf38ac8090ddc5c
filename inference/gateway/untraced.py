"""What a request carries where nothing is traced: methods that do nothing. `tracing` is imported only when on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.gateway.board import Served
    from inference.gateway.tracing.spans import Tracer

log = logging.getLogger("inference.gateway")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# Kinds of spans, as OTLP counts them.
INTERNAL, SERVER, CLIENT = 1, 2, 3

Attributes = Mapping[str, str | int]


class Part:
    """A context manager around what costs time; this one times nothing."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class Untraced:
    """One request. Called from the event loop only, not from the threads that models run in."""

    __slots__ = ()

    def part(self, name: str, kind: int = INTERNAL, attributes: Attributes | None = None) -> Part:
        """A child span. Parts follow or contain each other. Attributes never hold inputs, outputs or secrets."""
        return NOTHING

    def onward(self) -> dict[str, str]:
        """The headers for a server that is asked on behalf of this request, within the innermost part."""
        return {}

    def serves(self, served: Served) -> None:
        """Say which endpoint it is, once a key has opened it."""

    def refused(self, code: str) -> None:
        pass

    def end(self, status: int) -> None:
        pass


NOTHING, OFF = Part(), Untraced()


def tracer(settings: Mapping[str, str], version: str) -> Tracer | None:
    """None where the variables `OTEL_…` name no receiver, or nonsense: the gateway serves, with or without traces."""
    if not any(settings.get(name) for name in ENDPOINTS):
        return None
    from inference.gateway.tracing.config import config
    from inference.gateway.tracing.spans import Tracer

    try:
        wanted = config(settings, version)
        return Tracer(wanted) if wanted is not None else None
    except (ValueError, OSError) as error:
        log.error("nothing is traced: %s", error)
        return None
