"""A model and a version as they stood at a moment. Nothing can be done on these pages but to look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from accounts.models import User
from approvals.asof import REQUEST, answers_at
from approvals.findings import showing as about
from approvals.models import ReviewRequest
from approvals.showing.then import COMPUTED
from audits import asof, timeline
from inference.models import Endpoint
from ledger.canonical import timestamp
from portal.pages.standing import Line, Stand, best
from registry import cards, comparing
from registry.asof import evidence_at, model_at, version_at
from registry.models import Evidence, Model, Version
from registry.views.versions import tensors_of

TABS = ("overview", "evidence", "approvals", "serving", "history")


def model(found: Model, viewer: User, at: datetime) -> dict[str, Any]:
    """What the model's page shows of a moment. Raises Refusal `not_on_record` where it was not there."""
    then, looked = model_at(found, at)
    rows = found.versions.filter(registered_at__lte=at).select_related("model", "artifact", "registered_by")
    versions = list(rows.prefetch_related("evidence").order_by("-number"))
    for version in versions:
        there = evidence_at(version.evidence.all(), at)
        version.documents = sum(each.withdrawn_at is None for each in there)
    requests, unrecorded = requests_at(versions, viewer, at)
    stands = stands_at(versions, requests, at)
    endpoints, intact = endpoints_at(found, viewer, at)
    return {
        **asof.shown(looked, viewer, intact),
        "then_left_out": unrecorded,
        "computed": COMPUTED,
        "model": then,
        "versions": [(version, stands.get(version.pk, [])) for version in versions],
        "stands": best([stand for each in stands.values() for stand in each]),
        "endpoints": endpoints,
        "timeline": timeline.of(found, viewer, until=at),
        "may": {},
    }


def version(found: Version, viewer: User, at: datetime, tab: str) -> dict[str, Any]:
    """What the version's page shows of a moment. Raises Refusal `not_on_record` where it was not there."""
    past, looked = version_at(found, at)
    then = past.version
    evidence = evidence_at(Evidence.objects.filter(version=found).select_related("produced_by", "dataset"), at)
    requests, unrecorded = requests_at([then], viewer, at)
    bound, intact = endpoints_at(found.model, viewer, at)
    endpoints = [each for each in bound if each.version_id == found.pk]
    counts = {"evidence": len(evidence), "approvals": len(requests), "serving": len(endpoints)}
    tab = tab if tab in TABS else TABS[0]
    return {
        **asof.shown(looked, viewer, intact and past.intact),
        "then_left_out": unrecorded,
        "computed": COMPUTED,
        "subject": then, "model": then.model, "contributors": past.contributors,
        "stands": stands_at([then], requests, at).get(then.pk, []),
        "prospect": [Line("waiting", "Nobody had asked for approval by then.")],
        "evidence": evidence, "requests": requests, "endpoints": endpoints,
        "tab": tab, "tabs": tabs_of(then, counts, at),
        "card": cards.rendered(then.card), "rule": comparing.rule_in_words(then.decision_rule),
        "tensors": tensors_of(then.signature),
        "features_note": f"{len(then.features)} in the order in which the model takes them",
        "timeline": timeline.of(found, viewer, *evidence, *requests, until=at),
        **about.of_version(found, at, until=at), "may": {},
    }  # fmt: skip


def requests_at(
    versions: Iterable[Version], viewer: User, at: datetime
) -> tuple[list[ReviewRequest], list[ReviewRequest]]:
    """What had been asked for these versions, in the state of the moment; then what no record was kept of by then."""
    rows = ReviewRequest.objects.visible_to(viewer).filter(version__in=versions, submitted_at__lte=at)
    asked = list(rows.select_related("submitted_by"))
    kept = asof.kept_at(REQUEST, [row.pk for row in asked], at)
    for row in asked:
        if str(row.pk) in kept:
            row.state = kept[str(row.pk)].record["state"]
    return [row for row in asked if str(row.pk) in kept], [row for row in asked if str(row.pk) not in kept]


def endpoints_at(model: Model, viewer: User, at: datetime) -> tuple[list[Endpoint], bool]:
    """The model's endpoints, each with the version that it was bound to; and whether the log agrees with them all."""
    rows = list(Endpoint.objects.visible_to(viewer).filter(model=model))
    kept = asof.kept_at(Endpoint._meta.label_lower, [row.pk for row in rows], at)
    versions = {str(version.pk): version for version in model.versions.select_related("model")}
    found = []
    for row in rows:
        record = kept.get(str(row.pk))
        if record is not None:
            row.version = versions.get(record.record["version"] or "")
            found.append(row)
    return found, all(record.state == "verified" for record in kept.values())


def stands_at(versions: Iterable[Version], requests: Iterable[ReviewRequest], at: datetime) -> dict[int, list[Stand]]:
    """For each version's id the gate's answers of the moment, production first, allowed first."""
    known = {version.pk: version for version in versions}
    found: dict[int, list[Stand]] = defaultdict(list)
    for (pk, _, _), result in answers_at([request.pk for request in requests], at).items():
        found[pk].append(Stand(known[pk], result))
    return {pk: sorted(stands, key=lambda stand: stand.rank) for pk, stands in found.items()}


def tabs_of(version: Version, counts: dict[str, int], at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "label": key.capitalize(),
            "url": f"{version.get_absolute_url()}?{urlencode({'tab': key, 'as_of': timestamp(at)})}",
            "count": counts.get(key),
        }
        for key in TABS
    ]
