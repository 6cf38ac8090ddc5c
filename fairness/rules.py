"""Test rules: does a disparity lie inside a bound, and how sure is that.

*Within*: every group's interval lies inside the bound, and rests on enough rows with either outcome. *Outside*: the
interval of some group, taken so that all hold together, lies outside. *Too few*: a group is smaller than the rule's
minimum. *Inconclusive*: anything else. Only *within* passes. A group of people whose attribute is missing is reported,
not tested, unless the rule says so. `python -m bench.fairness --coverage` measures how often each is said wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from fairness.deciding import TO_REFERENCE, Comparison, decide, limits
from fairness.exact import EXPECTED
from fairness.intervals import simultaneous
from fairness.metrics import RATES, WORDS

Verdict = Literal["within", "outside", "inconclusive", "too_few"]
COMPARISONS = {
    "impact_ratio": "{value} of that of the highest group",
    "difference": "{value} below that of the highest group",
    "ratio_to_reference": "{value} of that of {reference}",
    "difference_to_reference": "{value} away from that of {reference}",
    "at_least": "{value}",
    "at_most": "{value}",
}
# From worst to best: what several attributes say together is the worst that one of them says.
ORDER: tuple[Verdict, ...] = ("outside", "too_few", "inconclusive", "within")


@dataclass(frozen=True)
class Rule:
    """One test. `bound` is a smallest ratio, a largest difference, or a smallest or largest rate."""

    metric: str = "selection_rate"
    comparison: Comparison = "impact_ratio"
    bound: float = 0.8
    confidence: float = 0.95
    minimum_group_size: int = 30
    test_unknown: bool = False

    def __post_init__(self) -> None:
        if self.metric not in RATES or not RATES[self.metric].is_rate:
            raise ValueError(f"No rule can be made of the metric {self.metric!r}.")
        if self.comparison not in COMPARISONS:
            raise ValueError(f"{self.comparison!r} is not a comparison: use one of {', '.join(COMPARISONS)}.")
        if not 0 < self.bound <= 1:
            raise ValueError("The bound lies over 0 and is at most 1.")
        if not 0.5 <= self.confidence < 1:
            raise ValueError("The confidence is at least 0.5 and less than 1.")
        if self.minimum_group_size < 1:
            raise ValueError("The minimum group size is at least 1.")

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Rule:
        """A rule from stored or posted values; raises ValueError with a sentence."""
        unknown = set(given) - set(asdict(cls()))
        if unknown:
            raise ValueError(f"A rule has no {', '.join(sorted(unknown))}.")
        return replace(cls(), **given)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


# The four-fifths guideline, 29 CFR 1607.4(D): a starting point, not a law of nature.
DEFAULT_RULE = Rule()


@dataclass(frozen=True)
class Rate:
    """One group's rate: `size` rows in its denominator, worth `effective` rows of equal weight."""

    group: str
    value: float
    size: int
    effective: float
    unknown: bool = False


@dataclass(frozen=True)
class Finding:
    """What the rule sees in one group: the compared value, its interval, and the verdict there.

    `sparse`: the interval lies inside the bound, but too few rows have one of the outcomes to rely upon it.
    """

    group: str
    verdict: Verdict | Literal["not_tested"]
    size: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    sparse: bool = False


@dataclass(frozen=True)
class Result:
    verdict: Verdict
    sentence: str
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        return self.verdict == "within"


def evaluate(rule: Rule, rates: Sequence[Rate], reference: str | None = None, family: int | None = None) -> Result:
    """Judge one attribute's groups.

    `family` counts the groups of all attributes that the same rule judges together (default: those here). `reference`
    names the group for comparisons with a reference; it must be chosen before looking at outcomes.
    """
    asked = [r for r in rates if rule.test_unknown or not r.unknown]
    tested = [r for r in asked if r.size >= rule.minimum_group_size]
    few = [r for r in asked if r.size < rule.minimum_group_size]
    found = {r.group: Finding(r.group, "too_few", r.size) for r in few}
    found |= {r.group: Finding(r.group, "not_tested", r.size) for r in rates if r not in asked}
    if _can_compare(rule, tested, reference):
        at = simultaneous(rule.confidence, family or len(tested))
        found |= {f.group: f for f in _compare(rule, tested, reference, at)}
    else:
        found |= {r.group: Finding(r.group, "too_few", r.size) for r in tested}
    findings = tuple(found[r.group] for r in rates)
    verdict = worst([f.verdict for f in findings if f.verdict != "not_tested"])
    return Result(verdict, _sentence(rule, verdict, findings, reference), findings)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """What several verdicts say together; nothing tested is too few."""
    return min(verdicts, key=ORDER.index, default="too_few")


def family_size(rule: Rule, attributes: Sequence[Sequence[Rate]]) -> int:
    """How many groups one rule judges over several attributes."""
    return sum(
        (rule.test_unknown or not r.unknown) and r.size >= rule.minimum_group_size for a in attributes for r in a
    )


def _can_compare(rule: Rule, tested: Sequence[Rate], reference: str | None) -> bool:
    if rule.comparison in ("at_least", "at_most"):
        return bool(tested)
    if rule.comparison in TO_REFERENCE:
        return len(tested) > 1 and any(r.group == reference for r in tested)
    return len(tested) > 1


def _compare(rule: Rule, tested: Sequence[Rate], reference: str | None, at: float) -> list[Finding]:
    base = next((r for r in tested if r.group == reference), None) if rule.comparison in TO_REFERENCE else None
    others = [r for r in tested if r is not base]
    p, n = np.array([r.value for r in others]), np.array([r.effective for r in others])
    against = (np.array([base.value]), np.array([base.effective])) if base else None
    seen = decide(rule.comparison, rule.bound, rule.confidence, at, p, n, against)
    findings = []
    if base:
        # The reference is compared with itself: nothing to be unsure of.
        own = 1.0 if rule.comparison == "ratio_to_reference" else 0.0
        findings.append(Finding(base.group, "within", base.size, own, own, own))
    for i, rate in enumerate(others):
        verdict: Verdict = "outside" if seen.outside[i] else "within" if seen.within[i] else "inconclusive"
        shown = seen.alone if verdict == "within" else seen.sure
        low, high = float(shown.low[i]), float(shown.high[i])
        sparse = bool(seen.inside[i]) and verdict == "inconclusive"
        findings.append(Finding(rate.group, verdict, rate.size, float(seen.shown[i]), low, high, sparse))
    return findings


def asks(rule: Rule) -> str:
    if rule.comparison in ("impact_ratio", "at_least"):
        return f"at least {rule.bound:.3f}"
    if rule.comparison == "ratio_to_reference":
        return f"between {rule.bound:.3f} and {1 / rule.bound:.3f}"
    if rule.comparison == "difference_to_reference":
        return f"at most {rule.bound:.3f} either way"
    return f"at most {rule.bound:.3f}"


def reach(rule: Rule, finding: Finding) -> float:
    """How far the interval goes beyond the bound; under 0 inside it, without end where there is no interval."""
    if finding.low is None or finding.high is None:
        return -np.inf
    least, most = limits(rule.comparison, rule.bound)
    return max(least - finding.low, finding.high - most)


def decisive(rule: Rule, results: Mapping[str, Result]) -> str | None:
    """Of several attributes' results the one to speak of first: the worst verdict, then the farthest reach."""

    def key(name: str) -> tuple[int, float]:
        return ORDER.index(results[name].verdict), -max((reach(rule, f) for f in results[name].findings), default=0.0)

    return min(results, key=key, default=None)


def _nearest(rule: Rule, findings: Sequence[Finding], verdict: Verdict) -> Finding:
    return max((f for f in findings if f.verdict == verdict), key=lambda f: reach(rule, f))


def _sentence(rule: Rule, verdict: Verdict, findings: Sequence[Finding], reference: str | None) -> str:
    sure = f"{rule.confidence * 100:g} % confidence"
    words = WORDS[rule.metric]
    if verdict == "too_few":
        few = [f for f in findings if f.verdict == "too_few"]
        small = [f for f in few if f.size < rule.minimum_group_size]
        if small:
            named = ", ".join(f"{f.group} ({f.size})" for f in small)
            return (
                f"Too few rows to test the {words}: {named}; the rule asks for at least {rule.minimum_group_size} in "
                "each group. Gather more rows, or group the values more coarsely."
            )
        return (
            f"Too few groups to compare the {words}: the rule needs a second group, and the reference if it names one."
        )
    one = _nearest(rule, findings, verdict)
    shown = COMPARISONS[rule.comparison].format(value=f"{one.value:.3f}", reference=reference)
    interval = f"{one.low:.3f} to {one.high:.3f}"
    if verdict == "within":
        return (
            f"Every group's {words} meets the rule ({asks(rule)}) at {sure}. Nearest to the bound is {one.group}: "
            f"{shown} (interval {interval})."
        )
    if verdict == "outside":
        return (
            f"The {words} of {one.group} is {shown} (interval {interval}); the rule asks for {asks(rule)}. "
            f"That is a disparity beyond the bound at {sure}."
        )
    if one.sparse:
        return (
            f"The {words} of {one.group} is {shown} (interval {interval}), and the rule asks for {asks(rule)}. But so "
            "few rows have one of the two outcomes, there or in the group compared with, that no more than "
            f"{EXPECTED:g} may have been to be expected: that shows no pass. More rows would decide it."
        )
    known = (
        "That there is a difference is shown; whether it goes beyond the bound is not"
        if _differs(rule, one)
        else "Neither a breach nor its absence is shown"
    )
    return (
        f"The {words} of {one.group} is {shown}, but the data allow anything from {interval} at {sure}; the rule asks "
        f"for {asks(rule)}. {known}; more rows would decide it."
    )


def _differs(rule: Rule, finding: Finding) -> bool:
    """Whether the interval excludes equal groups."""
    if rule.comparison in ("at_least", "at_most") or finding.low is None or finding.high is None:
        return False
    equal = 1.0 if rule.comparison in ("impact_ratio", "ratio_to_reference") else 0.0
    return not finding.low <= equal <= finding.high
