"""That less was asked for because of an earlier approval lasts no longer than that approval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from approvals.workflow.signing import Reason


@dataclass(frozen=True)
class Compared:
    """The approval that a change was compared with, where that spared it something: until when it holds, and whether
    it, or one that it rests on in turn, was `revoked`.
    """

    until: datetime
    revoked: bool = False


def ended(compared: Compared | None, at: datetime, under_way: bool) -> Reason | None:
    """Why a request that was spared something is spared it no longer; an approval runs out with what it rests on."""
    if compared is None:
        return None
    advice = "Submit a new revision." if under_way else "A new request has to be made and signed."
    if compared.revoked:
        sentence = f"The approval that its changes were compared with was revoked, so all is asked for. {advice}"
        return Reason("comparison_revoked", sentence)
    if under_way and at >= compared.until:
        sentence = f"The approval that its changes were compared with has ended, so all is asked for. {advice}"
        return Reason("comparison_expired", sentence)
    return None
