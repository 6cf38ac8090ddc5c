"""A bias report made ready for a page: plain dicts in, plain dicts out, in the order in which one reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairness import plot
from fairness.metrics import RATES, WORDS

Report = Mapping[str, Any]
# Groups side by side in one table: more would not fit on a printed page.
ABREAST = 4
TESTABLE = {name: rate.words for name, rate in RATES.items() if rate.is_rate}
COMPARED = {
    "impact_ratio": "Impact ratio",
    "difference": "Below the highest",
    "ratio_to_reference": "Ratio to reference",
    "difference_to_reference": "Difference to reference",
    "at_least": "Rate",
    "at_most": "Rate",
}
ASKED = {
    "impact_ratio": "the {metric} of every group is at least {bound:.2f} of that of the highest group",
    "difference": "the {metric} of no group is more than {bound:.2f} below that of the highest group",
    "ratio_to_reference": "the {metric} of every group is {bound:.2f} to {inverse:.2f} of that of the reference group",
    "difference_to_reference": "the {metric} of every group is within {bound:.2f} of that of the reference group",
    "at_least": "the {metric} of every group is at least {bound:.2f}",
    "at_most": "the {metric} of every group is at most {bound:.2f}",
}
COMPARISON_WORDS = {
    "impact_ratio": "smallest ratio to the highest group",
    "difference": "largest gap to the highest group",
    "ratio_to_reference": "ratio to the largest group",
    "difference_to_reference": "difference to the largest group",
    "at_least": "smallest rate of any group",
    "at_most": "largest rate of any group",
}


def rule_in_words(rule: Report) -> str:
    """One sentence without its full stop."""
    asked = ASKED[rule["comparison"]].format(
        metric=WORDS[rule["metric"]], bound=rule["bound"], inverse=1 / rule["bound"]
    )
    unknown = "" if rule["test_unknown"] else "; people whose attribute is missing are shown, not tested"
    return (
        f"{asked}, at {rule['confidence'] * 100:g} % confidence, for groups of at least "
        f"{rule['minimum_group_size']}{unknown}"
    )


def further(report: Report) -> list[dict[str, str]]:
    """The rules beside the one that decides, in words."""
    found = report["result"].get("further", ())
    return [
        {"words": rule_in_words(each["rule"]), "verdict": each["verdict"], "sentence": each["sentence"]}
        for each in found
    ]


def decision_in_words(rule: Report | None) -> str:
    if rule is None:
        return "as recorded in the dataset"
    if rule.get("kind") == "threshold":
        return f"positive where “{rule['output']}” of class {rule['class']} is at least {rule['at_least']:g}"
    return f"positive where “{rule.get('output')}” equals {rule.get('equals')}"


def decisions_of(report: Report) -> str:
    """Where the decisions come from, without a full stop."""
    parameters = report["provenance"]["parameters"]
    if parameters["source"] != "submitted" and parameters.get("task") == "regression":
        made = parameters["decision"]
        if made is None:
            return f"as recorded in the dataset; positive from {parameters['at_least']:g} on"
        return f"positive where “{made['output']}”, the prediction of the outcome, is at least {made['at_least']:g}"
    if parameters["source"] != "submitted":
        return decision_in_words(parameters["decision"])
    if parameters["at_least"] is None:
        return "submitted, made elsewhere"
    return f"submitted, made elsewhere; positive from {parameters['at_least']:g} on"


def tests(report: Report) -> list[dict[str, Any]]:
    """The result attribute by attribute, each with its plot and the table of the same numbers."""
    rule = report["result"]["rule"]
    tables = {table["attributes"][0]: table for table in report["attributes"]}
    found = []
    for result in report["result"]["attributes"]:
        table = tables[result["attribute"]]
        rates = {group["name"]: group["metrics"][rule["metric"]] for group in table["groups"]}
        found.append(
            {
                **result,
                "plot": plot.of_result(report, result["attribute"]),
                "rows": [{**group, "seen": rates[group["group"]]} for group in result["groups"]],
                "chance": chance(table, rule["metric"]) if rule["comparison"] == "impact_ratio" else None,
                "reference": table["reference"],
            }
        )
    return found


def chance(table: Report, metric: str) -> Report | None:
    """What groups of these sizes would show if there were no disparity."""
    between = next((row for row in table["between"] if row["metric"] == metric), None)
    by_chance: Report | None = between["by_chance"] if between else None
    return by_chance


def memberships(report: Report) -> dict[str, Any] | None:
    """Groups that are known by probabilities alone, with what the rule finds in each where it is about their rates."""
    section = report.get("memberships")
    if not section:
        return None
    result = section["result"]
    found = {row["group"]: row for row in result["groups"]} if result else {}
    confidence = report["result"]["rule"]["confidence"]
    rows = [
        plot.Row(
            group["name"], round(group["expected"]), group["selection_rate"]["value"], group["whatever"]["low"],
            group["whatever"]["high"], reference=group["reference"], note="",
        )
        for group in section["groups"]
    ]  # fmt: skip
    title = f"Selection rate by probability of membership, with the range at {confidence * 100:g} % confidence"
    return {
        "verdict": result["verdict"] if result else None,
        "sentence": result["sentence"] if result else "",
        "compared": COMPARED[result["rule"]["comparison"]] if result else "",
        "rows": [{**group, "found": found.get(group["name"])} for group in section["groups"]],
        "plot": plot.dot_whisker(title, rows),
    }


def details(table: Report) -> dict[str, Any]:
    """All metrics of an attribute's or an intersection's groups, a few groups abreast, and their comparisons."""
    groups = table["groups"]
    metrics, named = list(groups[0]["metrics"]), table.get("named") or {}
    return {
        "name": " × ".join(table["attributes"]),
        "parts": [
            {
                "groups": part,
                "rows": [(WORDS[metric], [group["metrics"][metric] for group in part]) for metric in metrics],
            }
            for part in abreast(groups)
        ],
        "between": [{**row, "words": sentence_case(row["words"])} for row in table["between"]],
        "to_reference": [
            {**row, "words": sentence_case(WORDS[row["metric"]]), "p": p_in_words(row["p_value_corrected"])}
            for row in table["to_reference"]
        ],
        "reference": table["reference"],
        "named": [(sentence_case(name.replace("_", " ")), row) for name, row in named.items() if row],
    }


def p_in_words(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def crossed(report: Report) -> list[dict[str, Any]]:
    """Intersections, by selection rate only: they are exploratory."""
    found = []
    for table in report["intersections"]:
        ratios = {row["group"]: row for row in table["impact_ratios"]}
        rows = [
            {**group, "rate": group["metrics"]["selection_rate"], "ratio": ratios.get(group["name"])}
            for group in table["groups"]
        ]
        incomplete = table.get("incomplete", False)
        found.append({"name": " × ".join(table["attributes"]), "rows": rows, "incomplete": incomplete})
    return found


def gaps(report: Report) -> list[dict[str, str]]:
    """What the report could not test, and why, with metrics in plain words."""
    found = []
    for gap in report["not_testable"]:
        why = re.sub(r"\b[a-z]+(_[a-z0-9]+)+\b", lambda seen: WORDS.get(seen[0], seen[0]), gap["why"])
        found.append({"what": gap["what"], "why": why})
    withheld = report.get("withheld") or {}
    why = f"withheld whole, because of combinations of fewer than {withheld.get('least')} rows"
    return found + [{"what": name, "why": why} for name in withheld.get("tables", ())]


def side_by_side(one: Report, other: Report) -> list[dict[str, Any]]:
    """Selection rate and impact ratio of each group in two reports, in the order historical, model."""
    historical, model = (one, other) if one["source"] == "historical" else (other, one)
    left, right = rates_by_group(historical), rates_by_group(model)
    return [{"group": name, "historical": left[name], "model": right[name]} for name in left if name in right]


def versions(old: Report, new: Report, pairs: Report | None) -> list[dict[str, Any]]:
    """Two versions side by side, attribute by attribute: each group's rate, ratio and verdict, and what has changed.

    The change of a rate has an interval only from `pairs`, a comparison report: both are about the same rows, and
    intervals of independent samples do not hold for them.
    """
    moved = {group["name"]: group for table in (pairs or {}).get("attributes", ()) for group in table["groups"]}
    sides = [(rates_by_group(report), verdicts_by_group(report)) for report in (old, new)]
    found = []
    for table in new["attributes"]:
        rows = []
        for group in table["groups"]:
            name = group["name"]
            if name not in sides[0][0]:
                continue
            was, now = (rates[name] for rates, _ in sides)
            rows.append({
                "group": name, "rows": group["count"], "old": was, "new": now,
                "verdicts": [verdicts.get(name, "not_tested") for _, verdicts in sides],
                "rate_change": moved[name]["difference"] if name in moved else change(was["rate"], now["rate"]),
                "ratio_change": change(was["ratio"], now["ratio"]),
                "p": p_in_words(moved[name]["p_value_corrected"]) if name in moved else "–",
            })  # fmt: skip
        found.append({"name": " × ".join(table["attributes"]), "rows": rows})
    return found


def change(was: Report | None, now: Report | None) -> dict[str, Any]:
    """The plain difference, without an interval."""
    known = was and now and was["value"] is not None and now["value"] is not None
    return {"value": now["value"] - was["value"] if known and was and now else None, "low": None, "high": None}


def verdicts_by_group(report: Report) -> dict[str, str]:
    return {group["group"]: group["verdict"] for found in report["result"]["attributes"] for group in found["groups"]}


def moves(report: Report) -> list[dict[str, Any]]:
    """A comparison report's groups, attribute by attribute."""
    found = []
    for table in [{"attributes": ["all rows"], "groups": [report["overall"]]}, *report["attributes"]]:
        rows = [
            {**group, "p": p_in_words(group.get("p_value_corrected", group["p_value"]))} for group in table["groups"]
        ]
        found.append({"name": " × ".join(table["attributes"]), "rows": rows})
    return found


def rates_by_group(report: Report) -> dict[str, dict[str, Any]]:
    found = {}
    for table in report["attributes"]:
        ratios = {row["group"]: row for row in table["impact_ratios"]}
        for group in table["groups"]:
            found[group["name"]] = {"rate": group["metrics"]["selection_rate"], "ratio": ratios.get(group["name"])}
    return found


def abreast(groups: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(groups), ABREAST):
        yield groups[start : start + ABREAST]


def sentence_case(words: str) -> str:
    return words[:1].upper() + words[1:]
