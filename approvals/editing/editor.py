"""The policy editor: the forms of a policy's parts, and the document that they make together."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from approvals import workflow
from approvals.editing.framing import NEW_FRAME, NEW_RULE, FrameForm, frame_of
from approvals.editing.numbers import prefixes, whole
from approvals.editing.parts import EvidencePart, Part, PolicyPart, RequirementPart, StagePart
from ledger.refusals import Refusal

WHEN: dict[str, Any] = {"tiers": [], "environments": [], "uses": [], "material_change": ""}
NUMBERS = ("count", "max_age_days")
NEW_EVIDENCE: dict[str, Any] = {
    "slug": "", "title": "", "kind": "bias_report", "source": "", "provenance": "computed", "bound_to": ["artifact"],
    "verdicts": "acknowledge", "max_age_days": None, "runs": "chosen", "when": WHEN,
    "frame": None,
}  # fmt: skip
NEW_REQUIREMENT: dict[str, Any] = {
    "slug": "", "title": "", "role": "approver", "count": 1, "scope": "team", "meaning": "",
    "distinct_from": ["submitter", "contributors", "evidence_producers", "earlier_signers"], "carry_over_if": [],
    "when": WHEN,
}  # fmt: skip


@dataclass
class EvidenceForm:
    form: Part
    frame: FrameForm | None
    touched: bool

    @property
    def parts(self) -> list[Part]:
        return [self.form, *(self.frame.parts if self.frame else [])]

    @property
    def open(self) -> bool:
        """Whether there is something to do in it."""
        return self.touched or not self.form["title"].value() or any(form.errors for form in self.parts)


@dataclass
class StageForm:
    form: Part
    requirements: list[Part] = field(default_factory=list)


@dataclass
class Editor:
    """All forms of one policy, in its order."""

    policy: Part
    evidence: list[EvidenceForm]
    stages: list[StageForm]

    @classmethod
    def of_document(cls, document: Mapping[str, Any], touched: str = "") -> Editor:
        """`touched` is the place that a button has just changed.

        Raises Refusal `policy_invalid` where it has not even the shape of a policy.
        """
        try:
            return cls(
                PolicyPart.shown(flat_policy(document), "policy"),
                [evidence_form(rule, f"evidence.{i}", touched) for i, rule in enumerate(document["evidence"])],
                [
                    StageForm(
                        StagePart.shown({"title": stage["title"], "slug": stage["slug"]}, f"stages.{i}"),
                        [
                            RequirementPart.shown(flat(each), f"stages.{i}.requirements.{j}")
                            for j, each in enumerate(stage["requirements"])
                        ],
                    )
                    for i, stage in enumerate(document["stages"])
                ],
            )
        except (KeyError, TypeError, AttributeError) as error:
            sentence = "This text lacks a part of a policy, so it has no form. Correct it as text first."
            raise Refusal("policy_invalid", sentence, "text") from error

    def refused(self, refusal: Refusal) -> None:
        """Put a refusal beside the field whose place it names, or on top."""
        place = refusal.field or ""
        first, _, rest = place.partition(".")
        form = max(
            (each for each in self.parts if place.startswith(f"{each.prefix}.")),
            key=lambda each: len(each.prefix or ""),
            default=self.policy,
        )
        name = place.removeprefix(f"{form.prefix}.").removeprefix("when.").partition(".")[0]
        if form is self.policy:
            name = {"findings": rest, "emergency": f"emergency_{rest or 'people'}"}.get(first, first)
        form.add_error(name if name in form.fields else None, refusal.sentence)

    @property
    def parts(self) -> list[Part]:
        stages = [form for stage in self.stages for form in (stage.form, *stage.requirements)]
        return [self.policy, *(form for rule in self.evidence for form in rule.parts), *stages]


def evidence_form(rule: Mapping[str, Any], prefix: str, touched: str) -> EvidenceForm:
    frame = FrameForm.of_document(rule["frame"], f"{prefix}.frame") if rule["frame"] is not None else None
    form = EvidencePart.shown({**flat(rule), "frame": None}, prefix)
    return EvidenceForm(form, frame, touched.startswith(f"{prefix}."))


def flat(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with its `when` spread out, as its form has it."""
    when = rule["when"]
    return {**rule, **when, "uses": ", ".join(when["uses"])}


def flat_policy(document: Mapping[str, Any]) -> dict[str, Any]:
    emergency = document["emergency"] or {}
    return {
        **document, **document["findings"],
        "emergency_people": emergency.get("people"), "emergency_hours": emergency.get("hours"),
    }  # fmt: skip


def of_post(data: QueryDict) -> dict[str, Any]:
    """The document that was typed. What is no number stays text, so that whoever reads it can say where."""
    policy = PolicyPart(data, prefix="policy").raw()
    people, hours = whole(policy.pop("emergency_people")), whole(policy.pop("emergency_hours"))
    findings = {"block": policy.pop("block"), "overdue": policy.pop("overdue")}
    return {
        **policy,
        "format": workflow.POLICY_FORMAT,
        "version": whole(data.get("version", "")),
        "valid_days": whole(policy["valid_days"]),
        "max_pinned_days": whole(policy["max_pinned_days"]),
        "max_lease_seconds": whole(policy["max_lease_seconds"]),
        "findings": findings,
        "emergency": None if people is None and hours is None else {"people": people, "hours": hours},
        "evidence": [
            {**rule_of(EvidencePart(data, prefix=prefix)), "frame": frame_of(data, f"{prefix}.frame")}
            for prefix in prefixes(data, "evidence")
        ],
        "stages": [
            {
                **StagePart(data, prefix=stage).raw(),
                "requirements": [
                    rule_of(RequirementPart(data, prefix=prefix)) for prefix in prefixes(data, f"{stage}.requirements")
                ],
            }
            for stage in prefixes(data, "stages")
        ],
    }


def rule_of(form: Part) -> dict[str, Any]:
    raw = form.raw()
    uses = [use.strip() for use in (raw.pop("uses") or "").split(",")]
    when = {
        "tiers": raw.pop("tiers"), "environments": raw.pop("environments"), "uses": [use for use in uses if use],
        "material_change": raw.pop("material_change") or "",
    }  # fmt: skip
    return {**raw, **{name: whole(raw[name]) for name in NUMBERS if name in raw}, "when": when}


NEW: dict[str, dict[str, Any]] = {
    "evidence": NEW_EVIDENCE, "requirements": NEW_REQUIREMENT, "rules": NEW_RULE,
    "stages": {"slug": "", "title": "", "requirements": [NEW_REQUIREMENT]},
}  # fmt: skip


def changed(document: dict[str, Any], act: str) -> dict[str, Any]:
    """The document after a button of the editor: `add:stages.0.requirements`, `remove:evidence.2`, `up:stages.1`.

    What names no place is ignored: a button that is no longer there changes nothing.
    """
    verb, _, place = act.partition(":")
    *way, last = place.split(".")
    found: Any = document
    try:
        for step in way:
            found = found[int(step) if step.isdecimal() else step]
        if last == "frame" and "frame" in found:
            found["frame"] = deepcopy(NEW_FRAME) if verb == "add" else None
        elif verb == "add" and last in NEW:
            found[last].append(deepcopy(NEW[last]))
        elif verb == "remove":
            del found[int(last)]
        elif verb == "up" and 0 < int(last) < len(found):
            found.insert(int(last) - 1, found.pop(int(last)))
    except (KeyError, IndexError, ValueError, TypeError):
        return document
    return document
