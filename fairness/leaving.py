"""A report as it leaves the house: without small groups, and without what would give them away.

The stored report stays as it is: its digest is what signatures bind. What is made from this copy of it are documents,
tables and pages for outsiders. Plain dicts in, plain dicts out; what is withheld is None where a number was.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairness.suppression import Group, Groups, pattern

Report = Mapping[str, Any]
# Publications that a law demands in full, by the name of their schema: 6 RCNY § 5-303 wants every category's numbers.
EXEMPT = ("countersign.ll144/",)
WITHHELD = "withheld"
# Parts whose figures of all groups hang together so closely that they are left out whole once a group is withheld.
FURTHER = {"scores": "scores by group", "errors": "errors by group", "classes": "classes by group"}
RELATIVE = ("between", "to_reference", "impact_ratios")
COMPARED = ("value", "low", "high", "detectable")
FIGURE = re.compile(r"\d")


def abridged(report: Report, least: int) -> dict[str, Any]:
    """The report without groups of fewer than `least` rows; all of it with 1 or less, or where a law wants it whole."""
    found: dict[str, Any] = copy.deepcopy(dict(report))
    if least <= 1 or report["schema"].startswith(EXEMPT):
        return found
    if report["schema"].startswith("countersign.tradeoff/"):
        return of_counts(found, least)
    names = set[str]()
    for table in found.get("attributes", ()):
        names |= of_table(table, least)
    if report["schema"].startswith("countersign.explanation/"):
        names |= of_samples(found["groups"], least)
    gone = of_crossings(found, least, names)
    if names:
        gone += [words for part, words in FURTHER.items() if found.pop(part, None)]
    thinned = of_bins(found.get("scores", {}).get("tables", ()), least)
    gone += of_memberships(found, least)
    of_result(found, names, least)
    blank(found, frozenset(names))
    if names or gone or thinned:
        found[WITHHELD] = {"least": least, "tables": gone, "sentence": sentence(least)}
    return found


def of_counts(found: dict[str, Any], least: int) -> dict[str, Any]:
    """A trade-off report, which tells of single groups only how many rows they have."""
    groups = [*found["groups"], *found["left_out"]]
    hidden = pattern({(group["name"],): group["rows"] for group in groups}, least).hidden
    for group in groups:
        if (group["name"],) in hidden:
            group["rows"] = None
    if hidden:
        found[WITHHELD] = {"least": least, "tables": [], "sentence": sentence(least)}
    return found


def sentence(least: int) -> str:
    return (
        f"Groups of fewer than {least} rows are withheld in this copy, lest the numbers of a few give them away, "
        "and with them as many other groups as it takes to keep those from being computed from the rest. The stored "
        "report, whose digest is given, is whole."
    )


def of_table(table: dict[str, Any], least: int) -> set[str]:
    """Mark an attribute's withheld groups and take out what compares groups with them. Their names."""
    hidden = {group["name"] for group in table["groups"] if key_of(group) in hidden_of(table["groups"], least)}
    if hidden:
        for group in table["groups"]:
            if group["name"] in hidden:
                group[WITHHELD] = True
            # Corrected over all groups, and so a function of those that are withheld.
            if "p_value_corrected" in group:
                group["p_value_corrected"] = None
        # Extremes and ratios are functions of all groups' rates and sizes.
        table.update({name: [] for name in RELATIVE if name in table})
        if "named" in table:
            table["named"] = {}
    return hidden


def hidden_of(groups: Sequence[Report], least: int) -> Groups:
    return pattern({key_of(group): group["count"] for group in groups}, least).hidden


def key_of(group: Report) -> tuple[str, ...]:
    return tuple(group.get("values") or (group["name"],))


def of_samples(groups: Sequence[dict[str, Any]], least: int) -> set[str]:
    """The withheld groups of an explanation, whose rows are a sample."""
    names = set[str]()
    for attribute in dict.fromkeys(group["attribute"] for group in groups):
        own: dict[Group, int] = {
            (group["group"],): group["rows"] for group in groups if group["attribute"] == attribute
        }
        names |= {key[0] for key in pattern(own, least).hidden}
    for group in groups:
        if group["group"] in names:
            group.update({WITHHELD: True, "too_few": True, "features": []})
    return names


def of_crossings(report: dict[str, Any], least: int, names: set[str]) -> list[str]:
    """Take withheld combinations out of the intersections: which of them occur is not told either."""
    kept, gone = [], []
    for table in report.get("intersections", ()):
        hidden = hidden_of(table["groups"], least)
        own = {group["name"] for group in table["groups"] if key_of(group) in hidden}
        if len(own) == len(table["groups"]):
            gone.append(" × ".join(table["attributes"]))
            continue
        if own:
            table["groups"] = [group for group in table["groups"] if group["name"] not in own]
            table.update({name: [] for name in RELATIVE}, named={}, incomplete=True)
        kept.append(table)
        names |= own
    if "intersections" in report:
        report["intersections"] = kept
    return gone


def of_bins(tables: Sequence[Report], least: int) -> bool:
    """Take the numbers out of bins of calibration with few rows, and of as many others as it takes; whether any."""
    any_hidden = False
    for table in tables:
        bins: dict[Group, dict[str, Any]] = {
            (group["name"], str(row["up_to"])): row
            for group in table["groups"]
            for row in group.get("calibration", {}).get("bins", ())
            if row["count"]
        }
        hidden = pattern({key: row["count"] for key, row in bins.items()}, least).hidden if bins else frozenset()
        for key in hidden:
            bins[key].update(dict.fromkeys(("count", "predicted", "observed", "low", "high")))
        any_hidden |= bool(hidden)
    return any_hidden


def of_memberships(report: dict[str, Any], least: int) -> list[str]:
    """Take the section on group-membership probabilities out whole where a group of fewer rows is to be expected."""
    section = report.get("memberships")
    if not section or min(group["expected"] for group in section["groups"]) >= least:
        return []
    del report["memberships"]
    for each in [report["result"], *report["result"].get("further", ())] if not report["attributes"] else ():
        each["sentence"] = f"Verdict: {each['verdict'].replace('_', ' ')}. Its numbers are withheld."
    return ["groups by probability of membership"]


def of_result(report: dict[str, Any], names: set[str], least: int) -> None:
    """Comparisons with a withheld group go with it, and so do the sentences that tell of them."""
    result = report["result"]
    for found in result.get("attributes", ()):
        hidden = [group for group in found["groups"] if group["group"] in names]
        compared = any(group["value"] is not None for group in hidden)
        if compared:
            for group in found["groups"]:
                group.update({name: None for name in COMPARED if name in group})
        if compared or any(name in found["sentence"] for name in names):
            told = f"Verdict by {found['attribute']}: {found['verdict'].replace('_', ' ')}. Its numbers are withheld."
            if result["sentence"] == found["sentence"]:
                result["sentence"] = told
            found["sentence"] = told
        for group in hidden:
            group["verdict"] = WITHHELD
    for warning in report.get("warnings", ()):
        if warning["code"] == "many_unknown" and any(counted(warning["sentence"], name) for name in names):
            warning["sentence"] = "For some rows an attribute is unknown; how many is withheld."
    if "not_testable" in report:
        gaps = [gap | ({"why": WITHHELD} if gap["what"] in names else {}) for gap in report["not_testable"]]
        report["not_testable"] = [gap for at, gap in enumerate(gaps) if gap not in gaps[:at]]


def counted(words: str, name: str) -> bool:
    """Whether a sentence about missing values is about the attribute of this group."""
    return name.endswith(" = unknown") and words.startswith(name.removesuffix(" = unknown"))


def blank(value: Any, names: frozenset[str]) -> None:
    """Take the numbers out of every row that names a withheld group, in this and in whatever part comes later."""
    for row in rows_of(value):
        if not names.isdisjoint(word for word in row.values() if isinstance(word, str)) or row.get(WITHHELD) is True:
            row.update({name: emptied(inner, names) for name, inner in row.items()})
    for part in dicts_of(value):
        for name, inner in part.items():
            if isinstance(inner, str) and inner not in names and any(one in inner for one in names):
                part[name] = "What it says of a withheld group is left out." if " " in inner else inner


def dicts_of(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from dicts_of(inner)


def rows_of(value: Any) -> Iterator[dict[str, Any]]:
    """Every dict in which no rows lie: a table names its reference group, and is more than a row about it."""
    return (found for found in dicts_of(value) if not any(map(rows_in, found.values())))


def rows_in(value: Any) -> bool:
    """Whether there are dicts in a list anywhere in this."""
    if isinstance(value, list):
        return any(isinstance(one, dict) for one in value)
    return isinstance(value, dict) and any(map(rows_in, value.values()))


def emptied(value: Any, names: frozenset[str]) -> Any:
    """The same without numbers; words stay where they are no sentence with figures."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return None
    if isinstance(value, str):
        return "withheld" if " " in value and FIGURE.search(value) and value not in names else value
    if isinstance(value, dict):
        return {name: emptied(inner, names) for name, inner in value.items()}
    return [emptied(inner, names) for inner in value]
