"""A policy tried on what was asked for over the last months, before anybody publishes it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db.models import Q
from django.db.models.fields.json import KT

from accounts.models import User
from approvals import workflow
from approvals.dossier import computed
from approvals.models import Decision, ReviewRequest, Revision
from approvals.workflow import EvidenceItem, Past, People
from ledger.events import database_time
from registry.models import Evidence

BACK = timedelta(days=365)
SHOWN = 50


@dataclass(frozen=True)
class DryRun:
    """`stopped` (with why) and `let_through` are at most fifty requests each; the counts are of all."""

    looked_at: int
    stopped_count: int
    let_through_count: int
    stopped: list[tuple[ReviewRequest, workflow.Reason]]
    let_through: list[ReviewRequest]
    since: datetime


def dry_run(policy: workflow.Policy, viewer: User) -> DryRun:
    """What this policy would have done with the requests of the last 365 days that the viewer may see."""
    at = database_time()
    visible = ReviewRequest.objects.visible_to(viewer)
    tried = workflow.tried(policy, pasts(visible.filter(Q(closed_at__gte=at - BACK) | Q(closed_at=None)), at))
    stopped, through = tried.stopped[-SHOWN:], tried.let_through[-SHOWN:]
    rows = ReviewRequest.objects.select_related("version__model").in_bulk([*(pk for pk, _ in stopped), *through])
    return DryRun(
        tried.looked_at, len(tried.stopped), len(tried.let_through),
        [(rows[pk], reason) for pk, reason in reversed(stopped)], [rows[pk] for pk in reversed(through)], at - BACK,
    )  # fmt: skip


def pasts(requests: Any, at: datetime) -> Iterator[Past]:
    """Each request by its last manifest, oldest first. Six queries, however many requests."""
    rows = list(requests.order_by("id").values_list("pk", "state", "closed_at", "version"))
    ids = [row[0] for row in rows]
    frozen = Revision.objects.filter(request__in=ids).order_by("request_id", "-number").distinct("request_id")
    fields = ("request", "manifest_bytes", "digest", "evidence_ids", "submitted_at")
    manifests = {request: (json.loads(bytes(raw)), *rest) for request, raw, *rest in frozen.values_list(*fields)}
    reports: dict[int, list[int]] = defaultdict(list)
    for version, pk in computed({row[3] for row in rows}).values_list("version", "pk"):
        reports[version].append(pk)
    items = items_of({pk for _, _, wanted, _ in manifests.values() for pk in wanted}.union(*reports.values()))
    signed, rejected = signatures_of(ids)
    for pk, state, closed_at, version in rows:
        manifest, digest, wanted, frozen_at = manifests[pk]
        others = [items[each] for each in reports[version] if each not in wanted]
        yield Past(
            id=pk,
            tier=manifest["model"]["risk_tier"],
            environment=manifest["environment"],
            use=manifest["use"],
            at=closed_at or at,
            artifact=manifest["artifact"]["digest"],
            decision_rule=workflow.manifest_digest(manifest["decision_rule"]),
            evidence=tuple(items[each] for each in wanted if each in items),
            people=people_of(manifest),
            signed=tuple((role, who) for role, who, over in signed[pk] if over == digest),
            approved=state in workflow.APPROVED,
            rejected=pk in rejected,
            left_out=tuple(item for item in others if item.at and item.at <= frozen_at),
            # Where no rule asked how much was new, nobody froze it: then all was.
            change=manifest.get("material_change", {}).get("kind", workflow.HIGHEST),
        )


def people_of(manifest: dict[str, Any]) -> People:
    """As it was frozen. The owner is not in a manifest: requirements that leave owners out are tried without that."""
    return People(
        submitter=frozenset({manifest["submitted_by"]}),
        contributors=frozenset({*manifest["version"]["contributors"], manifest["version"]["registered_by"]}),
        evidence_producers=frozenset(each["produced_by"] for each in manifest["evidence"]),
    )


def items_of(wanted: Collection[int]) -> dict[int, EvidenceItem]:
    said = (KT(f"summary__{name}") for name in ("source", "verdict", "artifact", "decision_rule", "dataset_digest"))
    rows = Evidence.objects.filter(pk__in=wanted).values_list(
        "pk", "kind", "title", "provenance", *said, "dataset__artifact__digest", "created_at", "summary__frame"
    )
    digest_of = cache(lambda text: workflow.manifest_digest(json.loads(text)))  # most reports share their rule
    found = {}
    for pk, kind, title, provenance, source, verdict, artifact, rule, dataset, registered, at, frame in rows:
        found[pk] = EvidenceItem(
            str(pk), kind, title, provenance, source or "", verdict or "", artifact or "",
            digest_of(rule) if rule and rule != "{}" else "", dataset or "", registered or "", at=at, frame=frame,
        )  # fmt: skip
    return found


def signatures_of(requests: Collection[int]) -> tuple[dict[int, list[tuple[str, str, str]]], set[int]]:
    """For each request (role, account, digest) of each approval in the order of time; and which were rejected."""
    signed: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    rejected = set()
    rows = Decision.objects.filter(request__in=requests).order_by("id")
    for request, outcome, role, who, digest in rows.values_list(
        "request", "outcome", "judged_by__role", "signer__opaque_id", "digest"
    ):
        if outcome == Decision.Outcome.REJECT:
            rejected.add(request)
        elif outcome in workflow.APPROVING:
            signed[request].append((role, str(who), digest))
    return signed, rejected
