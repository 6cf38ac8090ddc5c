"""The frame of a bias report: the family of tests, the data and the groups that a policy fixes before the run.

A report in another frame answers another question, however well it does: a rule that was chosen afterwards, an
attribute that was left out, or a test that was added until the family was diluted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fairness.naming import canonical, one_class

KIND = "bias_report"
METRICS = (
    "base_rate", "selection_rate", "accuracy", "true_positive_rate", "false_positive_rate", "false_negative_rate",
    "true_negative_rate", "positive_predictive_value", "negative_predictive_value",
)  # fmt: skip
# The only one that can be told of decisions without predictions.
OF_DECISIONS = "selection_rate"
COMPARISONS = {
    "impact_ratio": "ratio to the highest group at least {bound}",
    "difference": "gap to the highest group at most {bound}",
    "ratio_to_reference": "ratio to the reference group at least {bound}",
    "difference_to_reference": "difference to the reference group at most {bound}",
    "at_least": "at least {bound} in every group",
    "at_most": "at most {bound} in every group",
}
CORRECTIONS = {"bonferroni": "Bonferroni's"}
PURPOSES = {
    "training": "training", "test": "test", "out_of_time": "out of time", "historical": "historical use"
}  # fmt: skip
WEIGHTS = ("none", "survey", "importance", "frequency")
MOST_RULES, MOST_ATTRIBUTES, MOST_REASONS = 8, 20, 50
ADVICE = "Ask for it as the policy says, on the version's page."


@dataclass(frozen=True)
class FrameRule:
    """One test, as a report's rule says it."""

    metric: str
    comparison: str
    bound: float
    confidence: float
    minimum_group_size: int
    test_unknown: bool

    @property
    def words(self) -> str:
        compared = COMPARISONS[self.comparison].format(bound=f"{self.bound:g}")
        unknown = ", missing attributes too" if self.test_unknown else ""
        return (
            f"{plain(self.metric)}: {compared}, at {self.confidence * 100:g} % confidence, in groups of at least "
            f"{self.minimum_group_size}{unknown}"
        )


@dataclass(frozen=True)
class FrameAttribute:
    """A column to compare by, and the group to compare with: "" is the largest."""

    name: str
    reference: str

    @property
    def words(self) -> str:
        return f"{self.name} (compared with {self.reference or 'the largest group'})"


@dataclass(frozen=True)
class Frame:
    """What a report has to be, no more and no less.

    Without `attributes` it compares by every column that its dataset marks as sensitive. Rows are of one of the
    `purposes` (of any, without); they may be left out for the reasons of `exclusions` only. `positive` is the class
    that a yes is in ("": whichever the dataset says); from which score on there is a yes is the decision rule's to say.
    """

    rules: tuple[FrameRule, ...]
    correction: str
    attributes: tuple[FrameAttribute, ...]
    positive: str
    purposes: tuple[str, ...]
    exclusions: tuple[str, ...]
    weights: str

    @property
    def words(self) -> list[str]:
        """For people, one line a part."""
        groups = listed(each.words for each in self.attributes) or "every attribute that the dataset marks as sensitive"
        return [
            *(each.words for each in self.rules),
            f"no other rules beside, corrected together by {CORRECTIONS[self.correction]} method",
            f"groups by {groups}",
            *([f"positive class “{self.positive}”"] if self.positive else []),
            f"rows for {_purposes(self.purposes)}" if self.purposes else "rows for any purpose",
            f"rows left out for {quoted(self.exclusions)} only" if self.exclusions else "no rows left out",
            _weights(self.weights),
        ]


@dataclass(frozen=True)
class Difference:
    """The part of the frame in which a report differs, and the predicate of a sentence about the report."""

    part: str
    sentence: str

    @property
    def code(self) -> str:
        return f"frame_{self.part}"


def difference(frame: Frame, told: Mapping[str, Any] | None) -> Difference | None:
    """The first part in which a report, as it tells its own frame, is not what was fixed; None where it fits."""
    unknown = ("unknown", "does not say which tests and rows it rests on")
    found = unknown if told is None else next(_differences(frame, told), None)
    return Difference(found[0], f"{found[1]}. {ADVICE}") if found else None


def _differences(frame: Frame, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """`told` has the keys that `fairness.framing` writes. Lists are compared as sets: their order says nothing."""
    if frame.purposes and told["purpose"] not in frame.purposes:
        yield (
            "purpose",
            f"rests on rows for {_purposes([told['purpose']])}; the policy wants {_purposes(frame.purposes)}",
        )
    if told["weights"] != frame.weights:
        yield "weights", f"has {_weights(told['weights'])}; the policy wants {_weights(frame.weights)}"
    if strange := [each for each in told["exclusions"] if each not in frame.exclusions]:
        allowed = f"for {quoted(frame.exclusions)} only" if frame.exclusions else "for no reason"
        yield "exclusions", f"leaves rows out for {quoted(strange[:3])}; the policy allows it {allowed}"
    names = [each.name for each in frame.attributes] or told["marked"]
    if set(told["attributes"]) != set(names):
        yield "attributes", f"compares groups by {listed(told['attributes'])}; the policy wants {listed(names)}"
    if frame.positive and not one_class(frame.positive, told["positive"]):
        yield "positive", f"counts “{told['positive']}” as positive; the policy wants “{frame.positive}”"
    yield from _references({each.name: each.reference for each in frame.attributes}, told["reference"])
    if told["correction"] != frame.correction:
        wanted = CORRECTIONS[frame.correction]
        yield "correction", f"does not correct its tests by {wanted} method, which the policy wants"
    if said := _rules({plain_rule(asdict(each)) for each in frame.rules}, set(map(plain_rule, told["rules"]))):
        yield "rules", said


def _references(wanted: Mapping[str, str], told: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in [*wanted, *(each for each in told if each not in wanted)]:
        policy, report = (
            f"“{canonical(each[name])}”" if each.get(name) else "the largest group" for each in (wanted, told)
        )
        if policy != report:
            yield "reference", f"compares {name} with {report}; the policy wants {policy}"


PlainRule = tuple[tuple[str, Any], ...]


def plain_rule(rule: Mapping[str, Any]) -> PlainRule:
    """Hashable, and with all that it says: what no policy knows equals nothing that one wants."""
    return tuple(sorted(rule.items()))


def _rules(wanted: Collection[PlainRule], told: Collection[PlainRule]) -> str:
    missing, beside = (
        [dict(each) for each in sorted(some, key=repr) if each not in others]
        for some, others in ((wanted, told), (told, wanted))
    )
    if not missing:
        return f"also has {_named(beside)}; the policy's rules are tested alone" if beside else ""
    if not beside:
        return f"lacks {_named(missing)}, which belongs to the policy's tests"
    if len(missing) == len(beside) == 1 and _alike(missing[0], beside[0]):
        field = next(name for name, value in missing[0].items() if beside[0].get(name) != value)
        has, wants = (_value(rule.get(field)) for rule in (beside[0], missing[0]))
        return f"has a rule with the {plain(field)} {has}; the policy wants {wants}"
    return f"has {_named(beside)}; the policy wants {_named(missing)}"


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    known = {field.name for field in fields(FrameRule)}
    return all(one[name] == other.get(name) for name in ("metric", "comparison")) and set(other) == known


def _named(rules: list[dict[str, Any]]) -> str:
    """The rules by metric, comparison and bound."""
    return listed(f"a rule on the {plain(str(each.get('metric')))} ({_compared(each)})" for each in rules)


def _compared(rule: Mapping[str, Any]) -> str:
    words = COMPARISONS.get(str(rule.get("comparison")), str(rule.get("comparison")))
    return words.format(bound=_value(rule.get("bound")))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _weights(name: str) -> str:
    return "no weights" if name == "none" else f"{name} weights"


def _purposes(names: Iterable[str]) -> str:
    return listed((PURPOSES[name] for name in names), "or")


def plain(name: str) -> str:
    return name.replace("_", " ")


def quoted(texts: Collection[str]) -> str:
    return listed(f"“{each}”" for each in texts)


def listed(texts: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    *before, end = list(texts) or [""]
    return f"{', '.join(before)} {last} {end}" if before else end
