"""The manifest: everything a signature is about, as one canonical document with one digest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ledger.canonical import digest_of

# Format 2 adds `findings`, `conditions` and `risk_acceptances`. A revision keeps the format that it was frozen in.
# Format 3 adds `pinned`, for versions whose bytes are not here; all others stay in format 2.
FORMAT = "countersign-manifest/2"
PINNED_FORMAT = "countersign-manifest/3"
FIRST_FORMAT = "countersign-manifest/1"
# Format 4 adds `material_change`, where a rule of the policy asks how much is new; with `pinned` where format 3 has it.
CHANGE_FORMAT = "countersign-manifest/4"


def manifest_digest(value: Any) -> str:
    """SHA-256 of the canonical bytes (RFC 8785) of a plain JSON value.

    The gateway asks for the same manifests twice a second: equal JSON text is hashed once.
    """
    return _digest_of_text(json.dumps(value, sort_keys=True, allow_nan=False))


@lru_cache(maxsize=8192)
def _digest_of_text(text: str) -> str:
    return digest_of(json.loads(text))


@dataclass(frozen=True)
class Line:
    """One line of a manifest for people: its path, its value as text, and whether that is a digest."""

    name: str
    value: str

    @property
    def is_digest(self) -> bool:
        return self.value.startswith("sha256:") and len(self.value) == 71


@dataclass(frozen=True)
class Change:
    """A line that differs between two manifests; None where one of them lacks it."""

    name: str
    before: str | None
    after: str | None

    @property
    def is_digest(self) -> bool:
        return Line("", self.after or self.before or "").is_digest


def lines(manifest: Mapping[str, Any]) -> list[Line]:
    """Every value of a manifest with its path, in the manifest's own order; list entries with an id go by it."""
    return [Line(name, text) for name, text in _walk(manifest, "")]


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
        for number, entry in enumerate(value, 1):
            yield from _walk(entry, f"{path}.{entry.get('id', number)}")
    elif isinstance(value, list):
        yield path, ", ".join(map(_text, value)) or "none"
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value or "–"
    if value is None:
        return "not set"
    return json.dumps(value)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Lines that changed, came or went, in the order of `after` and then of `before`."""
    old = {line.name: line.value for line in lines(before)}
    new = {line.name: line.value for line in lines(after)}
    changed = [Change(name, old.get(name), value) for name, value in new.items() if old.get(name) != value]
    return changed + [Change(name, value, None) for name, value in old.items() if name not in new]
