"""What the gateway knows, as of its last renewal. The refresher replaces it whole; requests only read it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from inference.addresses import Network
from inference.gateway.dialects import Target
from inference.gateway.runner import Runner
from inference.gateway.tensors import Tensor
from inference.predictions.rules import Terms
from registry.onnx.decision import DecisionRule

# Counts on while the machine sleeps, where the system can: a lease must not outlive a closed lid.
clock = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic


@dataclass(frozen=True, slots=True)
class Approved:
    """What the gate allowed: exact bytes under exactly this decision rule, until a time of `clock`.

    That is when the approval `ends`, or earlier where its policy lets it be served without asking for `lease_seconds`.
    """

    artifact: str
    rule: DecisionRule
    revision: str
    until: float
    may_loop: bool
    ends: float = float("inf")
    lease_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """An endpoint with one version. `approved` is None while the gate says no, for these `reasons`; `role` is canary or
    shadow, or empty for the version that is served.

    `upstream` is the server elsewhere that makes its predictions; None where they are made in this process.
    """

    pk: int
    name: str
    version: str
    environment: str
    use: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    decision: str
    max_rows: int
    max_body_bytes: int
    approved: Approved | None
    state: str
    reasons: tuple[Mapping[str, str], ...]
    features: tuple[str, ...] = ()
    log: Terms = field(default_factory=Terms)
    challenger: Challenger | None = None
    role: str = ""
    upstream: Target | None = None

    output_names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        names = frozenset((*(output.name for output in self.outputs), self.decision))
        object.__setattr__(self, "output_names", names)


@dataclass(frozen=True, slots=True)
class Challenger:
    """A version that is tried beside the one that is served: a canary for its `share` of requests, above 0 and under 1,
    or a shadow, whose share is 0.
    """

    rollout: int
    share: float
    served: Served


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """A usable key: digest of its secret, actions by endpoint (by primary key), and when it ends by `clock`.

    Without `networks` it may be sent from anywhere; `quota_per_day` is None where only the rate limits it.
    """

    pk: int
    digest: bytes
    actions: Mapping[int, frozenset[str]]
    rate_per_minute: int
    until: float
    quota_per_day: int | None = None
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Good until the lease ends, a time of `clock`; `renewed` is when it was asked for."""

    endpoints: Mapping[str, Served]
    keys: Mapping[str, KeyTerms]
    renewed: float
    until: float

    def everything(self) -> Iterator[Served]:
        """What is served and what is tried beside it."""
        for each in self.endpoints.values():
            yield each
            if each.challenger is not None:
                yield each.challenger.served


@dataclass(frozen=True, slots=True)
class Unusable:
    """A model that could not be loaded, why, and when to try again."""

    code: str
    sentence: str
    again: float


@dataclass
class Board:
    """`runners` are by artifact digest; `used` collects primary keys of keys for their last use; while it
    is `draining` a process answers, but says that it is not ready.
    """

    snapshot: Snapshot | None = None
    runners: dict[str, Runner | Unusable] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    draining: bool = False
