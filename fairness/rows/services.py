"""Opening one explained row. Its values are a person's, so each look is recorded on the dataset that it comes from."""

from __future__ import annotations

import json
from typing import Any

from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry import storage
from registry.models import Artifact, Dataset, Evidence
from registry.processing.opening import check_open


def count(evidence: Evidence) -> int:
    """How many rows can be opened: none of a report that keeps none."""
    return int(evidence.summary.get("rows", {}).get("count", 0))


def open_row(*, by: Actor, evidence: Evidence, number: int) -> dict[str, Any]:
    """The row with its base value, after it was recorded who opened it; rows count from 1.

    Raises Denied, Refusal `rows_closed`, `data_deleted`, `row_unknown`, `artifact_missing` or `artifact_damaged`.
    """
    assert evidence.dataset is not None, "an explanation is made with a dataset"
    artifact = record_row_opened(by=by, dataset=evidence.dataset, evidence=evidence, number=number)
    kept = json.loads(storage.read(artifact))
    return {"base_value": kept["base_value"], "cut": kept["cut"], **kept["rows"][number - 1]}


@governed(permission="registry.read_rows", event="explained_row.opened", on="dataset", lock=False)
def record_row_opened(*, by: Actor, dataset: Dataset, evidence: Evidence, number: int) -> Done[Artifact]:
    check_open(by, dataset)
    if not 1 <= number <= count(evidence):
        raise Refusal("row_unknown", f"This report has rows 1 to {count(evidence)}.", "number")
    rows = evidence.summary["rows"]
    facts = {"evidence": str(evidence.pk), "row": number, "artifact": rows["digest"]}
    return Done(Artifact.objects.get(digest=rows["digest"]), facts=facts)
