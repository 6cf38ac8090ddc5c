"""Worlds for the approvals floor: a version with the evidence that the policy asks for, asked for and signed."""

from __future__ import annotations

import itertools
from typing import Any

from django.db import transaction

from tests import worlds
from tests.cast import PASSWORD
from tests.ready import standing_ready
from tests.sealing import seal_now

NUMBERS = itertools.count(1)
USE = "mortgage-screening"
SESSION = "session:test"
REASONING = "Replicated the figures on my own split."


def a_report(
    version: Any, dataset: Any, *, kind: str = "bias_report", source: str = "model", verdict: str = "within", by: Any,
    provenance: str = "computed", **summary: Any,
) -> Any:  # fmt: skip
    """Evidence as the fairness floor leaves it, with bytes of its own."""
    from registry import storage
    from registry.services import add_evidence

    told = {
        "source": source, "verdict": verdict, "dataset_digest": dataset.artifact.digest,
        "artifact": version.artifact.digest, "decision_rule": version.decision_rule, **summary,
    }  # fmt: skip
    stored = storage.put([f"report {next(NUMBERS)}".encode()], limit=1000)
    with transaction.atomic():
        return add_evidence(
            version, kind=kind, title=f"{kind.replace('_', ' ').capitalize()}, {source}", stored=stored,
            filename="report.json", media_type="application/json", provenance=provenance, produced_by=by,
            dataset=dataset, summary=told,
        )  # fmt: skip


@standing_ready
def a_complete_version(cast: Any, *, verdict: str = "within", historical: str = "within", by: Any = None) -> Any:
    """A version by the developer with the three reports, asked for by the second developer."""
    version = worlds.a_version(cast, by=by)
    dataset = worlds.a_dataset(cast)
    a_report(version, dataset, verdict=verdict, by=cast.second_developer)
    a_report(version, dataset, source="historical", verdict=historical, by=cast.second_developer)
    a_report(version, dataset, kind="explanation_report", source="model", verdict="", by=cast.second_developer)
    return version


@standing_ready
def a_request(
    cast: Any, version: Any = None, *, environment: str = "production", use: str = USE, by: Any = None
) -> Any:
    from approvals.services import submit

    version = version or a_complete_version(cast)
    return submit(by=by or cast.developer, version=version, environment=environment, use=use, note="Please look.")


def sign(
    who: Any, request: Any, requirement: str, outcome: str = "approve", *, sealed: bool = True, **changes: Any
) -> Any:
    """One decision the way a person makes it: password, nonce, signature; and sealed, so that it counts."""
    from approvals.services import reauthenticate
    from approvals.services import sign as act

    digest = changes.pop("digest", request.latest.digest)
    given = {"comment": REASONING, "session_key": SESSION, "acknowledged": (), **changes}
    if "nonce" not in given:
        given["nonce"] = reauthenticate(
            by=who, request=request, digest=digest, password=PASSWORD, session_key=given["session_key"]
        )
    decision = act(by=who, request=request, requirement=requirement, outcome=outcome, digest=digest, **given)
    if sealed:
        seal_now()
    return decision


@standing_ready
def an_approval(cast: Any, version: Any = None, **changes: Any) -> Any:
    """A request that the validator and then the approver signed."""
    request = a_request(cast, version, **changes)
    sign(cast.validator, request, "validation")
    sign(cast.approver, request, "approval")
    request.refresh_from_db()
    return request
