"""Finding reports among the evidence."""

from __future__ import annotations

import json
from typing import Any

from django.shortcuts import get_object_or_404

from fairness.services import BIAS, KINDS, SUBMITTED
from registry import storage
from registry.models import Evidence


def reports() -> Any:
    """Evidence of the kinds that are made here, newest first, with all that a page says of it."""
    related = ("version__model__team", "artifact", "produced_by", "dataset__artifact", "dataset__deletion")
    return Evidence.objects.filter(kind__in=KINDS).select_related(*related)


def visible_report(user: Any, pk: int) -> Evidence:
    """Raises Http404."""
    evidence: Evidence = get_object_or_404(reports().visible_to(user), pk=pk)
    return evidence


def content_of(evidence: Evidence) -> dict[str, Any]:
    """The report, from bytes checked against their digest. Raises Refusal `artifact_missing` or `artifact_damaged`."""
    report: dict[str, Any] = json.loads(storage.read(evidence.artifact))
    return report


def beside(evidence: Evidence) -> Evidence | None:
    """The newest bias report on the same version and data that looks at the other decisions (recorded or made here)."""
    if evidence.summary.get("source") == SUBMITTED:
        return None
    other = "historical" if evidence.summary.get("source") == "model" else "model"
    same = reports().filter(kind=BIAS, version=evidence.version_id, dataset=evidence.dataset_id, withdrawn_at=None)
    found: Evidence | None = same.filter(summary__source=other).first()
    return found
