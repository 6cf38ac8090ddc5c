"""What acts have to tell: each function is called within the act, and writes into the outbox with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from accounts.models import User
from accounts.preferences.telling import tell
from approvals import dossier as records
from approvals import workflow
from approvals.findings.models import Finding, FindingStep
from approvals.models import Comment, Decision, ReviewRequest
from approvals.notices.announcing import announce
from approvals.notices.feeding import feeder_ended
from approvals.notices.people import makers, may_sign_now, signers
from ledger.events import database_time


def about_request(
    people: Iterable[User], kind: str, about: str, request: ReviewRequest, *, template: str = "", **context: Any
) -> None:
    path = request.get_absolute_url()
    tell(people, kind, about, path=path, template=template, team=request.team_id, request=request, **context)


def turn_opened(found: records.Dossier) -> None:
    """Tell those who may sign the stage that is open now, each once a stage of a revision."""
    at = database_time()
    standing = workflow.standing(found.case, at)
    stage = next((each.stage for each in standing.requirements if each.state == "waiting"), "")
    if found.request.state != ReviewRequest.State.IN_REVIEW or not stage:
        return
    gaps = [*standing.weighed.gaps.values(), *standing.weighed.reasons]
    about = f"request {found.request.pk}, revision {found.revision.number}, stage {stage}"
    announce("your_turn", about, found.request, found.request.state)
    for person, wanted in may_sign_now(found, at).items():
        about_request(
            [person], "your_turn", about, found.request, requirements=wanted, blocked=gaps[0].sentence if gaps else ""
        )


def decided(found: records.Dossier, decision: Decision, state: str) -> None:
    """Tell what a decision led to. `state` is that of the request now; `found` is read after the decision."""
    request, others = found.request, makers(found) - {decision.signer}
    about = f"request {request.pk}, revision {found.revision.number}"
    if state == ReviewRequest.State.CHANGES_REQUESTED:
        announce("changes_requested", f"decision {decision.pk}", request, state)
        about_request(others, "changes_requested", f"decision {decision.pk}", request, decision=decision)
    elif state == ReviewRequest.State.REJECTED:
        announce("rejected", about, request, state)
        about_request(others, "rejected", about, request, decision=decision)
    elif state in workflow.APPROVED:
        announce("approved", about, request, state)
        about_request(others, "approved", about, request, conditions=state != ReviewRequest.State.APPROVED)
    else:
        turn_opened(found)


def revoked(request: ReviewRequest, by: User) -> None:
    found = records.open_dossier(request)
    people = (makers(found) | signers(found)) - {by}
    about = f"request {request.pk} revoked"
    announce("approval_ended", about, request, "revoked")
    about_request(people, "approval_ended", about, request, template="revoked", by=by)
    feeder_ended(request, about, "revoked", by)


def assigned(finding: Finding, step: FindingStep, before: FindingStep | None = None) -> None:
    """Tell whoever answers for a finding from now on, but for whoever named themselves."""
    if step.owner_id == step.by_id or (before is not None and before.owner_id == step.owner_id):
        return
    tell(
        [step.owner], "finding_assigned", f"finding {finding.pk}, step {step.number}", path=finding.get_absolute_url(),
        team=finding.team_id, finding=finding, step=step,
    )  # fmt: skip


def mentioned(comment: Comment, people: Iterable[User]) -> None:
    """Tell those whom somebody mentioned; what was said stays in the portal."""
    request = comment.request
    path = f"{request.get_absolute_url()}#comment-{comment.pk}"
    about = f"comment {comment.pk}"
    tell(people, "mentioned", about, path=path, team=request.team_id, request=request, by=comment.author)
