"""Finding reports among the evidence."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.shortcuts import get_object_or_404

from fairness import matching
from fairness.leaving import abridged
from fairness.selftest.models import SelfTest
from fairness.services import BIAS, COMPARISON, KINDS, SUBMITTED
from registry import storage
from registry.models import Evidence

MOST = 100
# What a page or paper of a report is about: a self-test stands in for evidence there.
Shown = Evidence | SelfTest


def reports() -> Any:
    """Evidence of the kinds that are made here, newest first, with all that a page says of it."""
    related = ("version__model__team", "artifact", "produced_by", "dataset__artifact", "dataset__deletion")
    return Evidence.objects.filter(kind__in=KINDS).select_related(*related)


def visible_report(user: Any, pk: int) -> Evidence:
    """Raises Http404."""
    evidence: Evidence = get_object_or_404(reports().visible_to(user), pk=pk)
    return evidence


def content_of(evidence: Shown) -> dict[str, Any]:
    """The report, from bytes checked against their digest. Raises Refusal `artifact_missing` or `artifact_damaged`."""
    assert evidence.artifact is not None, "it was computed"
    report: dict[str, Any] = json.loads(storage.read(evidence.artifact))
    return report


def outline_of(evidence: Shown) -> str:
    """The digest of what another machine has to find too: the whole report without its figures. Raises the same."""
    assert evidence.artifact is not None, "it was computed"
    return matching.digest(storage.read(evidence.artifact))


def leaving(evidence: Shown) -> dict[str, Any]:
    """The report as it leaves the portal, without small groups. Raises as `content_of` does."""
    return abridged(content_of(evidence), settings.SMALL_CELL_SIZE)


def beside(evidence: Shown) -> Evidence | None:
    """The newest bias report on the same version and data that looks at the other decisions (recorded or made here)."""
    if evidence.summary.get("source") == SUBMITTED:
        return None
    other = "historical" if evidence.summary.get("source") == "model" else "model"
    same = reports().filter(kind=BIAS, version=evidence.version_id, dataset=evidence.dataset_id, withdrawn_at=None)
    found: Evidence | None = same.filter(summary__source=other).first()
    return found


def of_other_versions(evidence: Evidence, user: Any) -> list[Evidence]:
    """The newest bias report on each other version of the model whose decisions are made on the same data."""
    if evidence.kind != BIAS or evidence.summary.get("source") != "model":
        return []
    same = reports().visible_to(user).filter(kind=BIAS, dataset=evidence.dataset_id, withdrawn_at=None)
    found = same.filter(version__model=evidence.version.model_id, summary__source="model")
    newest: dict[int, Evidence] = {}
    for each in found.exclude(version=evidence.version_id)[:MOST]:
        newest.setdefault(each.version_id, each)
    return sorted(newest.values(), key=lambda each: -each.version.number)


def pairs_of(old: Evidence, new: Evidence) -> Evidence | None:
    """The newest comparison of the two versions that bias reports are about, on their data."""
    same = reports().filter(kind=COMPARISON, version=new.version_id, dataset=new.dataset_id, withdrawn_at=None)
    found: Evidence | None = same.filter(summary__other=str(old.version_id)).first()
    return found
