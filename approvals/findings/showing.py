"""What the pages of requests, versions and findings show of findings and accepted risks."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from accounts.models import User
from approvals import workflow
from approvals.dossier import Dossier
from approvals.findings import listing, reading
from approvals.findings.models import Finding, FindingStep, RiskAcceptance
from approvals.findings.people import hands_on
from approvals.models import ReviewRequest
from approvals.workflow import findings as rules
from ledger.models import Record
from ledger.prepared import Prepared
from registry.models import Version


def of_request(found: Dossier, at: datetime, until: datetime | None = None) -> dict[str, Any]:
    """For a request's page: findings on its version and conditions of its own, and risks accepted for its subject."""
    request = found.request
    steps = reading.bearing(listing.of_version(request.version_id, until), request.pk)
    manifest = found.revision.manifest
    frozen = [int(each["id"]) for each in (*manifest.get("findings", ()), *manifest.get("conditions", ()))]
    rows = listing.rows_of(steps, at, frozen)
    subject = (request.version_id, request.environment, request.use)
    acceptances = listing.ACCEPTED(*subject) if until is None else listing.accepted_for(*subject, until)
    return {
        "findings": rows,
        "elsewhere": elsewhere(request.version) if until is None else 0,
        "acceptances": acceptance_rows(acceptances, at, until),
    }


def elsewhere(version: Version) -> int:
    """How many findings stand on other versions of the model: a new version does not make them go away."""
    return sum(state in rules.STANDING for state in ELSEWHERE(version.model_id, version.pk))


ELSEWHERE = Prepared(
    lambda model, version: FindingStep.objects.filter(
        finding__version__model=model, finding__kind=Finding.Kind.FINDING
    ).exclude(finding__version=version).latest_each().values_list("state", flat=True),
    int, int,
)  # fmt: skip


def of_version(version: Version, at: datetime, until: datetime | None = None) -> dict[str, Any]:
    """For a version's page."""
    return {
        "findings": listing.rows_of(listing.of_version(version.pk, until), at),
        "acceptances": acceptance_rows(listing.acceptances_of(version.pk, until), at, until),
    }


def acceptance_rows(rows: Any, at: datetime, until: datetime | None = None) -> list[dict[str, Any]]:
    told = []
    for each in rows:
        ended = getattr(each, "withdrawal", None)
        if ended is not None and until is not None and ended.at > until:
            ended = None
        state = "withdrawn" if ended else "expired" if rules.overdue(each.until, at) else "accepted"
        told.append({"acceptance": each, "state": state, "ended": ended, "what": what(each)})
    return told


def what(acceptance: RiskAcceptance) -> str:
    if acceptance.finding is None:
        return f"missing evidence “{acceptance.rule}”"
    return f"{acceptance.finding.kind} {acceptance.finding_id}, “{acceptance.finding.title}”"


def page_of(finding: Finding, viewer: User, at: datetime) -> dict[str, Any]:
    """Everything on a finding's own page but its forms."""
    steps = list(finding.steps.select_related("owner", "by").order_by("number"))
    entries = entries_of(steps)
    history = [
        {"step": each, "changed": changes(before, each), "entry": entries.get(str(each.pk))}
        for before, each in zip([None, *steps], steps, strict=False)
    ]
    newest = steps[-1]
    judge = viewer.has_perm("approvals.judge_finding", finding) and viewer.pk not in hands_on([finding])[finding.pk]
    stands = newest.state in rules.STANDING
    return {
        "finding": finding, "step": newest, "history": history, "age": listing.age(newest, at),
        "late": listing.late(newest, at),
        "own": viewer.has_perm("approvals.judge_finding", finding) and not judge,
        "acceptances": acceptance_rows(
            finding.risk_acceptances.select_related("signer", "finding", "withdrawal__withdrawn_by", "version__model"),
            at,
        ),
        "may": {
            "answer": stands and viewer.has_perm("approvals.answer_finding", finding),
            "reassess": stands and judge,
            "close": stands and judge,
            "reopen": newest.state != "open" and viewer.has_perm("approvals.judge_finding", finding),
            "accept": stands and viewer.has_perm("approvals.accept_risk", finding),
        },
    }  # fmt: skip


def entries_of(steps: list[FindingStep]) -> dict[str, int | None]:
    """The number in the log of each step that is sealed."""
    rows = Record.objects.filter(object_type="approvals.findingstep", object_id__in=[str(each.pk) for each in steps])
    return dict(rows.values_list("object_id", "event__leaf__index"))


def changes(before: FindingStep | None, step: FindingStep) -> list[str]:
    """What a step changed beside the state, in words."""
    if before is None:
        return []
    told = []
    if before.severity != step.severity:
        told.append(f"severity {before.severity} → {step.severity}")
    if before.due != step.due:
        told.append(f"due {before.due:%-d %b %Y} → {step.due:%-d %b %Y}")
    if before.owner_id != step.owner_id:
        told.append(f"owner {before.owner.name} → {step.owner.name}")
    return told


def acceptance_page(row: RiskAcceptance, viewer: User, at: datetime) -> dict[str, Any]:
    same = RiskAcceptance.objects.filter(
        version=row.version_id, environment=row.environment, use=row.use, finding=row.finding_id, rule=row.rule
    )
    chain = acceptance_rows(
        same.select_related("signer", "finding", "withdrawal__withdrawn_by", "version__model").order_by("id"), at
    )
    text = bytes(row.document).decode()
    (shown,) = [each for each in chain if each["acceptance"].pk == row.pk]
    return {
        **shown, "chain": chain, "text": text, "lines": workflow.lines(json.loads(text)),
        "may_withdraw": shown["state"] == "accepted" and viewer.has_perm("approvals.accept_risk", row),
        "may_renew": shown["state"] in ("accepted", "expired") and viewer.has_perm("approvals.accept_risk", row),
    }  # fmt: skip


def targets(found: Dossier, weighed: rules.Weighed) -> list[tuple[str, str]]:
    """What a risk could be accepted for on this request now: gaps in the evidence, and whatever is not closed."""
    titles = {rule.slug: rule.title for rule in found.policy.evidence}
    gaps = [(f"evidence:{slug}", f"Missing evidence: {titles[slug]}") for slug in weighed.gaps]
    lifted = [(each, f"Missing evidence: {titles[each.partition(':')[2]]}, accepted already")
              for each in weighed.lifted if each.startswith("evidence:")]  # fmt: skip
    steps = [each for each in found.case.findings if each.state in rules.STANDING]
    return [*gaps, *lifted, *((each.target, each.named) for each in steps)]


def subject_of(request: ReviewRequest) -> str:
    return f"{request.version}, {request.use} in {request.environment}"
