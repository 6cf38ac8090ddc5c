"""Group-membership probabilities in a report: reading them from the dataset, and the report's section on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairness import intervals, membership, tables
from fairness.collecting import numbers
from fairness.dataset import Source
from fairness.deciding import limits
from fairness.membership import Judged, Members, Sums
from fairness.metrics import Floats, Ints
from fairness.naming import canonical, same_class
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.rules import COMPARISONS, ORDER, Rule, Verdict, asks, worst

# How far the probabilities of a row may be from 1 together: tables of them are rounded.
TOLERANCE = 0.005
METRIC = "selection_rate"
WHATEVER = "whatever membership and decision have to do with each other"
CAUTIONS = {
    "memberships_estimated": (
        "Nobody's group is known here, only probabilities of it. The weighted estimate is right where, among rows of "
        "the same probability, membership and decision have nothing to do with each other; elsewhere it is off by "
        "their mean covariance over the group's share of all rows, and more rows do not mend that (Chen et al., "
        "Fairness Under Unawareness, 2019). Counting rows from a probability of a half on as the group's is off in "
        "another way, and stands beside it for comparison."
    ),
    "memberships_bounded": (
        f"The range of each group holds {WHATEVER}, if the probabilities are right on average; whether they are, this "
        "report cannot show. Only the range decides a verdict. The interval of the weighted estimate tells of sampling "
        "alone."
    ),
}


def check(source: Source, roles: Roles, rules: Sequence[Rule]) -> None:
    """Raises DataProblem unless each row's probabilities are some and sum to 1, within TOLERANCE."""
    columns = roles.membership
    if len(columns) < 2:
        raise DataProblem(
            "memberships_too_few",
            f"Only {columns[0]!r} is a probability of belonging to a group. Name a column for each group of the "
            "attribute, the others together if need be.",
            column=columns[0],
        )
    for other in (roles.weight, roles.cluster, roles.exclusion):
        if other:
            raise DataProblem(
                "not_for_memberships",
                f"A report on group-membership probabilities takes neither weights, nor rows of one person together, "
                f"nor reasons to leave rows out. Give column {other!r} another role.",
                column=other,
            )
    if not roles.sensitive and any(rule.metric != METRIC for rule in rules):
        raise DataProblem(
            "metric_needs_attribute",
            "Of groups that are known by probabilities alone there is only a selection rate. Test that.",
        )
    source.numeric(columns)
    for name in columns:
        value = source.number(name)
        if ((value < 0) | (value > 1)).any().to_pyarrow().as_py():
            row, found = source.first((value < 0) | (value > 1), name)
            raise DataProblem(
                "not_probability",
                f"Column {name!r} is the probability of a group and holds {found} in row {row:,}, where 0 to 1 is "
                "wanted. Divide percentages by 100.",
                column=name,
                row=row,
            )
    total = sum((source.number(name) for name in columns[1:]), source.number(columns[0]))
    wrong = (total - 1).abs() > TOLERANCE
    if wrong.any().to_pyarrow().as_py():
        row, _ = source.first(wrong, columns[0])
        assert row is not None, "rows that are here have an order"
        query = source.table.select(total=total).limit(1, offset=row - 1)
        found = query.to_pyarrow().to_pylist()[0]["total"]
        raise DataProblem(
            "memberships_not_one",
            f"The probabilities of row {row:,} sum to {found:.6g} over the columns {', '.join(columns)}, where 1 is "
            f"wanted. Correct that row, or give a column that {columns[0]!r} does not belong with another role.",
            column=columns[0],
            row=row,
        )


def read(source: Source, roles: Roles, positive: object, label: Any = None) -> Sums:
    """The sums of a dataset whose label, the column's or as given, is itself the decision."""
    sums, wanted = Sums(roles.membership), {f"m{i}": source.number(name) for i, name in enumerate(roles.membership)}
    for batch in source.batches(wanted | {"label": source.table[roles.label] if label is None else label}):
        label = batch.column("label").dictionary_encode(null_encoding="encode")
        yes = [same_class(canonical(each)) == same_class(canonical(positive)) for each in label.dictionary.to_pylist()]
        selected = np.array(yes, dtype=bool)[label.indices.to_numpy(zero_copy_only=False)]
        add(sums, {name: batch.column(f"m{i}") for i, name in enumerate(roles.membership)}, selected)
    return sums


def add(sums: Sums, columns: Mapping[str, Any], selected: Any) -> None:
    """One batch: the columns as Arrow arrays by name, and a decision a row."""
    sums.add(np.stack([numbers(columns[name]) for name in sums.groups]), selected)


def extend(report: dict[str, Any], sums: Sums, rules: Sequence[Rule]) -> None:
    """Add the section `memberships`. Its verdict is the report's where no attribute is known."""
    members, asked = sums.finish(), [rule for rule in rules if rule.metric == METRIC]
    expected = members.expected
    reference = members.groups[int(expected.argmax())]
    family = membership.family(members, [rule.minimum_group_size for rule in asked])
    found = [result(members, rule, reference, family) for rule in asked]
    first = min(found, key=lambda each: ORDER.index(each["verdict"]), default=None)
    confidence = rules[0].confidence
    at = intervals.simultaneous(confidence, family or len(expected))
    report["memberships"] = {
        "columns": list(members.groups),
        "tolerance": TOLERANCE,
        "reference": reference,
        "groups": groups(members, confidence, at, reference),
        "result": first,
    }
    report["warnings"] += [{"code": code, "sentence": sentence} for code, sentence in CAUTIONS.items()]
    if not report["attributes"] and first:
        others = [{key: each[key] for key in tables.FURTHER} for each in found if each is not first]
        kept = {key: value for key, value in first.items() if key != "groups"}
        report["result"] = kept | ({"further": others} if others else {})


def groups(members: Members, confidence: float, at: float, reference: str) -> list[dict[str, Any]]:
    weighted, alone, wide = members.weighted(), membership.sampling(members, confidence), membership.honest(members, at)
    counts: Ints
    counts, shares = members.by_threshold()
    rows: Floats = members.expected
    return [
        {
            "name": name,
            "expected": tables.number(float(rows[i])),
            "share": tables.number(float(rows[i] / rows.sum())),
            "reference": name == reference,
            "effective_size": tables.number(float(weighted.size[i])),
            "selection_rate": {
                "value": tables.number(float(weighted.value[i])) if rows[i] > 0 else None,
                "low": tables.number(float(alone.low[i])),
                "high": tables.number(float(alone.high[i])),
            },
            "whatever": {"low": tables.number(float(wide.low[i])), "high": tables.number(float(wide.high[i]))},
            "by_threshold": {"count": int(counts[i]), "value": tables.number(float(shares[i]))},
        }
        for i, name in enumerate(members.groups)
    ]


def result(members: Members, rule: Rule, reference: str, family: int) -> dict[str, Any]:
    """The verdict of one rule, as that on known attributes, with its groups under `groups`."""
    at = intervals.simultaneous(rule.confidence, family)
    asked = (rule.comparison, rule.bound, rule.minimum_group_size, rule.confidence, at, reference)
    found = membership.judged(members, *asked)
    verdict = worst([each.verdict for each in found])
    return {
        "verdict": verdict,
        "passes": verdict == "within",
        "sentence": sentence(rule, verdict, members, found, reference),
        "rule": rule.as_dict(),
        "family": family,
        "attributes": [],
        "groups": [
            {
                "group": name, "verdict": each.verdict, "value": tables.number(each.value),
                "low": tables.number(each.low), "high": tables.number(each.high),
            }
            for name, each in zip(members.groups, found, strict=True)
        ],
    }  # fmt: skip


def sentence(rule: Rule, verdict: Verdict, members: Members, found: Sequence[Judged], reference: str) -> str:
    sure = f"{rule.confidence * 100:g} % confidence"
    if verdict == "too_few":
        few = [
            f"{name} ({rows:.0f})"
            for name, rows in zip(members.groups, members.expected, strict=True)
            if rows < rule.minimum_group_size
        ]
        return (
            f"Too few rows are to be expected of {', '.join(few)}; the rule asks for at least "
            f"{rule.minimum_group_size} in each group. Gather more rows, or take groups together."
        )
    least, most = limits(rule.comparison, rule.bound)
    near = [
        (max(least - each.low, each.high - most), i)
        for i, each in enumerate(found)
        if each.verdict == verdict and each.low is not None and each.high is not None
    ]
    name, one = members.groups[max(near)[1]], found[max(near)[1]]
    shown = COMPARISONS[rule.comparison].format(value=f"{one.value:.3f}", reference=reference)
    range_ = f"{one.low:.3f} to {one.high:.3f}"
    if verdict == "within":
        return (
            f"By probabilities of membership, every group's selection rate meets the rule ({asks(rule)}) at {sure}, "
            f"{WHATEVER}. Nearest to the bound is {name}: {shown} (range {range_})."
        )
    if verdict == "outside":
        return (
            f"By probabilities of membership, the selection rate of {name} is {shown} (range {range_}); the rule asks "
            f"for {asks(rule)}. That is a disparity beyond the bound at {sure}, {WHATEVER}."
        )
    return (
        f"By probabilities of membership, the selection rate of {name} is estimated at {shown}, but nobody's group is "
        f"known, and the data allow anything from {range_} at {sure}; the rule asks for {asks(rule)}. Surer "
        "probabilities would decide it sooner than more rows."
    )
