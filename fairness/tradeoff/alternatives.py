"""A search for less discriminatory alternatives among the versions of a model: their bias reports on the same data.

Nothing is computed anew: accuracy and selection rates of the model's own decisions stand in the reports already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairness.reports import content_of, reports
from fairness.services import BIAS
from fairness.tradeoff.curves import undominated
from fairness.tradeoff.presenting import scatter
from ledger.refusals import Refusal
from registry.models import Evidence, Model

# Reports are read from storage one by one.
MOST = 40


def alternatives(model: Model, viewer: Any) -> list[dict[str, Any]]:
    """For each dataset and attribute with reports on at least two versions: the versions, and where they lie.

    The newest report of each version on each dataset counts. Reports whose file cannot be read are left out.
    """
    rows = reports().visible_to(viewer).filter(kind=BIAS, withdrawn_at=None, version__model=model)
    newest: dict[tuple[int, int], Evidence] = {}
    for evidence in rows.filter(summary__source="model", dataset__isnull=False)[:MOST]:
        assert evidence.dataset_id is not None
        newest.setdefault((evidence.dataset_id, evidence.version_id), evidence)
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for (dataset, _), evidence in newest.items():
        for attribute, row in read(evidence):
            found.setdefault((dataset, attribute), []).append(row)
    return [compared(rows) for _, rows in sorted(found.items()) if len(rows) > 1]


def read(evidence: Evidence) -> Iterable[tuple[str, dict[str, Any]]]:
    """Attribute by attribute what one report says, where it has both numbers."""
    try:
        report = content_of(evidence)
        accuracy = report["overall"]["metrics"]["accuracy"]
        tables = [(table, spread(table)) for table in report["attributes"]]
    except (Refusal, ValueError, KeyError, TypeError):
        return
    for table, row in tables:
        if row and row["difference"] and accuracy["value"] is not None:
            yield table["attributes"][0], {
                "evidence": evidence, "version": evidence.version, "attribute": table["attributes"][0],
                "name": f"Version {evidence.version.number}", "accuracy": accuracy["value"], "accuracy_seen": accuracy,
                "difference": row["difference"]["value"], "difference_seen": row["difference"],
                "ratio_seen": row["ratio"], "verdict": report["result"]["verdict"],
            }  # fmt: skip


def spread(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How far selection rates of the groups lie apart."""
    found: Mapping[str, Any] | None = next((row for row in table["between"] if row["metric"] == "selection_rate"), None)
    return found


def compared(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One attribute of one dataset: versions by number, which of them no other beats, and the drawing."""
    rows.sort(key=lambda row: row["version"].number)
    best = undominated(rows)
    first = rows[0]
    heading = f"{first['evidence'].dataset}, groups by {first['attribute']}"
    return {
        "heading": heading, "dataset": first["evidence"].dataset, "attribute": first["attribute"],
        "rows": [{**row, "front": at} for row, at in zip(rows, best, strict=True)],
        "plot": scatter(f"Versions by accuracy and difference of selection rates: {heading}", [("Versions", rows)]),
    }  # fmt: skip
