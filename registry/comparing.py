"""What differs between two versions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from registry.models import Evidence, Version
from registry.pinned.models import Pins
from registry.pinned.rules import UPSTREAM


def compared(before: Version, after: Version) -> dict[str, Any]:
    """Facts side by side (`lines`: name, before, after, changed) and the cards line by line (`card`: kind, text)."""
    old, new = facts_of(before), facts_of(after)
    names = [*old, *(name for name in new if name not in old)]
    sides = [(name, old.get(name, ""), new.get(name, "")) for name in names]
    lines = [{"name": name, "before": one, "after": other, "changed": one != other} for name, one, other in sides]
    return {"lines": lines, "card": list(card_lines(before.card, after.card))}


def facts_of(version: Version) -> dict[str, Any]:
    """What is compared of a version, in the order in which it is shown."""
    inputs = [f"{tensor['name']} {shown_type(tensor)}" for tensor in version.signature.get("inputs", [])]
    outputs = [f"{tensor['name']} {shown_type(tensor)}" for tensor in version.signature.get("outputs", [])]
    opsets = [f"{domain} {number}" for domain, number in sorted(version.signature.get("opset", {}).items())]
    return {
        "artifact": version.artifact.digest,
        "size": version.artifact.size,
        "decision_rule": rule_in_words(version.decision_rule),
        "features": list(version.features),
        "inputs": inputs,
        "outputs": outputs,
        "operators": list(version.signature.get("operators", [])),
        "opsets": opsets,
        "contributors": sorted(person.name for person in version.contributors.all()),
        "notes": version.notes,
        **(pinned_facts(version.pinned) if version.pinned else {}),
    }


def pinned_facts(pins: Pins) -> dict[str, str]:
    return {name: str(value) for name, value in pins.document.items() if name not in ("format", "ask", "interface")}


def shown_type(tensor: dict[str, Any]) -> str:
    """`float [?, 14]` for a tensor(float) whose first dimension is free."""
    shape = ", ".join("?" if size is None else str(size) for size in tensor["shape"])
    plain = re.fullmatch(r"tensor\((\w+)\)", tensor["type"])
    kind = plain[1] if plain else tensor["type"]
    return f"{kind} [{shape}]"


def rule_in_words(rule: dict[str, Any]) -> str:
    """A decision rule as a person would say it."""
    if rule["kind"] == UPSTREAM:
        return rule_in_words(rule["rule"]) if "rule" in rule else "as the configuration that is pinned says"
    if rule["kind"] == "label":
        return f"yes where {rule['output']} is {rule['equals']}"
    return f"yes where {rule['output']} of class {rule['class']} is at least {rule['at_least']:g}"


def card_lines(before: str, after: str) -> Iterator[dict[str, str]]:
    """Lines of both cards: same, removed from the old, added in the new."""
    kinds = {"  ": "same", "- ": "removed", "+ ": "added"}
    for line in difflib.ndiff(before.splitlines(), after.splitlines()):
        if line[:2] in kinds:
            yield {"kind": kinds[line[:2]], "text": line[2:]}


def evidence_side_by_side(before: Version, after: Version) -> list[dict[str, Any]]:
    """The newest standing evidence of each kind and source for both versions: name, before, after."""
    old, new = newest_evidence(before), newest_evidence(after)
    return [{"name": name, "before": old.get(name), "after": new.get(name)} for name in sorted({*old, *new})]


def newest_evidence(version: Version) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    for row in version.evidence.standing().select_related("dataset").order_by("pk"):
        source = str(row.summary.get("source", ""))
        found[" ".join(filter(None, (row.kind.replace("_", " ").capitalize(), source and f"({source})")))] = row
    return found
