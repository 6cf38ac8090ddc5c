"""What each API route is asked with in the world of `world.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests import worlds
from tests.approvals import policies, standing
from tests.cast import PASSWORD
from tests.fairness import auditing
from tests.house.world import World, judged_day
from tests.inference import world as serving
from tests.notifications import hooks
from tests.registry import sources

# What a route needs beside its path: a JSON body, or for GET a query.
Body = Callable[[World, Any], dict[str, Any]]
BODIES: dict[tuple[str, str], Body | None] = {
    ("api-tokens", "POST"): lambda w, by: {"name": "x", "scopes": ["registry.view_model"], "days": 1},
    ("api-token-revocation", "POST"): None,
    ("api-people", "POST"): lambda w, by: {"name": "Nina Neu", "email": "nina@example.org"},
    ("api-person-deactivation", "POST"): lambda w, by: {"reason": "left us"},
    ("api-person-tokens", "POST"): lambda w, by: {"name": "x", "scopes": ["registry.view_model"], "days": 1},
    ("api-teams", "POST"): lambda w, by: {"name": "Fraud", "slug": "fraud"},
    ("api-grants", "POST"): lambda w, by: {
        "account": w.cast.ci_bot.pk, "role": "reviewer", "team": w.cast.team.pk, "reason": "reads along",
    },
    ("api-grant-revocation", "POST"): lambda w, by: {"reason": "no longer"},
    ("api-grant-recertification", "POST"): None,
    ("api-grant-dropping", "POST"): lambda w, by: {"reason": "no longer"},
    ("api-grant-proposals", "POST"): lambda w, by: {
        "account": w.cast.ci_bot.pk, "role": "reviewer", "team": w.cast.team.pk, "reason": "reads along",
    },
    ("api-grant-proposal-confirming", "POST"): None,
    ("api-grant-proposal-declining", "POST"): lambda w, by: {"reason": "not now"},
    ("api-person-factor-link", "POST"): lambda w, by: {"reason": "lost the phone"},
    ("api-person-link", "POST"): lambda w, by: {"reason": "forgot it"},
    ("api-person-address", "POST"): lambda w, by: {"email": "bot@example.org", "reason": "another desk"},
    ("api-person-credentials", "POST"): lambda w, by: {"reason": "called her"},
    ("api-me-notifications", "PATCH"): lambda w, by: {"ways": {"approved": "digest"}},
    ("api-notification-retry", "POST"): None,
    ("api-webhooks", "POST"): lambda w, by: {
        "name": "Pipeline", "url": f"{hooks.OUTSIDE}2", "kinds": ["approved"], "team": w.cast.team.pk,
    },
    ("api-webhook", "PATCH"): lambda w, by: {"kinds": ["rejected"]},
    ("api-webhook-secret", "POST"): lambda w, by: {},
    ("api-webhook-pausing", "POST"): lambda w, by: {"reason": "Moves house."},
    ("api-webhook-resuming", "POST"): None,
    ("api-webhook-test", "POST"): None,
    ("api-webhook-removal", "POST"): lambda w, by: {"reason": "Not used."},
    ("api-me-address", "POST"): lambda w, by: {"email": "elsewhere@example.org", "password": PASSWORD},
    ("api-requests", "POST"): lambda w, by: {
        "version": w.versions.pk, "environment": "staging", "use": "mortgage-screening", "note": "Please look.",
    },
    ("api-request-revision", "POST"): lambda w, by: {"note": "Changed a word."},
    ("api-request-decisions", "POST"): lambda w, by: {
        "requirement": "validation", "outcome": "approve", "comment": "Looked at it all.",
        "digest": w.requests.latest.digest, "nonce": "none",
    },
    ("api-request-comments", "POST"): lambda w, by: {"text": "Why?"},
    ("api-request-withdrawal", "POST"): lambda w, by: {"reason": "Too early."},
    ("api-request-pack", "POST"): None,
    ("api-request-report", "PUT"): lambda w, by: {"number": 1, "texts": {"conclusion": "Approve it."}},
    ("api-request-report-attachment", "POST"): lambda w, by: {"digest": "sha256:of-nothing"},
    ("api-request-revocation", "POST"): lambda w, by: {"reason": "Found a mistake."},
    ("api-findings", "POST"): lambda w, by: {
        "version": w.versions.pk, "severity": "low", "title": "A trifle", "text": "A word is wrong.",
        "due": str(judged_day()),
    },
    ("api-finding-answers", "POST"): lambda w, by: {"text": "Done, see the report."},
    ("api-finding-reassessments", "POST"): lambda w, by: {"severity": "low", "reason": "Small sums."},
    ("api-finding-closures", "POST"): lambda w, by: {"reason": "Settled."},
    ("api-finding-reopenings", "POST"): lambda w, by: {"reason": "It came back."},
    ("api-request-risk-acceptances", "POST"): lambda w, by: {
        "target": f"finding:{w.findings.pk}", "reason": "Small sums.", "until": str(judged_day()),
        "digest": "sha256:none", "nonce": "none",
    },
    ("api-risk-acceptance-withdrawal", "POST"): lambda w, by: {"reason": "Changed my mind."},
    ("api-reauthentications", "POST"): lambda w, by: {
        "request": w.requests.pk, "digest": w.requests.latest.digest, "password": PASSWORD,
    },
    ("api-gate", "GET"): lambda w, by: {
        "version": w.versions.pk, "environment": "production", "use": "mortgage-screening",
    },
    ("api-delegations", "POST"): lambda w, by: {
        "taker": str(w.cast.second_approver.opaque_id), "team": "credit", "reason": "On leave.",
        "ends_at": standing.in_days(3).isoformat(), "password": PASSWORD,
    },
    ("api-delegation-ending", "POST"): None,
    ("api-request-recusals", "POST"): lambda w, by: {"reason": "A friend made it."},
    ("api-policies", "POST"): lambda w, by: {"document": policies.a_document(title="Strict"), "note": "Stricter."},
    ("api-policy-dry-run", "POST"): lambda w, by: policies.a_document(),
    ("api-policy-bindings", "POST"): lambda w, by: {
        "policy": "validate-then-approve", "team": "credit", "note": "As it is.",
    },
    ("api-proposal-publication", "POST"): lambda w, by: {"digest": w.proposals.digest},
    ("api-proposal-declining", "POST"): lambda w, by: {"answer": "Too strict."},
    ("api-proposal-withdrawal", "POST"): None,
    ("api-bias-reports", "POST"): lambda w, by: {"dataset": w.datasets.pk, "source": "model"},
    ("api-version-self-tests", "POST"): lambda w, by: {
        "dataset": w.datasets.pk, "source": "historical", "people": [w.cast.validator.pk], "reason": "Counsel asked.",
    },
    ("api-self-test-people", "POST"): lambda w, by: {"people": [w.cast.validator.pk], "reason": "She replies."},
    ("api-self-test-lifting", "POST"): lambda w, by: {"reason": "Counsel decided.", "confirmed": True},
    ("api-submitted-bias-reports", "POST"): lambda w, by: {
        "dataset": w.datasets.pk, "predictions": [row % 2 for row in range(w.datasets.rows)],
    },
    ("api-comparison-reports", "POST"): lambda w, by: {"dataset": w.datasets.pk, "other": w.other.pk},
    ("api-explanation-reports", "POST"): lambda w, by: {"dataset": w.datasets.pk},
    ("api-trade-off-reports", "POST"): lambda w, by: {
        "dataset": w.datasets.pk, "sensitive": "group", "us_employment": False,
    },
    ("api-ll144-audits", "POST"): lambda w, by: {**auditing.ASKED, "dataset": w.applicants.pk},
    ("api-job-cancellation", "POST"): lambda w, by: {"reason": "Wrong data."},
    ("api-job-retry", "POST"): None,
    ("api-imports", "POST"): lambda w, by: {
        "team": w.cast.team.pk, "upload": w.inventory_file.pk, "columns": {"name": "Model", "purpose": "Use"},
    },
    ("api-import-previews", "POST"): lambda w, by: {
        "team": w.cast.team.pk, "upload": w.inventory_file.pk, "columns": {"name": "Model", "purpose": "Use"},
    },
    ("api-model-attestation", "POST"): lambda w, by: {"digest": "sha256:of-nothing"},
    ("api-model-feeders", "POST"): lambda w, by: {
        "external": "Bureau score", "takes": "The score.", "reason": "It says more than income.",
    },
    ("api-feeder-removal", "POST"): lambda w, by: {"reason": "We use another one."},
    ("api-model-overrides", "POST"): lambda w, by: {"rows": [{
        "environment": "production", "decided_at": "2026-10-01T09:00:00Z", "output": "decline", "decision": "approve",
        "reason": "input", "words": "The income was wrong.", "reference": "case-1",
    }]},
    ("api-decision-totals", "POST"): lambda w, by: {
        "environment": "production", "month": "2026-10-01", "decisions": 40,
    },
    ("api-models", "POST"): lambda w, by: {"team": w.cast.team.pk, "name": "Another", "purpose": "Screens."},
    ("api-model", "PATCH"): lambda w, by: {"purpose": "Screens loans."},
    ("api-model-risk-tier", "POST"): lambda w, by: {"tier": "low", "reason": "Small sums."},
    ("api-model-versions", "POST"): lambda w, by: {
        "upload": w.artifacts.pk, "features": ["income", "debt"], "decision_rule": worlds.RULE,
        "contributors": [by.pk if by else 1],
    },
    ("api-pinned-versions", "POST"): lambda w, by: {
        "provider": "Scores Inc.", "upstream_version": "score-7", "configuration": "yes from 620 on",
        "contributors": [by.pk if by else 1],
    },
    ("api-version-upstream", "POST"): None,
    ("api-version-card", "PUT"): lambda w, by: {"card": "# Use\n"},
    ("api-version-training", "POST"): lambda w, by: {"datasets": [w.training.pk]},
    ("api-version-contributors", "POST"): lambda w, by: {"contributors": [w.cast.second_developer.pk]},
    ("api-version-evidence", "POST"): lambda w, by: {
        "upload": w.artifacts.pk, "kind": "validation_report", "title": "Report",
    },
    ("api-datasets", "POST"): lambda w, by: {
        "team": w.cast.team.pk, "upload": w.artifacts.pk, "name": "Rows", "purpose": "test", "roles": {"a": "label"},
        "positive_class": "1", "source": "Drawn for tests.",
    },
    ("api-connections", "POST"): lambda w, by: {
        "team": w.cast.team.pk, "url": sources.url(), "table": w.connections.table,
    },
    ("api-connection-check", "POST"): None,
    ("api-connection-secret", "POST"): lambda w, by: {"user": sources.READER, "password": "another"},
    ("api-connection-datasets", "POST"): lambda w, by: {
        "name": f"There {next(worlds.NUMBERS)}", "purpose": "test", "roles": sources.ROLES, "positive_class": "1",
        "source": "The warehouse.",
    },
    ("api-dataset-processing", "POST"): lambda w, by: {
        "basis": "6.1.f", "condition": "none", "keep_days": 400, "note": "The schedule of the credit archive.",
    },
    ("api-endpoints", "POST"): lambda w, by: {
        "model": w.models.pk, "name": "another-desk", "environment": "staging", "use": "mortgage-screening",
    },
    ("api-endpoint-binding", "PUT"): lambda w, by: {"version": w.other.pk},
    ("api-endpoint-rollouts", "POST"): lambda w, by: {"version": w.other.pk, "kind": "shadow"},
    ("api-endpoint-rollouts", "PATCH"): lambda w, by: {"share": 20},
    ("api-rollout-promotion", "POST"): None,
    ("api-rollout-withdrawal", "POST"): lambda w, by: {"reason": "It is slower."},
    ("api-endpoint-rollback", "POST"): lambda w, by: {"reason": "It declines too many."},
    ("api-endpoint-log", "PUT"): lambda w, by: {
        "level": "full", "mode": "strict", "days": 30, "reason": "The supervisor asks for it.",
    },
    ("api-endpoint-upstream", "PUT"): lambda w, by: {
        "kind": "http-oip", "url": "https://93.184.216.34", "model_name": "loans",
    },
    ("api-endpoint-keys", "POST"): lambda w, by: serving.terms(),
    ("api-endpoint-batches", "POST"): lambda w, by: {"dataset": w.datasets.pk},
    ("api-batch-cancellation", "POST"): None,
    ("api-endpoint-batch-schedules", "POST"): lambda w, by: {"dataset": w.datasets.pk, "cron": "0 4 * * *"},
    ("api-batch-schedule-ending", "POST"): None,
    ("api-endpoint-key-rule", "PUT"): lambda w, by: {"rule": "always", "reason": "The supervisor asks for it."},
    ("api-key-request-approval", "POST"): lambda w, by: {"reason": "The desk needs it."},
    ("api-key-request-declining", "POST"): lambda w, by: {"reason": "A day would do."},
    ("api-key-request-withdrawal", "POST"): lambda w, by: {"reason": "Not needed."},
    ("api-key-request-key", "POST"): None,
    ("api-key-revocation", "POST"): lambda w, by: {"reason": "Not needed."},
    ("api-key-rotation", "POST"): lambda w, by: {"hours": 24, "reason": "A quarter is over."},
    ("api-key-leak", "POST"): lambda w, by: {"key": w.key_text},
    ("api-saved-filters", "POST"): lambda w, by: {"name": "High risk", "query": {"tier": "high"}},
    ("api-saved-filter", "PATCH"): lambda w, by: {"name": "High risk"},
    ("api-saved-filter-removal", "POST"): None,
    ("api-evidence-withdrawal", "POST"): lambda w, by: {"reason": "Wrong file."},
    ("api-erasures", "POST"): lambda w, by: {
        "kind": "person", "subject": w.cast.second_developer.email, "ground": "objection", "reason": "He asked us to.",
    },
    ("api-exports", "POST"): lambda w, by: {"format": "csv"},
    ("api-erasure-approval", "POST"): lambda w, by: {},
    ("api-erasure-rejection", "POST"): lambda w, by: {"reason": "She is still with us."},
    ("api-holds", "POST"): lambda w, by: {"kind": "period", "since": "2099-01-01T00:00:00Z", "reason": "An inquiry."},
    ("api-hold-lifting", "POST"): lambda w, by: {"reason": "The case is over."},
}  # fmt: skip
RAW = {"api-artifacts"}  # takes a file as the body, and where it belongs in the query


def send(client: Any, world: World, actor: Any, name: str, method: str, path: str) -> Any:
    """The answer of a route to an actor's client. KeyError where it needs a body and nobody has written one."""
    if name in RAW and method != "GET":
        query = f"?team={world.cast.team.pk}&filename=x.txt"
        return client.generic(method, path + query, b"hello", content_type="application/octet-stream")
    if method == "GET":
        make = BODIES.get((name, method))
        return client.get(path, make(world, actor) if make else None)
    make = BODIES[(name, method)]
    body = json.dumps(make(world, actor)) if make else ""
    return client.generic(method, path, body, content_type="application/json")
