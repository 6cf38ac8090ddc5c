"""Worlds for the inference floor: an endpoint bound to a version, and a key to it, by the model owner."""

from __future__ import annotations

import itertools
from typing import Any

from tests import worlds

NUMBERS = itertools.count(1)
USE = "mortgage-screening"


def an_endpoint(cast: Any, version: Any = None, *, model: Any = None, environment: str = "production") -> Any:
    """Of the version's model and bound to it; of a new model and bound to nothing, without one."""
    from inference.services import add_endpoint, bind_endpoint

    by, name = cast.model_owner, f"mortgage-{next(NUMBERS)}"
    model = version.model if version else model or worlds.a_model(cast)
    made = add_endpoint(by=by, model=model, name=name, environment=environment, use=USE)
    return bind_endpoint(by=by, endpoint=made, version=version) if version else made


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
