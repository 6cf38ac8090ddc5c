"""Worlds for the inference floor: an endpoint bound to a version, and a key to it, by the model owner."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta
from typing import Any

from tests import worlds

NUMBERS = itertools.count(1)
USE = "mortgage-screening"


def an_endpoint(
    cast: Any, version: Any = None, *, model: Any = None, environment: str = "production", two: bool = False
) -> Any:
    """Of the version's model and bound to it; of a new model and bound to nothing, without one.

    Keys to it take one person, unless `two` leaves that to the risk.
    """
    from inference.services import add_endpoint, bind_endpoint

    by, name = cast.model_owner, f"mortgage-{next(NUMBERS)}"
    model = version.model if version else model or worlds.a_model(cast)
    made = add_endpoint(by=by, model=model, name=name, environment=environment, use=USE)
    made = made if two else for_one_person(cast, made)
    return bind_endpoint(by=by, endpoint=made, version=version) if version else made


def for_one_person(cast: Any, endpoint: Any) -> Any:
    """The endpoint, after a risk officer said that its keys need no second person."""
    from inference.keyrequests.services import set_key_rule

    if not endpoint.keys_take_two:
        return endpoint
    return set_key_rule(by=cast.risk_officer, endpoint=endpoint, rule="never", reason="It is a test.")


def a_key_request(cast: Any, endpoint: Any = None, **changes: Any) -> Any:
    """The model owner asks for a key to a new endpoint of high risk."""
    from inference.keyrequests.services import request_key

    endpoint = endpoint or an_endpoint(cast, two=True)
    return request_key(by=cast.model_owner, endpoint=endpoint, **terms(**changes))


def an_approved_one(cast: Any, endpoint: Any = None, **changes: Any) -> Any:
    from inference.keyrequests.services import approve_key

    request = a_key_request(cast, endpoint, **changes)
    return approve_key(by=cast.approver, request=request, reason="The desk needs it.")


def a_rollout(cast: Any, endpoint: Any, version: Any, *, share: int = 0) -> Any:
    """A canary with that share, or a shadow without one."""
    from inference.rollouts.services import start_rollout

    kind = "canary" if share else "shadow"
    return start_rollout(by=cast.model_owner, endpoint=endpoint, version=version, kind=kind, share=share)


def terms(**changes: Any) -> dict[str, Any]:
    """What a key is issued with."""
    given = {"name": "Loan desk", "actions": ["infer", "metadata"], "days": 90, "rate_per_minute": 600}
    return {**given, "reason": "Screens applications at the desk.", **changes}


def a_key(cast: Any, endpoint: Any = None, **changes: Any) -> tuple[Any, str]:
    """The key's row and its text."""
    from inference.services import issue_key

    endpoint = endpoint or an_endpoint(cast)
    return issue_key(by=cast.model_owner, endpoint=endpoint, **terms(**changes))


def a_prediction(endpoint: Any, key: Any, *, days: int = 0, **changes: Any) -> Any:
    """A row of the prediction log, as the gateway writes it, of so many days ago; inputs and outputs were kept."""
    from inference.gateway.entry import new_id
    from inference.models import Prediction
    from ledger.events import database_time

    at = database_time() - timedelta(days=days)
    given = {
        "id": uuid.UUID(new_id(int(at.timestamp() * 1000))), "at": at, "endpoint": endpoint, "key": key,
        "request_id": f"desk-{next(NUMBERS)}", "client_id": "", "revision": f"sha256:{'0' * 64}", "status": 200,
        "artifact": endpoint.version.artifact.digest if endpoint.version else "", "code": "", "rows": 2,
        "latency": 1_500, "level": "full", "input_digest": f"sha256:{'1' * 64}", "output_digest": f"sha256:{'2' * 64}",
        "inputs": '{"X":[[0.4,-0.1],[1.0,2.0]]}', "outputs": '{"decision":[true,false]}', **changes,
    }  # fmt: skip
    return Prediction.objects.create(**given)


def a_loss(endpoint: Any, rows: int = 7, why: str = "ended") -> Any:
    """Rows that a gateway said are missing."""
    from inference.predictions.losses import GATEWAY, report_loss
    from ledger.events import database_time

    now = database_time()
    return report_loss(
        by=GATEWAY, endpoint=endpoint, process=uuid.uuid4(), why=why, rows=rows, since=now - timedelta(seconds=1),
        until=now,
    )  # fmt: skip
