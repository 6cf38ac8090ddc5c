"""What changed credentials mean for signing: held back for a day, and shown beside what is signed for a month."""

from __future__ import annotations

from accounts.models import User
from accounts.takeover.holding import changed_lately, why_held
from approvals import workflow
from ledger.canonical import timestamp


def held_back(signer: User) -> list[workflow.Reason]:
    """Why somebody may sign nothing now, whatever their roles; empty where they may."""
    sentence = why_held(signer)
    return [workflow.Reason("credentials_changed", sentence)] if sentence else []


def on_record(signer: User) -> dict[str, str]:
    """What a decision keeps about its signer's credentials."""
    change = changed_lately(signer)
    return {"credentials_changed_at": timestamp(change.at)} if change else {}
