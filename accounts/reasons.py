"""What every act that asks for a reason asks for."""

from __future__ import annotations

from ledger.refusals import Refusal


def require_reason(reason: str, field: str = "reason") -> None:
    if len(reason.strip()) < 3:
        raise Refusal("reason_needed", "Say why, in a few words. The reason is kept in the audit log.", field)
