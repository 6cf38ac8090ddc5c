"""An explanation report made ready for a page or a document: plain dicts, nothing computed anew.

Reports of earlier versions lack some parts; those are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from fairness import plot
from fairness.explanation import drawing

Report = Mapping[str, Any]
CLEARLY = 0.2
TOLD = 5
PROXIES, REASONS = 5, 4
# Of all attribution: what a feature has to move for its telling of groups to matter.
MATTERS = 0.05
OUTPUT = "output"


def parts(report: Report) -> dict[str, Any]:
    """Everything that a page shows of a report beyond its own words."""
    return {
        "plot": importance(report),
        "features": features(report),
        "groups": by_group(report),
        "residual": residual(report),
        "scale": scale(report),
        "swarm": drawing.swarm(report["swarm"]) if report.get("swarm") else None,
        "dependence": [{**found, "plot": drawing.dependence(found)} for found in report.get("dependence", ())],
        "interactions": interactions(report),
        "checks": checks(report),
        "proxies": proxies(report),
        "reasons": reasons(report),
    }


def features(report: Report) -> list[dict[str, Any]]:
    """Each feature with the way in which it moves the score, in words."""
    return [{**row, "way": way(row["correlation"])} for row in report["features"]]


def way(correlation: float | None) -> str:
    if correlation is None:
        return "–"
    if abs(correlation) < CLEARLY:
        return "no one way"
    return "higher values raise it" if correlation > 0 else "higher values lower it"


def scale(report: Report) -> str:
    """What attributions are measured in."""
    method = report["method"]
    words: str = method.get("scale_words") or f"the output “{method['output']}” itself"
    return words


def by_group(report: Report) -> list[dict[str, Any]]:
    """Attribute by attribute: each group with what sets its attributions apart from everybody's."""
    found = []
    for attribute, groups in groupby(report["groups"], key=lambda group: group["attribute"]):
        told = [{**group, "told": group["features"][:TOLD]} for group in groups]
        found.append({"heading": f"Groups by {attribute}", "groups": told})
    return found


def residual(report: Report) -> dict[str, str]:
    """How far attributions are from adding up to the scores, in words."""
    found = report["additivity"].items()
    return {name: nothing_or(value) for name, value in found if name != "holds" and value is not None}


def nothing_or(error: float) -> str:
    return "less than 0.000001" if error < 1e-6 else f"{error:.6f}"


def checks(report: Report) -> dict[str, Any] | None:
    """Whether other rows, or another method, would put the features in the same order."""
    if not report.get("stability") or not report.get("shuffled"):
        return None
    moved = {row["feature"]: row for row in report["shuffled"]["features"]}
    rows = [{**row, **moved[row["feature"]]} for row in report["features"]]
    return {**report["stability"], "shuffle_agreement": report["shuffled"]["rank_agreement"], "rows": rows}


def interactions(report: Report) -> dict[str, Any] | None:
    """The pairs of features that act together most strongly, drawn and in numbers; or why there are none."""
    found = report.get("interactions")
    if not found or found["why"]:
        return found or None
    return {
        **found,
        "plot": drawing.pairs(found["pairs"]),
        "residual": {name: nothing_or(value) for name, value in found["residual"].items() if name != "holds"},
        "holds": found["residual"]["holds"],
    }


def proxies(report: Report) -> list[dict[str, Any]]:
    """Attribute by attribute the features that tell its groups apart best, and whether they move the score."""
    total = sum(row["importance"] for row in report["features"]) or 1.0
    share = {row["feature"]: row["importance"] / total for row in report["features"]}
    found = []
    for each in report.get("proxies", ()):
        rows = [
            {**row, "share": share[row["feature"]], "matters": share[row["feature"]] >= MATTERS}
            for row in each["features"][:PROXIES]
        ]
        telling = [row["feature"] for row in rows if row["matters"] and row["tells"] in ("much", "nearly everything")]
        found.append({**each, "features": rows, "sentence": proxy_sentence(each, telling)})
    return found


def proxy_sentence(each: Mapping[str, Any], telling: list[str]) -> str:
    attribute = each["attribute"]
    if not each["features"]:
        return f"Too few rows in at least two groups of {attribute} to say which features tell them apart."
    if not telling:
        return f"No feature that moves the score much tells by itself much about {attribute}."
    verb = "tells" if len(telling) == 1 else "tell"
    return f"The score uses {', '.join(telling)}, which by itself {verb} much about {attribute}."


def reasons(report: Report) -> dict[str, Any] | None:
    """The commonest principal reasons among those who got a no, in plain words, of all and by group."""
    found = report.get("reasons")
    if not found:
        return None
    words = {row["feature"]: row["words"] for row in found["dictionary"]}
    groups = [
        {
            **group,
            "told": [
                {**row, "words": words.get(row["feature"], row["feature"])} for row in group["features"][:REASONS]
            ],
        }
        for group in found["groups"]
    ]
    return {**found, "groups": groups, "fell_back": found["baseline"] != found["baseline_asked"]}


def of_row(report: Report, row: Mapping[str, Any]) -> dict[str, Any]:
    """One row made ready: its waterfall, its features by strength, and what would have turned the answer."""
    ordered = sorted(row["features"], key=lambda f: (-abs(f["attribution"]), f["feature"]))
    told = {each["feature"]: each["words"] for each in (report.get("reasons") or {}).get("dictionary", ())}
    return {
        "plot": drawing.waterfall(row["base_value"], row["features"], row["cut"]),
        "features": [{**f, "shown": drawing.shown(f["value"])} for f in ordered],
        "reasons": [
            {**r, "shown": drawing.shown(r["value"]), "usual_shown": drawing.shown(r["usual"])} for r in row["reasons"]
        ],
        "changes": [
            {
                "feature": c["feature"], "words": told.get(c["feature"], c["feature"]),
                "from": drawing.shown(c["from"]), "to": drawing.shown(c["to"]),
            }
            for c in row["counterfactual"] or ()
        ],
        "scale": scale(report),
        "answer": "yes" if row["yes"] else "no",
        "other": "no" if row["yes"] else "yes",
    }  # fmt: skip


def importance(report: Report) -> dict[str, Any]:
    return plot.of_importance(report)
