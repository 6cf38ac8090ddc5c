"""What a version is compared with: the last approval for its model, environment and use, as it was signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from approvals import dossier as records
from approvals import workflow
from approvals.models import ReviewRequest, Revision
from ledger.canonical import timestamp
from ledger.events import database_time

Place = tuple[str, str]


@dataclass(frozen=True)
class Baseline:
    """An approval, and until when it holds; `why` it counts for nothing, or ""."""

    revision: Revision
    number: int
    until: datetime | None
    why: str


@dataclass(frozen=True)
class Comparison:
    """For pages: how much is new, against which version in which request, where there is one."""

    kind: str
    sections: tuple[str, ...]
    request: int | None = None
    number: int | None = None
    why: str = ""
    environment: str = ""
    use: str = ""

    @property
    def title(self) -> str:
        return workflow.CHANGE_TITLES[self.kind]

    @property
    def words(self) -> str:
        return ", ".join(name.replace("_", " ") for name in self.sections)


def baselines(model: int, at: datetime, *places: Place) -> dict[Place, Baseline]:
    """The last approval for each environment and use (for these only, if any are given). A fixed number of queries."""
    rows = ReviewRequest.objects.filter(version__model=model, state__in=workflow.APPROVED)
    if places:
        rows = rows.filter(environment__in={each[0] for each in places}, use__in={each[1] for each in places})
    newest = rows.order_by("environment", "use", "-closed_at", "-id").distinct("environment", "use")
    found = records.open_dossiers(list(newest)).values()
    return {(each.request.environment, each.request.use): baseline(each, at) for each in found}


def baseline(found: records.Dossier, at: datetime) -> Baseline:
    """Whether an approval holds for what was signed; what has changed since is just what is to be compared."""
    signed = workflow.standing(replace(found.case, computed=found.case.frozen), at)
    why = ""
    if found.revocation is not None:
        why = "it was revoked"
    elif signed.state == "expiring":
        why = "it ends within 30 days"
    elif signed.state != "active":
        why = f"it is {signed.state}"
    elif workflow.manifest_digest(found.revision.manifest) != found.revision.digest:
        why = "its manifest is not what was signed"
    elif signed.conditional:
        why = "it has conditions"
    elif signed.weighed.lifted:
        why = "it rests on an accepted risk"
    return Baseline(found.revision, found.request.version.number, signed.valid_until, why)


def compared(against: Baseline | None, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The section `material_change` of a manifest: what is new in it, and which approvals that rests on until when."""
    if against is None or against.why or against.until is None:
        return {"kind": workflow.HIGHEST, "sections": [], "compared_with": None, "rests_on": [], "until": None}
    told = workflow.material_change(against.revision.manifest, manifest)
    rests = told.kind != workflow.HIGHEST
    before = against.revision
    return {
        "kind": told.kind,
        "sections": list(told.sections),
        "compared_with": {"request": str(before.request_id), "version": against.number, "digest": before.digest},
        "rests_on": [str(before.request_id), *map(str, before.rests_on)] if rests else [],
        "until": timestamp(against.until) if rests else None,
    }


def frozen_change(request: ReviewRequest, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any] | None:
    """What is frozen of the manifest that `make` gives; None where no rule of the policy asks how much is new."""
    if not request.policy_version.rules.weighs_change:
        return None
    place = (request.environment, request.use)
    return compared(baselines(request.version.model_id, database_time(), place).get(place), make())


def shown(against: Baseline | None, manifest: Mapping[str, Any], place: Place) -> Comparison:
    """What would be frozen now, with why an approval that is there does not count."""
    told = compared(against, manifest)
    request = against.revision.request_id if against else None
    number, why = (against.number, against.why) if against else (None, "")
    return Comparison(told["kind"], tuple(told["sections"]), request, number, why, *place)


def of_request(found: records.Dossier, at: datetime) -> Comparison | None:
    """How much is new: as it was frozen; else, while the request is under way, as it is now."""
    request, told = found.request, found.revision.material_change
    place = (request.environment, request.use)
    if told is not None:
        before = told["compared_with"] or {}
        number = int(before["request"]) if before else None
        return Comparison(told["kind"], tuple(told["sections"]), number, before.get("version"), "", *place)
    if not request.is_open:
        return None
    return shown(baselines(request.version.model_id, at, place).get(place), found.manifest, place)
