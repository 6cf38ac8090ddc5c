"""The manifest that records make: what is frozen when somebody asks, and computed anew whenever the gate is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from accounts.models import User
from approvals import workflow
from approvals.findings import reading
from approvals.models import FindingStep, PolicyVersion, RiskAcceptance
from approvals.workflow.manifest import CHANGE_FORMAT, FIRST_FORMAT, FORMAT, PINNED_FORMAT
from registry.models import Evidence, Version


def ids(accounts: Iterable[User]) -> frozenset[str]:
    return frozenset(str(account.opaque_id) for account in accounts)


def as_item(evidence: Evidence) -> workflow.EvidenceItem:
    summary = evidence.summary
    rule = summary.get("decision_rule")
    return workflow.EvidenceItem(
        id=str(evidence.pk),
        kind=evidence.kind,
        title=evidence.title,
        provenance=evidence.provenance,
        source=summary.get("source") or "",
        verdict=summary.get("verdict") or "",
        artifact=summary.get("artifact") or "",
        decision_rule=workflow.manifest_digest(rule) if rule else "",
        dataset=summary.get("dataset_digest") or "",
        registered_dataset=evidence.dataset.artifact.digest if evidence.dataset else "",
        says=summary.get("sentence") or "",
        withdrawn=evidence.withdrawn_at is not None,
        at=evidence.created_at,
        frame=summary.get("frame"),
    )


def manifest_of(
    version: Version, evidence: Sequence[Evidence], contributors: Collection[User], policy: PolicyVersion, *,
    environment: str, use: str, request_id: int | None, number: int, submitter: User, form: str = "",
    steps: Sequence[FindingStep] = (), acceptances: Sequence[RiskAcceptance] = (),
    change: dict[str, Any] | None = None, items: Mapping[int, workflow.EvidenceItem] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The manifest of these records as they are now, as plain JSON in the form of a format, or of today's.

    People are in it by their opaque ids; of findings, accepted risks and `change`, how much is new, what was so when
    they were frozen. `items` are the evidence as values for the rules, where the caller has them.
    """
    model, rows, pins = version.model, sorted(evidence, key=lambda each: each.pk), version.pinned
    rules = policy.applying(model.tier, environment, use, change["kind"] if change else workflow.HIGHEST)
    known = [items[each.pk] if items else as_item(each) for each in rows]
    datasets = {each.dataset.pk: each.dataset for each in rows if each.dataset is not None}
    return {
        "format": form or (CHANGE_FORMAT if change else PINNED_FORMAT if pins else FORMAT),
        "request": str(request_id) if request_id is not None else None,
        "revision": number,
        "submitted_by": str(submitter.opaque_id),
        "environment": environment,
        "use": use,
        "model": {
            "id": str(model.pk),
            "slug": model.slug,
            "risk_tier": model.tier,
            "risk_tier_set_by": str(model.risk_tier_set_by.opaque_id) if model.risk_tier_set_by else None,
        },
        "version": {
            "id": str(version.pk),
            "number": version.number,
            "registered_by": str(version.registered_by.opaque_id),
            "contributors": sorted(ids(contributors)),
        },
        "artifact": {"digest": version.artifact.digest, "size": version.artifact.size, "filename": version.filename},
        "decision_rule": version.decision_rule,
        "features": version.features,
        "signature": workflow.manifest_digest(version.signature),
        "card": version.card_digest,
        "evidence": [
            {
                "id": item.id,
                "kind": item.kind,
                "title": item.title,
                "digest": row.artifact.digest,
                "provenance": item.provenance,
                "produced_by": str(row.produced_by.opaque_id),
                "source": item.source,
                "verdict": item.verdict,
                "dataset": str(row.dataset_id) if row.dataset_id else None,
                "summary": workflow.manifest_digest(row.summary),
            }
            for item, row in zip(known, rows, strict=True)
        ],
        "datasets": [datasets[pk].record for pk in sorted(datasets)],
        "obligations": [
            *([workflow.UNVERIFIED.code] if pins else []),
            *(each.code for each in workflow.limitations(rules, known)),
        ],
        "policy": {"slug": policy.policy.slug, "version": policy.number, "digest": policy.digest},
        **({} if form == FIRST_FORMAT else reading.manifest_parts(steps, acceptances)),
        **({"pinned": {**pins.document, "says": version.upstream_says}} if pins else {}),
        **({"material_change": change} if change else {}),
    }
