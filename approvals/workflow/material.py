"""How much is new against an approval: a class, computed from what the two manifests hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# From the least to the most. Where there is nothing to compare with, all is new.
CLASSES = ("none", "documentation", "evidence", "configuration", "model", "use")
HIGHEST = CLASSES[-1]
# A rule of a policy may begin to apply at any of these; at `none` it would always.
FROM = CLASSES[1:]
TITLES = {
    "none": "Nothing material",
    "documentation": "Documentation",
    "evidence": "Evidence",
    "configuration": "Configuration",
    "model": "The model itself",
    "use": "New use, or nothing to compare with",
}
# The class of a change to each section of a manifest. What is not named here is a new use: no section is forgotten.
SECTIONS = {
    "card": "documentation",
    "version": "documentation",
    "evidence": "evidence",
    "datasets": "evidence",
    "findings": "evidence",
    "conditions": "evidence",
    "risk_acceptances": "evidence",
    "decision_rule": "configuration",
    "features": "configuration",
    "artifact": "model",
    "signature": "model",
    "pinned": "model",
    "environment": "use",
    "use": "use",
    "model": "use",
    "policy": "use",
}
# These say who asked and in which form, or follow from other sections.
BESIDE = ("format", "request", "revision", "submitted_by", "obligations", "material_change")


@dataclass(frozen=True)
class MaterialChange:
    """Its class, and the sections that differ."""

    kind: str
    sections: tuple[str, ...] = ()


def material_change(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> MaterialChange:
    """What is new in a manifest against an approved one; the highest class where there is none."""
    if before is None:
        return MaterialChange(HIGHEST)
    names = [
        name
        for name in {**before, **after}
        if name not in BESIDE and content(name, before.get(name)) != content(name, after.get(name))
    ]
    kinds = [SECTIONS.get(name, HIGHEST) for name in names]
    return MaterialChange(max(kinds, key=CLASSES.index, default=CLASSES[0]), tuple(names))


def content(name: str, value: Any) -> Any:
    """Bytes are what their digest says, whatever their file is called."""
    return value.get("digest") if name == "artifact" and isinstance(value, Mapping) else value


def reaches(kind: str, least: str) -> bool:
    return CLASSES.index(kind) >= CLASSES.index(least)
