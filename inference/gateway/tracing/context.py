"""W3C Trace Context, and who decides whether a trace is recorded. Knows no framework.

https://www.w3.org/TR/trace-context/ and https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
STATE_CHARACTERS, STATE_MEMBERS = 512, 32
SAMPLED = 1
# Bits of a random trace id that a ratio is compared with: the lower half, as the SDKs of OpenTelemetry do.
HALF = (1 << 64) - 1


class Context(NamedTuple):
    """The caller's span. `state` is its `tracestate`, which is passed on as it is."""

    trace_id: int
    span_id: int
    sampled: bool
    state: str


class Sampler(NamedTuple):
    """`by_parent`: a caller that has decided decides here too. Else, and at a root, a share of `ratio` is recorded."""

    by_parent: bool
    ratio: float

    def samples(self, trace_id: int, parent: Context | None) -> bool:
        if self.by_parent and parent is not None:
            return parent.sampled
        # An equal trace id is recorded everywhere or nowhere, wherever the ratio is the same.
        return (trace_id & HALF) < round(self.ratio * (HALF + 1))


def read(parents: Sequence[bytes], states: Sequence[bytes]) -> Context | None:
    """From all headers of either name. None where there is no `traceparent`, more than one, or an invalid one."""
    found = TRACEPARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    sampled = bool(int(flags, 16) & SAMPLED)
    return Context(int(trace_id, 16), int(span_id, 16), sampled, state_of(states))


def state_of(states: Sequence[bytes]) -> str:
    """One `tracestate` of all headers of that name; empty where it is malformed or longer than has to be kept."""
    text = b",".join(states).decode("latin-1")
    members = [each.strip(" \t") for each in text.split(",")]
    members = [each for each in members if each]
    kept = ",".join(members)
    if len(kept) > STATE_CHARACTERS or len(members) > STATE_MEMBERS or not all(map(MEMBER.fullmatch, members)):
        return ""
    return kept


def written(trace_id: int, span_id: int, sampled: bool, state: str) -> dict[str, str]:
    """The headers that make the receiver's span a child of this one."""
    headers = {"traceparent": f"00-{trace_id:032x}-{span_id:016x}-{SAMPLED if sampled else 0:02x}"}
    if state:
        headers["tracestate"] = state
    return headers
