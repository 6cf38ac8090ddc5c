"""Acts on findings: raised and judged by the second line, answered by whoever owns or builds the model."""

from __future__ import annotations

from datetime import date
from typing import Any

from accounts.models import User
from accounts.services import require_reason
from approvals.findings.models import Finding, FindingStep, Severity
from approvals.findings.people import HUMANS, checked_owner, judging
from approvals.models import ReviewRequest
from approvals.notices import telling
from approvals.workflow import findings as rules
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Version

LONGEST = 10_000
CLOSED = "This finding is closed. Reopen it to go on."
WRONG_STATE = {
    "answered": CLOSED,
    "reassessed": CLOSED,
    "closed": "This finding is closed already.",
    "reopened": "This finding is open already. There is nothing to reopen.",
}


def hold(version_id: int) -> None:
    """One act at a time on a version's findings and accepted risks; whoever relies on the gate is waited for.

    The version first, then its requests: the order of everybody who needs both.
    """
    Version.objects.select_for_update(no_key=True).get(pk=version_id)
    list(ReviewRequest.objects.select_for_update(no_key=True).filter(version=version_id).order_by("pk"))


@governed(permission="approvals.raise_finding", event="finding.raised", on="version", lock=False)
def raise_finding(
    *, by: Actor, version: Version, severity: str, title: str, text: str, due: date, owner: User | None = None,
    reference: str = "", request: ReviewRequest | None = None,
) -> Done[Finding]:  # fmt: skip
    """Put on record what is wrong with a version. Without `owner` the model's owner answers for it.

    Raises Refusal `humans_only`, `unknown_severity`, `title_needed`, `text_needed`, `text_too_long`, `due_passed`,
    `owner_cannot_answer`, or `other_version` for a request about another version.
    """
    assert isinstance(by, User)
    if not by.is_person:
        raise Refusal("humans_only", HUMANS)
    known_severity(severity)
    title, text = title.strip(), text.strip()
    if not 3 <= len(title) <= 200:
        raise Refusal("title_needed", "Name it in 3 to 200 characters.", "title")
    said(text, "text")
    if request is not None and request.version_id != version.pk:
        raise Refusal("other_version", "This request is about another version. Raise the finding on that one.")
    still_to_come(due)
    answers = checked_owner(version.model.team_id, owner or version.model.owner)
    hold(version.pk)
    finding = Finding.objects.create(
        version=version, request=request, title=title, text=text, reference=reference.strip()[:200], raised_by=by
    )
    step = FindingStep.objects.create(
        finding=finding, number=1, kind=FindingStep.Kind.RAISED, state=FindingStep.State.OPEN, severity=severity,
        owner=answers, due=due, by=by,
    )  # fmt: skip
    telling.assigned(finding, step)
    facts = {
        "finding": str(finding.pk), "version": str(version.pk), "request": str(request.pk) if request else None,
        **facts_of(step),
    }  # fmt: skip
    return Done(finding, on=finding, facts=facts, discloses={"title": title, "text": text}, changed=[step])


@governed(permission="approvals.answer_finding", event="finding.answered", on="finding", lock=False)
def answer(*, by: Actor, finding: Finding, text: str) -> Done[FindingStep]:
    """Say what was done about it. It stays open until the second line has looked at the answer.

    Raises Refusal `humans_only`, `finding_closed`, `text_needed` or `text_too_long`.
    """
    assert isinstance(by, User)
    if not by.is_person:
        raise Refusal("humans_only", HUMANS)
    return done(next_step(finding, by, "answered", said(text.strip(), "text")))


@governed(permission="approvals.judge_finding", event="finding.reassessed", on="finding", lock=False)
def reassess(
    *, by: Actor, finding: Finding, reason: str, severity: str | None = None, due: date | None = None,
    owner: User | None = None,
) -> Done[FindingStep]:  # fmt: skip
    """Change how severe a finding is, when it is due, or who answers for it; what is None stays as it is.

    Raises Refusal `humans_only`, `own_work`, `finding_closed`, `reason_needed`, `unknown_severity`, `due_passed`,
    `owner_cannot_answer`, `nothing_changed`, or `condition_has_no_severity`.
    """
    assert isinstance(by, User)
    judging(finding, by)
    require_reason(reason)
    given: dict[str, Any] = {}
    if severity:
        if finding.kind == Finding.Kind.CONDITION:
            raise Refusal("condition_has_no_severity", "A condition has a due day, but no severity.", "severity")
        given["severity"] = known_severity(severity)
    if due:
        given["due"] = still_to_come(due)
    if owner:
        given["owner"] = checked_owner(finding.team_id, owner)
    step = next_step(finding, by, "reassessed", reason.strip(), **given)
    before = FindingStep.objects.select_related("owner").get(finding=finding, number=step.number - 1)
    if {**facts_of(step), "step": ""} == {**facts_of(before), "step": ""}:
        raise Refusal("nothing_changed", "That is how it stands already. Change severity, due day or owner.")
    telling.assigned(finding, step, before)
    return done(step, {"before": facts_of(before)})


@governed(permission="approvals.judge_finding", event="finding.closed", on="finding", lock=False)
def close(*, by: Actor, finding: Finding, reason: str) -> Done[FindingStep]:
    """Validate that it is settled. Raises Refusal `humans_only`, `own_work`, `finding_closed` or `reason_needed`."""
    assert isinstance(by, User)
    judging(finding, by)
    require_reason(reason)
    return done(next_step(finding, by, "closed", reason.strip()))


@governed(permission="approvals.judge_finding", event="finding.reopened", on="finding", lock=False)
def reopen(*, by: Actor, finding: Finding, reason: str, due: date | None = None) -> Done[FindingStep]:
    """Find an answer, or a closure, not good enough. Raises Refusal `humans_only`, `finding_open`, `reason_needed`,
    or `due_passed` for a new due day that is past.
    """
    assert isinstance(by, User)
    if not by.is_person:
        raise Refusal("humans_only", HUMANS)
    require_reason(reason)
    given = {"due": still_to_come(due)} if due else {}
    return done(next_step(finding, by, "reopened", reason.strip(), **given))


def next_step(finding: Finding, by: User, kind: str, text: str, **given: Any) -> FindingStep:
    """The row that follows the newest one, once nobody else is at it. Raises Refusal where that is no way to go on."""
    hold(finding.version_id)
    newest = FindingStep.objects.filter(finding=finding).select_related("owner").latest("number")
    state = rules.after(kind, newest.state)
    if state is None:
        raise Refusal("finding_open" if kind == "reopened" else "finding_closed", WRONG_STATE[kind])
    stays = {"severity": newest.severity, "owner": newest.owner, "due": newest.due}
    return FindingStep.objects.create(
        finding=finding, number=newest.number + 1, kind=kind, state=state, text=text, by=by, **{**stays, **given}
    )


def done(step: FindingStep, more: dict[str, Any] | None = None) -> Done[FindingStep]:
    finding = step.finding
    facts = {"finding": str(finding.pk), "version": str(finding.version_id), **facts_of(step), **(more or {})}
    if finding.request_id:
        facts["request"] = str(finding.request_id)
    return Done(step, facts=facts, discloses={"text": step.text}, changed=[step])


def facts_of(step: FindingStep) -> dict[str, Any]:
    return {
        "step": str(step.pk), "state": step.state, "severity": step.severity, "owner": str(step.owner.opaque_id),
        "due": step.due.isoformat(),
    }  # fmt: skip


def known_severity(severity: str) -> str:
    if severity not in Severity.values:
        raise Refusal("unknown_severity", f"Choose one of {', '.join(Severity.values)}.", "severity")
    return severity


def said(text: str, field: str) -> str:
    if len(text) < 3:
        raise Refusal("text_needed", "Say it in a few words at least.", field)
    if len(text) > LONGEST:
        raise Refusal("text_too_long", f"At most {LONGEST:,} characters. Shorten it, or attach evidence.", field)
    return text


def still_to_come(due: date, field: str = "due") -> date:
    if rules.overdue(due, database_time()):
        raise Refusal("due_passed", "This day has passed. Choose today or a later one.", field)
    return due
