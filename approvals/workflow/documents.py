"""Policies as documents: plain JSON values in, a policy or the place of what is wrong out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from approvals.workflow import frames
from approvals.workflow.frames import Frame, FrameAttribute, FrameRule
from approvals.workflow.material import FROM
from approvals.workflow.policy import (
    ALWAYS_DISTINCT,
    BOUND,
    CARRIES,
    DEACTIVATED,
    DISTINCT,
    ENVIRONMENTS,
    FACTORS,
    OVERDUE,
    PROVENANCES,
    RUNS,
    SCOPES,
    SEVERITIES,
    TIERS,
    VERDICTS,
    Emergency,
    EvidenceRule,
    FindingRule,
    InvalidPolicy,
    Policy,
    Requirement,
    Stage,
    When,
)

FORMATS = tuple(f"countersign-policy/{number}" for number in range(1, 7))
FORMAT = FORMATS[-1]
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
ROLE = re.compile(r"[a-z]+(_[a-z]+)*\Z")
COLUMN = re.compile(r"[^\s:](?:[^\r\n:]*[^\s:])?\Z")
GROUP = re.compile(r"(?:\S(?:[^\r\n]*\S)?)?\Z")
REASON = re.compile(r"\S(?:[^\r\n]*\S)?\Z")
KIND = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
# What each format was the first to say; what an older one leaves out has the defaults of the dataclasses.
NEW: dict[str, dict[type, set[str]]] = {
    FORMATS[1]: {
        Policy: {"frameworks", "max_pinned_days", "factor", "conditions", "anchor_outside", "findings", "emergency"},
        EvidenceRule: {"max_age_days", "when"},
        Requirement: {"scope", "when", "carry_over_if"},
    },
    FORMATS[2]: {EvidenceRule: {"runs"}},
    FORMATS[3]: {When: {"material_change"}},
    FORMATS[4]: {EvidenceRule: {"frame"}},
    FORMATS[5]: {Policy: {"max_lease_seconds"}},
}

Read = Callable[[Any, str], Any]


def read(document: Mapping[str, Any]) -> Policy:
    """The policy that a document is. Raises InvalidPolicy."""
    if "format" not in _table(document, "policy"):
        raise InvalidPolicy("format", "is missing")
    form = _one_of(FORMATS)(document["format"], "format")
    shape = _shape(Policy, FORMATS.index(form))
    policy: Policy = shape({key: document[key] for key in document if key != "format"}, "")
    requirements = list(policy.requirements)
    if not requirements or not all(stage.requirements for stage in policy.stages):
        raise InvalidPolicy("stages", "every stage needs at least one requirement")
    if not any(each.when.always and not each.carry_over_if for each in requirements):
        sentence = "one requirement must apply to every request and be signed anew for every revision"
        raise InvalidPolicy("stages", sentence)
    for place, slugs in (
        ("stages", [stage.slug for stage in policy.stages]),
        ("stages", [each.slug for each in requirements]),
        ("evidence", [rule.slug for rule in policy.evidence]),
    ):
        if len(set(slugs)) < len(slugs):
            raise InvalidPolicy(place, "a slug names one stage, one requirement or one evidence rule only")
    for number, rule in enumerate(policy.evidence):
        if rule.frame:
            _check_frame(rule, f"evidence.{number}.frame")
    return policy


def _check_frame(rule: EvidenceRule, place: str) -> None:
    """Raises InvalidPolicy for a frame that no report can be in."""
    assert rule.frame is not None
    if rule.kind != frames.KIND:
        raise InvalidPolicy(place, "is for bias reports only")
    if rule.source == "model" and "decision_rule" not in rule.bound_to:
        sentence = "a frame needs the decision rule here, or a report on another threshold would count"
        raise InvalidPolicy(f"{place.removesuffix('.frame')}.bound_to", sentence)
    sizes = {"rules": (1, frames.MOST_RULES), "attributes": (0, frames.MOST_ATTRIBUTES)}
    for name, (least, most) in {**sizes, "exclusions": (0, frames.MOST_REASONS)}.items():
        if not least <= len(getattr(rule.frame, name)) <= most:
            raise InvalidPolicy(f"{place}.{name}", f"has {least} to {most} entries")
    if len(set(rule.frame.rules)) < len(rule.frame.rules):
        raise InvalidPolicy(f"{place}.rules", "names something twice")
    if len({each.name for each in rule.frame.attributes}) < len(rule.frame.attributes):
        raise InvalidPolicy(f"{place}.attributes", "names something twice")
    for number, each in enumerate(rule.frame.rules):
        if rule.source == "historical" and each.metric != frames.OF_DECISIONS:
            sentence = "recorded decisions have no predictions, so only their selection rate can be tested"
            raise InvalidPolicy(f"{place}.rules.{number}.metric", sentence)


def write(policy: Policy) -> dict[str, Any]:
    """The document of a policy, in today's format."""
    return {"format": FORMAT, **_plain(policy)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def _shape(kind: type, form: int) -> Read:
    """Reads a table with exactly the fields that a format knows of a dataclass, each by its own rule."""
    rules = RULES[kind]
    unknown = {name for later in FORMATS[form + 1 :] for name in NEW[later].get(kind, ())}

    def reader(value: Any, place: str) -> Any:
        data = _table(value, place or "policy")
        wanted = [name for name in rules if name not in unknown]
        for name in data:
            if name not in wanted:
                raise InvalidPolicy(_under(place, name), "is not known")
        for name in wanted:
            if name not in data:
                raise InvalidPolicy(_under(place, name), "is missing")
        return kind(**{name: _rule(rules[name], form)(data[name], _under(place, name)) for name in wanted})

    return reader


def _rule(rule: Any, form: int) -> Read:
    """A dataclass, a list of one, or one or nothing (a tuple of one), read in the document's format."""
    if isinstance(rule, type):
        return _shape(rule, form)
    if isinstance(rule, list):
        return _each(_shape(rule[0], form))
    if isinstance(rule, tuple):
        return _optional(_shape(rule[0], form))
    read: Read = rule
    return read


def _under(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidPolicy(place, "must be a table of fields")
    return value


def _each(read: Read) -> Read:
    def reader(value: Any, place: str) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise InvalidPolicy(place, "must be a list")
        return tuple(read(each, f"{place}.{number}") for number, each in enumerate(value))

    return reader


def _one_of(allowed: Sequence[str]) -> Read:
    def reader(value: Any, place: str) -> Any:
        if value not in allowed:
            said = ", ".join(each or '""' for each in allowed)
            raise InvalidPolicy(place, f"{value!r} is none of {said}")
        return value

    return reader


def _several_of(allowed: Sequence[str]) -> Read:
    return _distinct(_each(_one_of(allowed)))


def _distinct(read: Read) -> Read:
    def reader(value: Any, place: str) -> Any:
        found = read(value, place)
        if len(set(found)) < len(found):
            raise InvalidPolicy(place, "names something twice")
        return found

    return reader


def _text(most: int) -> Read:
    def reader(value: Any, place: str) -> Any:
        if not isinstance(value, str) or not value.strip():
            raise InvalidPolicy(place, "must say something")
        if len(value) > most:
            raise InvalidPolicy(place, f"has more than {most} characters")
        return value

    return reader


def _like(shape: re.Pattern[str], words: str, most: int = 60) -> Read:
    def reader(value: Any, place: str) -> Any:
        if not isinstance(value, str) or not shape.match(value) or len(value) > most:
            raise InvalidPolicy(place, f"{value!r} must be {words}, at most {most} characters")
        return value

    return reader


def _whole(most: int, least: int = 1) -> Read:
    def reader(value: Any, place: str) -> Any:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidPolicy(place, f"{value!r} is no whole number from {least} to {most:,}")
        return value

    return reader


def _share(least: float, most: float) -> Read:
    def reader(value: Any, place: str) -> Any:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidPolicy(place, f"{value!r} is no number from {least:g} to {most:g}")
        return float(value)

    return reader


def _optional(read: Read) -> Read:
    return lambda value, place: None if value is None else read(value, place)


def _apart(value: Any, place: str) -> Any:
    found = _several_of(DISTINCT)(value, place)
    if missing := [name for name in ALWAYS_DISTINCT if name not in found]:
        raise InvalidPolicy(place, f"must name {missing[0]}: nobody signs their own work")
    return found


def _yes_or_no(value: Any, place: str) -> Any:
    if not isinstance(value, bool):
        raise InvalidPolicy(place, f"{value!r} is neither true nor false")
    return value


_slug = _like(SLUG, "small letters and digits, with hyphens between")
_role = _like(ROLE, "a role in small letters, with underscores between")
_kind = _like(KIND, "a kind of evidence in small letters and digits, with underscores between")
_column = _like(COLUMN, "the name of a column, without a colon", 200)
_group = _like(GROUP, "a group on one line, or empty for the largest", 200)
_class = _like(GROUP, "a class on one line, or empty for the dataset's", 80)
_reason = _like(REASON, "a reason on one line", 200)
_source = _one_of(("", "model", "historical"))
_days = _whole(3650)
# A gateway asks twice a second; with less than two seconds one slow answer would refuse everything.
_lease = _whole(3600, least=2)

RULES: dict[type, dict[str, Any]] = {
    When: {
        "tiers": _several_of(TIERS), "environments": _several_of(ENVIRONMENTS), "uses": _distinct(_each(_slug)),
        "material_change": _one_of(("", *FROM)),
    },
    EvidenceRule: {
        "slug": _slug, "title": _text(120), "kind": _kind, "source": _source, "provenance": _one_of(PROVENANCES),
        "bound_to": _several_of(BOUND), "verdicts": _one_of(VERDICTS), "max_age_days": _optional(_days), "when": When,
        "runs": _one_of(RUNS), "frame": (Frame,),
    },
    Frame: {
        "rules": [FrameRule], "correction": _one_of(tuple(frames.CORRECTIONS)), "attributes": [FrameAttribute],
        "positive": _class, "purposes": _several_of(tuple(frames.PURPOSES)), "exclusions": _distinct(_each(_reason)),
        "weights": _one_of(frames.WEIGHTS),
    },
    FrameRule: {
        "metric": _one_of(frames.METRICS), "comparison": _one_of(tuple(frames.COMPARISONS)), "bound": _share(0.001, 1),
        "confidence": _share(0.5, 0.999), "minimum_group_size": _whole(1_000_000), "test_unknown": _yes_or_no,
    },
    FrameAttribute: {"name": _column, "reference": _group},
    Requirement: {
        "slug": _slug, "title": _text(120), "role": _role, "count": _whole(20),
        "distinct_from": _apart, "meaning": _text(1000), "scope": _one_of(SCOPES), "when": When,
        "carry_over_if": _several_of(CARRIES),
    },
    Stage: {"slug": _slug, "title": _text(120), "requirements": [Requirement]},
    FindingRule: {"block": _several_of(SEVERITIES), "overdue": _one_of(OVERDUE)},
    Emergency: {"people": _whole(10), "hours": _whole(168)},
    Policy: {
        "slug": _slug, "title": _text(120), "version": _whole(100_000), "summary": _text(1000),
        "valid_days": _days, "deactivated_signer": _one_of(DEACTIVATED), "evidence": [EvidenceRule],
        "stages": [Stage], "frameworks": _distinct(_each(_slug)), "max_pinned_days": _optional(_days),
        "factor": _one_of(FACTORS), "conditions": _yes_or_no, "anchor_outside": _yes_or_no, "findings": FindingRule,
        "emergency": (Emergency,), "max_lease_seconds": _optional(_lease),
    },
}  # fmt: skip
