"""A policy as plain data: which evidence must be there, and who must sign what, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from approvals.workflow.frames import Frame
from approvals.workflow.material import HIGHEST, reaches

DISTINCT = ("submitter", "owner", "contributors", "evidence_producers", "earlier_signers")
# Nobody signs their own work, whatever a policy says.
ALWAYS_DISTINCT = ("submitter", "contributors", "evidence_producers")
BOUND = ("artifact", "decision_rule", "dataset")
VERDICTS = ("acknowledge", "within_only")
RUNS = ("chosen", "all")
DEACTIVATED = ("keeps", "suspends")
PROVENANCES = ("computed", "")
SCOPES = ("team", "house")
FACTORS = ("password", "second_factor")
SEVERITIES = ("critical", "high", "medium", "low")
OVERDUE = ("suspends", "reminds")
TIERS = ("high", "medium", "low")
ENVIRONMENTS = ("development", "staging", "production")
# Sections of a manifest that a signature may be about. Version, bytes' name, environment, use and policy always count.
CARRIES = ("artifact", "decision_rule", "features", "signature", "card", "evidence", "datasets")


class InvalidPolicy(ValueError):
    """A policy document that says something this program does not know how to keep; `place` is where."""

    def __init__(self, place: str, sentence: str) -> None:
        joint = " " if sentence.partition(" ")[0] in ("is", "must", "has", "names") else ": "
        super().__init__(f"{place}{joint}{sentence}")
        self.place, self.sentence = place, sentence


@dataclass(frozen=True)
class When:
    """To which requests a rule applies. An empty list says nothing; what says something must all agree.

    `material_change` is the class of change from which on it applies, "" for any: what is asked of a small change is
    asked of a larger one too.
    """

    tiers: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    material_change: str = ""

    def applies(self, tier: str, environment: str, use: str, change: str) -> bool:
        asked = ((self.tiers, tier), (self.environments, environment), (self.uses, use))
        enough = not self.material_change or reaches(change, self.material_change)
        return enough and all(not named or one in named for named, one in asked)

    @property
    def always(self) -> bool:
        return not (self.tiers or self.environments or self.uses or self.material_change)


@dataclass(frozen=True)
class EvidenceRule:
    """One kind of evidence that must be in the manifest, and what its verdict does.

    `verdicts` is `within_only` (any other verdict blocks) or `acknowledge` (it is listed, and each signer has to
    acknowledge it). `source` tells reports of one kind apart; "" takes any. After `max_age_days` it counts no more.
    Where `runs` is `all`, every report of the kind that was computed here has to be in the manifest, good and bad.
    `frame` fixes what a bias report tests; one in another frame does not count.
    """

    slug: str
    title: str
    kind: str
    source: str
    provenance: str
    bound_to: tuple[str, ...]
    verdicts: str
    max_age_days: int | None = None
    when: When = When()
    runs: str = "chosen"
    frame: Frame | None = None

    @property
    def max_age(self) -> timedelta | None:
        return None if self.max_age_days is None else timedelta(days=self.max_age_days)


@dataclass(frozen=True)
class Requirement:
    """So many different people of a role, none of them in the named groups, sign with this meaning.

    `scope` is `team` (the role held for the model's team or for the whole house) or `house` (for the whole house only).
    With `carry_over_if` a signature goes on counting in later revisions, as long as these sections of the manifest are
    as they were.
    """

    slug: str
    title: str
    role: str
    count: int
    distinct_from: tuple[str, ...]
    meaning: str
    scope: str = "team"
    when: When = When()
    carry_over_if: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    slug: str
    title: str
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True)
class FindingRule:
    """Open findings of the severities `block`; one past its due date `suspends` an approval or only `reminds`."""

    block: tuple[str, ...] = ("critical", "high")
    overdue: str = "suspends"


@dataclass(frozen=True)
class Emergency:
    """How many people together may let a version serve for how many hours before the review is done."""

    people: int
    hours: int


@dataclass(frozen=True)
class Policy:
    """`max_lease_seconds` is for how long a gateway may serve at most without having asked the gate again."""

    slug: str
    title: str
    version: int
    summary: str
    valid_days: int
    deactivated_signer: str
    evidence: tuple[EvidenceRule, ...]
    stages: tuple[Stage, ...]
    frameworks: tuple[str, ...] = ()
    max_pinned_days: int | None = None
    factor: str = "password"
    conditions: bool = False
    anchor_outside: bool = False
    findings: FindingRule = FindingRule()
    emergency: Emergency | None = None
    max_lease_seconds: int | None = None

    @property
    def requirements(self) -> Iterator[Requirement]:
        """All requirements, in the order in which they are signed."""
        return (requirement for stage in self.stages for requirement in stage.requirements)

    def requirement(self, slug: str) -> Requirement | None:
        return next((requirement for requirement in self.requirements if requirement.slug == slug), None)

    @property
    def framed(self) -> list[EvidenceRule]:
        return [rule for rule in self.evidence if rule.frame]

    @property
    def weighs_change(self) -> bool:
        """Whether any rule asks how much is new."""
        whens = [*(rule.when for rule in self.evidence), *(each.when for each in self.requirements)]
        return any(when.material_change for when in whens)

    def applying(self, tier: str, environment: str, use: str, change: str = HIGHEST) -> Policy:
        """What of it applies to a request, all being new where nobody says. At least one requirement always does (see
        `documents`).
        """
        asked = (tier, environment, use, change)
        stages = (
            replace(stage, requirements=tuple(each for each in stage.requirements if each.when.applies(*asked)))
            for stage in self.stages
        )
        return replace(
            self,
            evidence=tuple(rule for rule in self.evidence if rule.when.applies(*asked)),
            stages=tuple(stage for stage in stages if stage.requirements),
        )
