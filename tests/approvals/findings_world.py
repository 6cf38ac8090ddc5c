"""Findings and accepted risks for tests, each through the services."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.approvals import policies, world
from tests.cast import PASSWORD
from tests.sealing import seal_now

TEXT = "The cut-off was never tested on the newest quarter."
REASON = "Small sums only, and looked at by hand meanwhile."


def in_days(count: int) -> Any:
    from ledger.events import database_time

    return (database_time() + timedelta(days=count)).date()


def a_finding(cast: Any, version: Any, severity: str = "high", *, by: Any = None, **changes: Any) -> Any:
    """Raised by the validator, for the version's owner to answer within ten days."""
    from approvals.findings.services import raise_finding

    given = {"title": "Cut-off not tested", "text": TEXT, "due": in_days(10), **changes}
    return raise_finding(by=by or cast.validator, version=version, severity=severity, **given)


def a_risk(cast: Any, request: Any, target: str, *, by: Any = None, sealed: bool = True, **changes: Any) -> Any:
    """Accepted by the risk officer the way a person does it: the text, the password over its digest, the signature."""
    from approvals.findings.acceptances import accept_risk, draft
    from approvals.services import reauthenticate

    by = by or cast.risk_officer
    given = {"target": target, "reason": REASON, "until": in_days(30), **changes}
    digest = given.pop("digest", None) or draft(by, request, given["target"], given["reason"], given["until"]).digest
    nonce = given.pop("nonce", None) or reauthenticate(
        by=by, request=request, digest=digest, password=PASSWORD, session_key=world.SESSION,
        purpose="risk_acceptance",
    )  # fmt: skip
    row = accept_risk(by=by, request=request, digest=digest, nonce=nonce, session_key=world.SESSION, **given)
    if sealed:
        seal_now()
    return row


def an_answered_one(cast: Any, version: Any) -> Any:
    """A finding that waits for its closure to be validated."""
    from approvals.findings.services import answer

    finding = a_finding(cast, version, "low", title="A word is wrong")
    answer(by=cast.developer, finding=finding, text="Corrected in the next card.")
    return finding


def a_policy_with_conditions(cast: Any) -> Any:
    """The next version of the default policy, which takes approvals with conditions; new requests are pinned to it."""
    from approvals.models import PolicyVersion
    from approvals.workflow import write_policy

    before = PolicyVersion.objects.get(policy__slug="validate-then-approve")
    rules = replace(before.rules, version=before.number + 1, conditions=True)
    return policies.a_policy(cast, write_policy(rules))
