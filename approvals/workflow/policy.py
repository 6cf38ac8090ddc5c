"""A policy as plain data: which evidence must be there, and who must sign what, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = "countersign-policy/1"
DISTINCT = ("submitter", "owner", "contributors", "evidence_producers", "earlier_signers")
BOUND = ("artifact", "decision_rule", "dataset")
VERDICTS = ("acknowledge", "within_only")
DEACTIVATED = ("keeps", "suspends")
OPTIONAL = {"findings", "conditions"}


class InvalidPolicy(ValueError):
    """A policy document that says something this program does not know how to keep; the text names the place."""


@dataclass(frozen=True)
class EvidenceRule:
    """One kind of evidence that must be in the manifest, and what its verdict does.

    `verdicts` is `within_only` (any other verdict blocks) or `acknowledge` (it is listed, and each signer has to
    acknowledge it). `source` tells reports of one kind apart; "" takes any.
    """

    slug: str
    title: str
    kind: str
    source: str
    provenance: str
    bound_to: tuple[str, ...]
    verdicts: str


@dataclass(frozen=True)
class Requirement:
    """So many different people of a role, none of them in the named groups, sign with this meaning."""

    slug: str
    title: str
    role: str
    count: int
    distinct_from: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Stage:
    slug: str
    title: str
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True)
class FindingRule:
    """Open findings of which severities stop an approval, and what one that is overdue does."""

    block: tuple[str, ...] = ("critical", "high")
    overdue: str = "suspends"


@dataclass(frozen=True)
class Policy:
    slug: str
    title: str
    version: int
    summary: str
    valid_days: int
    deactivated_signer: str
    evidence: tuple[EvidenceRule, ...]
    stages: tuple[Stage, ...]
    findings: FindingRule = FindingRule()
    conditions: bool = False

    @property
    def requirements(self) -> Iterator[Requirement]:
        """All requirements, in the order in which they are signed."""
        return (requirement for stage in self.stages for requirement in stage.requirements)

    def requirement(self, slug: str) -> Requirement | None:
        return next((requirement for requirement in self.requirements if requirement.slug == slug), None)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Policy:
        """Read a document. Raises InvalidPolicy; nothing in it is ignored, so that no rule is lost silently."""
        data = _keys(document, "policy", cls, extra=("format",))
        _one_of(data["format"], (FORMAT,), "policy.format")
        _one_of(data["deactivated_signer"], DEACTIVATED, "policy.deactivated_signer")
        policy = cls(
            slug=data["slug"], title=data["title"], version=data["version"], summary=data["summary"],
            valid_days=_at_least_one(data["valid_days"], "policy.valid_days"),
            deactivated_signer=data["deactivated_signer"],
            evidence=tuple(_evidence(rule, f"evidence.{i}") for i, rule in enumerate(data["evidence"])),
            stages=tuple(_stage(stage, f"stages.{i}") for i, stage in enumerate(data["stages"])),
            findings=FindingRule(**data.get("findings", {})), conditions=data.get("conditions", False),
        )  # fmt: skip
        names = [requirement.slug for requirement in policy.requirements]
        if not names or not all(stage.requirements for stage in policy.stages):
            raise InvalidPolicy("stages: every stage needs at least one requirement")
        rules = [rule.slug for rule in policy.evidence]
        if len(set(names)) < len(names) or len(set(rules)) < len(rules):
            raise InvalidPolicy("a slug names one requirement or one evidence rule only")
        return policy


def _evidence(document: Mapping[str, Any], place: str) -> EvidenceRule:
    data = _keys(document, place, EvidenceRule)
    _one_of(data["verdicts"], VERDICTS, f"{place}.verdicts")
    for name in data["bound_to"]:
        _one_of(name, BOUND, f"{place}.bound_to")
    return EvidenceRule(**{**data, "bound_to": tuple(data["bound_to"])})


def _stage(document: Mapping[str, Any], place: str) -> Stage:
    data = _keys(document, place, Stage)
    requirements = tuple(_requirement(each, f"{place}.requirements.{i}") for i, each in enumerate(data["requirements"]))
    return Stage(data["slug"], data["title"], requirements)


def _requirement(document: Mapping[str, Any], place: str) -> Requirement:
    data = _keys(document, place, Requirement)
    _at_least_one(data["count"], f"{place}.count")
    for name in data["distinct_from"]:
        _one_of(name, DISTINCT, f"{place}.distinct_from")
    return Requirement(**{**data, "distinct_from": tuple(data["distinct_from"])})


def _keys(document: Mapping[str, Any], place: str, shape: type, extra: tuple[str, ...] = ()) -> dict[str, Any]:
    wanted = {*shape.__dataclass_fields__, *extra} - OPTIONAL  # type: ignore[attr-defined]
    if differing := sorted(wanted ^ (set(document) - OPTIONAL)):
        raise InvalidPolicy(f"{place}: {differing[0]} is {'missing' if differing[0] in wanted else 'not known'}")
    return dict(document)


def _one_of(value: Any, allowed: tuple[str, ...], place: str) -> None:
    if value not in allowed:
        raise InvalidPolicy(f"{place}: {value!r} is none of {', '.join(allowed)}")


def _at_least_one(value: Any, place: str) -> int:
    if not isinstance(value, int) or value < 1:
        raise InvalidPolicy(f"{place}: {value!r} is no whole number from 1")
    return value
