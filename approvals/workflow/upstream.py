"""A model whose bytes are elsewhere: what its upstream says now, against what was pinned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from approvals.workflow.signing import Reason

UNVERIFIED = Reason(
    "bytes_not_verified",
    "Bytes not verified: the model runs elsewhere, and what was signed is what could be pinned of it.",
)


@dataclass(frozen=True)
class Upstream:
    """`pinned` and `says` are model versions, "" where only an image is pinned. What was answered is relied on until
    `checked_until`; None where nobody is asked.
    """

    pinned: str
    says: str
    checked_until: datetime | None = None


def against(upstream: Upstream, at: datetime) -> list[Reason]:
    """Why the upstream cannot be relied on at a moment."""
    if upstream.says != upstream.pinned:
        sentence = f"The upstream reports “{upstream.says}”, and “{upstream.pinned}” is pinned."
        return [Reason("upstream_differs", f"{sentence} Register what runs now as a new version.")]
    if upstream.checked_until is not None and at >= upstream.checked_until:
        sentence = "The upstream has not said for too long which model version runs."
        return [Reason("upstream_unchecked", f"{sentence} Ask it on the version's page.")]
    return []
