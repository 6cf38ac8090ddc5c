"""The frame of a bias report in the editor: its form, the forms of its rules, and what they make together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from approvals.editing.numbers import prefixes, share, whole
from approvals.editing.parts import FramePart, FrameRulePart, Part

NEW_RULE: dict[str, Any] = {
    "metric": "selection_rate", "comparison": "impact_ratio", "bound": 0.8, "confidence": 0.95,
    "minimum_group_size": 30, "test_unknown": False,
}  # fmt: skip
NEW_FRAME: dict[str, Any] = {
    "rules": [NEW_RULE], "correction": "bonferroni", "attributes": [], "positive": "",
    "purposes": ["test", "out_of_time"], "exclusions": [], "weights": "none",
}  # fmt: skip


@dataclass
class FrameForm:
    form: Part
    rules: list[Part]

    @classmethod
    def of_document(cls, frame: Mapping[str, Any], prefix: str) -> FrameForm:
        attributes = [f"{each['name']}: {each['reference']}".removesuffix(": ") for each in frame["attributes"]]
        flat = {**frame, "attributes": "\n".join(attributes), "exclusions": "\n".join(frame["exclusions"])}
        rules = [FrameRulePart.shown(rule, f"{prefix}.rules.{i}") for i, rule in enumerate(frame["rules"])]
        return cls(FramePart.shown({name: flat[name] for name in FramePart.base_fields}, prefix), rules)

    @property
    def parts(self) -> list[Part]:
        return [self.form, *self.rules]


def frame_of(data: QueryDict, prefix: str) -> dict[str, Any] | None:
    """The frame that was typed, or None where the form has none."""
    if f"{prefix}.rules.many" not in data:
        return None
    raw = FramePart(data, prefix=prefix).raw()
    attributes = (line.partition(":") for line in lines(raw["attributes"]))
    return {
        **raw,
        "attributes": [{"name": name.strip(), "reference": group.strip()} for name, _, group in attributes],
        "exclusions": lines(raw["exclusions"]),
        "rules": [rule_of(FrameRulePart(data, prefix=each)) for each in prefixes(data, f"{prefix}.rules")],
    }


def rule_of(form: Part) -> dict[str, Any]:
    raw = form.raw()
    read = {"bound": share, "confidence": share, "minimum_group_size": whole}
    return {name: read[name](said) if name in read else said for name, said in raw.items()}


def lines(said: str | None) -> list[str]:
    return [line.strip() for line in (said or "").splitlines() if line.strip()]
