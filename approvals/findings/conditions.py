"""The conditions of an approval: checked before somebody signs, then tracked like findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from accounts.models import User
from approvals.findings.models import Finding, FindingStep
from approvals.findings.people import checked_owner
from approvals.findings.services import said, still_to_come
from approvals.models import Decision
from approvals.workflow import Policy
from ledger.canonical import sha256
from ledger.refusals import Refusal

MOST = 20
MEANING = "I sign on the conditions listed with it, each to be fulfilled by its day."


@dataclass(frozen=True)
class Condition:
    """What has to be done, by whom, and by which day."""

    text: str
    owner: User
    due: date

    def as_fact(self) -> dict[str, str]:
        """As the decision keeps it; the words stand in the condition's own row."""
        return {
            "words": sha256(self.text.encode()), "owner": str(self.owner.opaque_id), "due": self.due.isoformat(),
        }  # fmt: skip


def checked(policy: Policy, team_id: int, outcome: str, conditions: Sequence[Condition]) -> list[Condition]:
    """The conditions as they will be signed for.

    Raises Refusal `conditions_not_allowed`, `conditions_needed`, `too_many_conditions`, `text_needed`,
    `text_too_long`, `due_passed`, `owner_cannot_answer`, or `conditions_unexpected` with another outcome.
    """
    if outcome != Decision.Outcome.APPROVE_WITH_CONDITIONS:
        if conditions:
            sentence = "Conditions belong to an approval with conditions. Choose that outcome, or leave them out."
            raise Refusal("conditions_unexpected", sentence, "conditions")
        return []
    if not policy.conditions:
        sentence = "The policy takes no approval with conditions. Raise a finding, or ask for changes."
        raise Refusal("conditions_not_allowed", sentence, "outcome")
    if not conditions:
        raise Refusal("conditions_needed", "Write at least one condition, with an owner and a due day.", "conditions")
    if len(conditions) > MOST:
        raise Refusal("too_many_conditions", f"At most {MOST} conditions. Ask for changes instead.", "conditions")
    return [
        Condition(
            said(each.text.strip(), f"conditions.{place}.text"),
            checked_owner(team_id, each.owner, f"conditions.{place}.owner"),
            still_to_come(each.due, f"conditions.{place}.due"),
        )
        for place, each in enumerate(conditions)
    ]


def attach(decision: Decision, conditions: Sequence[Condition]) -> list[Any]:
    """Rows that track the conditions of a decision just made; the act that signs seals them with it."""
    rows: list[Any] = []
    for each in conditions:
        finding = Finding.objects.create(
            version=decision.request.version, request=decision.request, decision=decision,
            kind=Finding.Kind.CONDITION, title=first_words(each.text), text=each.text, raised_by=decision.signer,
        )  # fmt: skip
        step = FindingStep.objects.create(
            finding=finding, number=1, kind=FindingStep.Kind.RAISED, state=FindingStep.State.OPEN, owner=each.owner,
            due=each.due, by=decision.signer,
        )  # fmt: skip
        rows += [finding, step]
    return rows


def first_words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:119]}…"
