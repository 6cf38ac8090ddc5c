"""The tables of a bias report, computed from cells: groups, what lies between them, and the test.

Values are plain and ready for JSON: a number that does not exist is None, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fairness import bootstrap, exact, extremes, intervals, metrics
from fairness.clusters import ClusteredCells, grouped
from fairness.metrics import RATES, WORDS, Cells, Floats
from fairness.rules import ORDER, Finding, Rate, Result, Rule, decisive, evaluate, family_size, worst

WeightKind = Literal["survey", "importance", "frequency"]
COMPOSITES = ("balanced_accuracy", "f1")
REPLICATES = 1000
MINIMUM_FOR_BOOTSTRAP = 30
# What a report says of each rule beside the one that decides.
FURTHER = ("verdict", "sentence", "rule", "attributes")


def number(value: float | None) -> float | None:
    """Twelve significant digits, so that a sum's last bits do not decide a digest; None where undefined."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.12g}")


def group_name(attributes: Sequence[str], group: Sequence[str]) -> str:
    return ", ".join(f"{a} = {g}" for a, g in zip(attributes, group, strict=True))


def rates(metric: str, cells: Cells, kind: WeightKind = "survey") -> list[Rate]:
    """One metric as rates by group; a group without a denominator has size 0 and the value 0."""
    top, bottom = metrics.parts(metric, cells.w)
    top2, bottom2 = metrics.parts(metric, cells.w2)
    _, size = metrics.parts(metric, cells.n)
    effective = bottom if kind == "frequency" else intervals.effective_size(top, bottom, top2, bottom2)
    if isinstance(cells, ClusteredCells):
        effective = cells.effective(metric, effective)
    value = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    unknown = cells.unknown()
    return [
        Rate(group_name(cells.attributes, g), float(value[i]), int(size[i]), float(effective[i]), unknown[i])
        for i, g in enumerate(cells.groups)
    ]


def attribute_table(
    cells: Cells, names: Sequence[str], rule: Rule, reference: int, kind: WeightKind, seed: int
) -> dict[str, Any]:
    """Everything about one grouping. `names` are the metrics to show, `reference` is the index of a group."""
    by_metric = {name: rates(name, cells, kind) for name in names if name in RATES and RATES[name].is_rate}
    sizes, unknown = cells.sizes, cells.unknown()
    independent = not cells.weighted and not isinstance(cells, ClusteredCells)
    shown = {name: _cells_of(rule, found) for name, found in by_metric.items()}
    shown |= _composites(cells, names, rule, seed)
    groups = [
        {
            "name": group_name(cells.attributes, group),
            "values": list(group),
            "count": int(sizes[i]),
            "share": number(float(cells.w[i].sum() / cells.w.sum())),
            "unknown": unknown[i],
            "reference": i == reference,
            "metrics": {name: shown[name][i] for name in shown},
        }
        for i, group in enumerate(cells.groups)
    ]
    return {
        "attributes": list(cells.attributes),
        "reference": groups[reference]["name"],
        "groups": groups,
        "between": [_between(name, found, cells, rule, seed) for name, found in by_metric.items()],
        "to_reference": _to_reference(by_metric, reference, rule, independent),
        "impact_ratios": _impact(by_metric["selection_rate"], rule),
        "named": _named(by_metric, rule),
    }


def overall_table(cells: Cells, names: Sequence[str], rule: Rule, kind: WeightKind) -> dict[str, Any]:
    """Every metric over all rows, with its interval."""
    whole = grouped(cells, (), rule.confidence)
    found: dict[str, Any] = {}
    for name in names:
        if name in RATES and RATES[name].is_rate:
            found[name] = _cells_of(rule, rates(name, whole, kind))[0]
        else:
            found[name] = {"value": number(metrics.overall(whole, math.nan)[name])}
    return {"count": cells.rows, "metrics": found}


def _cells_of(rule: Rule, found: Sequence[Rate]) -> list[dict[str, Any]]:
    p, n = np.array([r.value for r in found]), np.array([r.effective for r in found])
    alone = intervals.wilson(p, n, rule.confidence)
    sure = exact.guarded_rate(p, n, intervals.simultaneous(rule.confidence, len(found)))
    return [
        {
            "value": number(r.value) if r.size else None,
            "low": number(float(alone.low[i])),
            "high": number(float(alone.high[i])),
            "low_together": number(float(sure.low[i])),
            "high_together": number(float(sure.high[i])),
            "size": r.size,
            "effective_size": number(r.effective),
        }
        for i, r in enumerate(found)
    ]


def _composites(cells: Cells, names: Sequence[str], rule: Rule, seed: int) -> dict[str, list[dict[str, Any]]]:
    wanted = [name for name in COMPOSITES if name in names]
    if not wanted:
        return {}
    sample = bootstrap.replicates(cells, REPLICATES, seed)
    out: dict[str, list[dict[str, Any]]] = {}
    least = np.minimum(cells.n[:, 0, :].sum(axis=-1), cells.n[:, 1, :].sum(axis=-1))
    for name in wanted:
        value = metrics.values(name, cells.w, math.nan)
        spread = bootstrap.spread(name, sample, rule.confidence)
        enough = least >= MINIMUM_FOR_BOOTSTRAP
        out[name] = [
            {
                "value": number(float(value[i])),
                "low": number(float(spread.low[i])) if enough[i] else None,
                "high": number(float(spread.high[i])) if enough[i] else None,
                "size": int(least[i]),
                "undefined_replicates": int(spread.undefined[i]),
            }
            for i in range(len(cells.groups))
        ]
    return out


def _known(found: Sequence[Rate]) -> list[Rate]:
    return [r for r in found if r.size and not r.unknown]


def _between(name: str, found: Sequence[Rate], cells: Cells, rule: Rule, seed: int) -> dict[str, Any]:
    """Lowest against highest group; people whose attribute is unknown stand aside."""
    known = _known(found)
    row: dict[str, Any] = {"metric": name, "words": WORDS[name], "groups": len(known)}
    if len(known) < 2:
        return row | {"lowest": None, "highest": None, "difference": None, "ratio": None, "by_chance": None}
    p, n = np.array([r.value for r in known]), np.array([r.effective for r in known])
    together = exact.guarded_rate(p, n, intervals.simultaneous(rule.confidence, len(known)))
    whole = metrics.overall(cells)[name]
    pooled = float((p * n).sum() / n.sum())
    chance = extremes.by_chance(pooled, n, seed)
    against = metrics.to_overall(p, whole)
    farthest = int(np.argmax(np.abs(np.log(np.clip(np.nan_to_num(against, nan=1.0), 1e-300, 1e300)))))
    return row | {
        "lowest": known[int(p.argmin())].group,
        "highest": known[int(p.argmax())].group,
        "difference": _bounded(float(metrics.difference(p)), extremes.max_difference(together)),
        "ratio": _bounded(float(metrics.ratio(p)), extremes.min_max_ratio(together)),
        "to_overall": {
            "difference": number(float(metrics.difference(p, whole))),
            "ratio": number(float(metrics.ratio(p, whole))),
            "farthest": known[farthest].group,
            "direction": "above" if p[farthest] > whole else "below",
        },
        "by_chance": {
            "ratio_median": number(chance.ratio_median),
            "ratio_twentieth": number(chance.ratio_twentieth),
            "difference_median": number(chance.difference_median),
            "difference_twentieth": number(chance.difference_twentieth),
        },
    }


def _bounded(value: float, bounds: tuple[float, float]) -> dict[str, float | None]:
    return {"value": number(value), "low": number(bounds[0]), "high": number(bounds[1])}


def _to_reference(
    by_metric: Mapping[str, Sequence[Rate]], reference: int, rule: Rule, independent: bool
) -> list[dict[str, Any]]:
    bases = {name: found[reference] for name, found in by_metric.items() if found[reference].size}
    others = {name: [r for r in by_metric[name] if r is not base and r.size] for name, base in bases.items()}
    pairs = [(r, base) for name, base in bases.items() for r in others[name]]
    if not pairs:
        return []
    # Of all metrics at once: to find the bounds of one ratio takes as long as to find those of a hundred.
    p, n, p0, n0 = np.array([(r.value, r.effective, base.value, base.effective) for r, base in pairs]).T
    ratios = intervals.koopman(p, n, p0, n0, rule.confidence)
    bounds = zip(ratios.low.tolist(), ratios.high.tolist(), strict=True)
    return [
        row for name, base in bases.items() for row in _against(name, others[name], base, bounds, rule, independent)
    ]


def _against(
    name: str, others: Sequence[Rate], base: Rate, ratios: Iterator[tuple[float, float]], rule: Rule, independent: bool
) -> list[dict[str, Any]]:
    p, n = np.array([r.value for r in others]), np.array([r.effective for r in others])
    against = (base.value, base.effective)
    gap = intervals.newcombe(p, n, *against, rule.confidence)
    raw = intervals.p_value(p, n, *against)
    corrected = intervals.holm(raw)
    exactly = [exact_p(r, base) if independent else None for r in others]
    surely = intervals.holm([raw[i] if p is None else p for i, p in enumerate(exactly)])
    return [
        {
            "metric": name,
            "group": r.group,
            "reference": base.group,
            "difference": _bounded(r.value - base.value, (float(gap.low[i]), float(gap.high[i]))),
            "ratio": _bounded(r.value / base.value if base.value else math.nan, next(ratios)),
            "p_value": number(float(raw[i])),
            "p_value_corrected": number(float(corrected[i])),
            "p_value_exact": number(exactly[i]),
            "p_value_exact_corrected": None if exactly[i] is None else number(float(surely[i])),
        }
        for i, r in enumerate(others)
    ]


def exact_p(rate: Rate, base: Rate) -> float | None:
    """Fisher's p of a rate against `base`, of rows that count one each; None of so many that none is needed."""
    if rate.size + base.size > exact.FISHER_ROWS:
        return None
    return exact.fisher(round(rate.value * rate.size), rate.size, round(base.value * base.size), base.size)


def _impact(found: Sequence[Rate], rule: Rule) -> list[dict[str, Any]]:
    """Selection rate over that of the most selected group, for groups with known attributes."""
    known = _known(found)
    p, n = np.array([r.value for r in known]), np.array([r.effective for r in known])
    if len(known) < 2 or not p.max() > 0:
        return []
    each = extremes.impact_ratios(exact.guarded_rate(p, n, intervals.simultaneous(rule.confidence, len(known))))
    ratios = metrics.impact_ratio(p)
    return [
        {"group": r.group} | _bounded(float(ratios[i]), (float(each.low[i]), float(each.high[i])))
        for i, r in enumerate(known)
    ]


def _named(by_metric: Mapping[str, Sequence[Rate]], rule: Rule) -> dict[str, Any]:
    """The criteria that go by a name. Equalised odds takes the worse of its two rates."""
    found = {name: _gap(by_metric[name], rule) for name in by_metric}
    out = {"demographic_parity": found["selection_rate"]}
    tpr, fpr = found.get("true_positive_rate"), found.get("false_positive_rate")
    out["equal_opportunity"] = tpr
    if tpr and fpr:
        out["equalised_odds"] = {
            "difference": {k: max(tpr["difference"][k], fpr["difference"][k]) for k in ("value", "low", "high")},
            "ratio": {k: _least(tpr["ratio"][k], fpr["ratio"][k]) for k in ("value", "low", "high")},
        }
    return {name: value for name, value in out.items() if value}


def _least(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else min(a, b)


def _gap(found: Sequence[Rate], rule: Rule) -> dict[str, Any] | None:
    known = _known(found)
    if len(known) < 2:
        return None
    p, n = np.array([r.value for r in known]), np.array([r.effective for r in known])
    together = exact.guarded_rate(p, n, intervals.simultaneous(rule.confidence, len(known)))
    return {
        "difference": _bounded(float(metrics.difference(p)), extremes.max_difference(together)),
        "ratio": _bounded(float(metrics.ratio(p)), extremes.min_max_ratio(together)),
    }


def test_result(
    rules: Sequence[Rule], singles: Mapping[str, Cells], references: Mapping[str, str], kind: WeightKind
) -> dict[str, Any]:
    """The verdict of the rules over all tested attributes, worst first, and what could have been detected.

    The family is every group that any of the rules judges: nothing else that a report shows belongs to it. What is
    said at the top is the worst rule's; the others stand under `further`, where there are any.
    """
    found = {rule: {name: rates(rule.metric, cells, kind) for name, cells in singles.items()} for rule in rules}
    family = sum(family_size(rule, list(seen.values())) for rule, seen in found.items())
    each = [_rule_result(rule, seen, references, family) for rule, seen in found.items()]
    first = min(each, key=lambda result: ORDER.index(result["verdict"]))
    others = [{key: result[key] for key in FURTHER} for result in each if result is not first]
    return first | ({"further": others} if others else {})


def _rule_result(
    rule: Rule, found: Mapping[str, Sequence[Rate]], references: Mapping[str, str], family: int
) -> dict[str, Any]:
    results = {name: evaluate(rule, found[name], references[name], family) for name in found}
    verdict = worst([r.verdict for r in results.values()])
    first = decisive(rule, results)
    return {
        "verdict": verdict,
        "passes": verdict == "within",
        "sentence": results[first].sentence if first else "No attribute was named for testing.",
        "rule": rule.as_dict(),
        "family": family,
        "attributes": [_attribute_result(rule, name, results[name], found[name], family) for name in results],
    }


def _attribute_result(rule: Rule, name: str, result: Result, found: Sequence[Rate], family: int) -> dict[str, Any]:
    tested = [f for f in result.findings if f.value is not None]
    tops = [r for r in found if r.group in {f.group for f in tested}]
    top = max(tops, key=lambda r: r.value, default=None)
    return {
        "attribute": name,
        "verdict": result.verdict,
        "sentence": result.sentence,
        "groups": [_finding(rule, f, r, top, family) for f, r in zip(result.findings, found, strict=True)],
    }


def _finding(rule: Rule, finding: Finding, rate: Rate, top: Rate | None, family: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "group": finding.group,
        "verdict": finding.verdict,
        "size": finding.size,
        "rate": number(rate.value) if rate.size else None,
        "value": number(finding.value),
        "low": number(finding.low),
        "high": number(finding.high),
    }
    if rule.comparison == "impact_ratio" and finding.value is not None and top is not None and top.group != rate.group:
        at = intervals.simultaneous(rule.confidence, family)
        seen = extremes.detectable(top.value, top.effective, rate.effective, rule.bound, at)
        row["detectable"] = {"outside": number(seen.outside), "within": number(seen.within)}
    return row


def largest_known(cells: Cells) -> int:
    """The reference unless another is named: the largest group, whose choice owes nothing to outcomes."""
    sizes: Floats = np.where(cells.unknown(), -1.0, cells.w.sum(axis=(1, 2)))
    return int(sizes.argmax())
