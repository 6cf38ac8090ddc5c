"""What the gate says of a batch: the serving lease's question, about exactly what the batch was begun with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from approvals import gate
from inference.models import Endpoint
from ledger.refusals import Refusal
from registry.models import Version

NOT_APPROVED = "not_approved"


@dataclass(frozen=True)
class Terms:
    """What the gate allowed: these bytes under this decision rule, by this signed revision."""

    artifact: str
    rule: dict[str, Any]
    revision: str


def terms_of(version: Version, endpoint: Endpoint, *, holding: bool = False) -> Terms:
    """What may be run now. `holding` keeps revocations waiting until the act that relies on the answer has ended.

    Raises Refusal `not_approved` with the gate's first reason.
    """
    ask = gate.evaluate_holding if holding else gate.evaluate
    said = ask(version, endpoint.environment, endpoint.use)
    if not said.allowed or said.manifest is None or said.revision_digest is None:
        reason = said.reasons[0].sentence if said.reasons else ""
        sentence = f"The gate does not allow {version.title.lower()} in {endpoint.environment} for {endpoint.use} now."
        raise Refusal(NOT_APPROVED, f"{sentence} {reason}".strip())
    return Terms(said.manifest["artifact"]["digest"], said.manifest["decision_rule"], said.revision_digest)


def check_still(terms: Terms, version: Version, endpoint: Endpoint) -> None:
    """Raises Refusal `not_approved` where the gate says no, or yes to something else than the batch was begun with."""
    now = terms_of(version, endpoint)
    if now != terms:
        raise Refusal(
            NOT_APPROVED,
            "It is allowed by another signature now than when the batch was begun. Run a new batch under that one.",
        )
