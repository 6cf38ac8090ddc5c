"""Policies for tests: documents of format 6, proposed by one person and published by another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVERYBODY = ["submitter", "owner", "contributors", "evidence_producers", "earlier_signers"]
ALWAYS: dict[str, Any] = {"tiers": [], "environments": [], "uses": [], "material_change": ""}


def a_frame(**changes: Any) -> dict[str, Any]:
    """The house's default test on all attributes, of rows for testing."""
    given = {
        "rules": [a_test()], "correction": "bonferroni", "attributes": [], "positive": "",
        "purposes": ["test", "out_of_time"], "exclusions": [], "weights": "none",
    }  # fmt: skip
    return {**given, **changes}


def a_test(**changes: Any) -> dict[str, Any]:
    given = {
        "metric": "selection_rate", "comparison": "impact_ratio", "bound": 0.8, "confidence": 0.95,
        "minimum_group_size": 30, "test_unknown": False,
    }  # fmt: skip
    return {**given, **changes}


def told(**changes: Any) -> dict[str, Any]:
    """What a report tells of itself that fits `a_frame`."""
    given = {
        "rules": [a_test()], "correction": "bonferroni", "attributes": ["group"], "marked": ["group"],
        "reference": {}, "positive": "1", "purpose": "test", "exclusions": [], "weights": "none",
    }  # fmt: skip
    return {**given, **changes}


def a_rule(slug: str = "bias-model", **changes: Any) -> dict[str, Any]:
    given = {
        "slug": slug, "title": "Bias report", "kind": "bias_report", "source": "model", "provenance": "computed",
        "bound_to": ["artifact", "decision_rule", "dataset"], "verdicts": "acknowledge", "max_age_days": None,
        "when": ALWAYS, "runs": "chosen", "frame": None,
    }  # fmt: skip
    return {**given, **changes}


def a_requirement(slug: str = "approval", **changes: Any) -> dict[str, Any]:
    given = {
        "slug": slug, "title": slug.capitalize(), "role": "approver", "count": 1, "distinct_from": EVERYBODY,
        "meaning": "I approve this model for this use.", "scope": "team", "when": ALWAYS, "carry_over_if": [],
    }  # fmt: skip
    return {**given, **changes}


def a_stage(*requirements: dict[str, Any], slug: str = "approval") -> dict[str, Any]:
    return {"slug": slug, "title": slug.capitalize(), "requirements": list(requirements) or [a_requirement()]}


def a_document(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "format": "countersign-policy/6", "slug": "strict", "title": "Strict", "version": 1,
        "summary": "One approver signs.", "frameworks": [], "valid_days": 365, "max_pinned_days": None,
        "factor": "password", "deactivated_signer": "keeps", "conditions": False, "anchor_outside": False,
        "findings": {"block": ["critical", "high"], "overdue": "suspends"}, "emergency": None,
        "max_lease_seconds": None,
        "evidence": [a_rule()], "stages": [a_stage()],
    }  # fmt: skip
    return {**given, **changes}


def a_proposal(cast: Any, document: dict[str, Any] | None = None, **changes: Any) -> Any:
    from approvals.publishing import propose_version

    given = {"document": document or a_document(), "note": "The board asked for it.", **changes}
    return propose_version(by=cast.policy_admin, **given)


def a_policy(cast: Any, document: dict[str, Any] | None = None, *, binds_now: bool = False, **bound: Any) -> Any:
    """The published version; with `team`, `use` or `tier`, or `everywhere=True`, bound to that."""
    from approvals.models import PolicyVersion
    from approvals.publishing import publish

    proposal = a_proposal(cast, document, binds_now=binds_now)
    publish(by=cast.risk_officer, proposal=proposal, digest=proposal.digest)
    version = PolicyVersion.objects.select_related("policy").get(digest=proposal.digest)
    if bound:
        bound.pop("everywhere", None)
        a_binding(cast, version.policy, **bound)
    return version


def a_binding(cast: Any, policy: Any, *, team: Any = None, use: str = "", tier: str = "") -> Any:
    from approvals.publishing import propose_binding, publish

    scope = {"team": team, "use": use, "tier": tier}
    proposal = propose_binding(by=cast.policy_admin, policy=policy, note="As the board decided.", **scope)
    return publish(by=cast.risk_officer, proposal=proposal)


def a_template(name: str) -> dict[str, Any]:
    import approvals

    path = Path(approvals.__file__).parent / "policies" / "templates" / f"{name}.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
