"""What is deployed against what is approved: every endpoint and every approval, by the gate's answers of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from approvals import workflow
from approvals.gate import GateResult, evaluate_many
from approvals.models import ReviewRequest
from inference.models import Endpoint

# So many endpoints and approvals are compared at once; where there are more the answer says so.
MOST = 2_000
KINDS = {
    "not_allowed": "Deployed, but not approved",
    "newer_approved": "Deployed, though a newer version is approved",
    "not_deployed": "Approved, but deployed nowhere",
}
Place = tuple[int, str, str]


@dataclass(frozen=True)
class Mismatch:
    """`subject` is the version deployed or approved; `endpoint` None where there is none."""

    kind: str
    subject: Any
    environment: str
    use: str
    state: str
    sentence: str
    endpoint: Endpoint | None = None

    @property
    def title(self) -> str:
        return KINDS[self.kind]

    @property
    def url(self) -> str:
        address: str = (self.endpoint or self.subject).get_absolute_url()
        return address


@dataclass(frozen=True)
class Reconciliation:
    mismatches: list[Mismatch]
    endpoints: int
    approvals: int
    cut: bool

    def counts(self) -> list[tuple[str, int]]:
        """How many of each kind, in words."""
        return [(words, sum(each.kind == kind for each in self.mismatches)) for kind, words in KINDS.items()]


def reconcile(viewer: User, team: int | None = None) -> Reconciliation:
    """A fixed number of queries. The worst kind comes first."""
    bound = Endpoint.objects.visible_to(viewer).filter(version__isnull=False).select_related("version__model__team")
    bound = bound if team is None else bound.filter(model__team=team)
    endpoints = list(bound.order_by("name")[: MOST + 1])
    approved = list(newest_approved(viewer, team)[: MOST + 1])
    cut = max(len(endpoints), len(approved)) > MOST
    endpoints, approved = endpoints[:MOST], approved[:MOST]
    keys = {(row.version_id, row.environment, row.use) for row in (*endpoints, *approved)}
    said = evaluate_many(keys)
    told = sorted(mismatches(endpoints, approved, said), key=lambda each: list(KINDS).index(each.kind))
    return Reconciliation(told, len(endpoints), len(approved), cut)


def newest_approved(viewer: User, team: int | None) -> Any:
    """Of each model, environment and use the newest version that was approved, and not revoked since."""
    rows = ReviewRequest.objects.visible_to(viewer).filter(state__in=workflow.APPROVED, revocation__isnull=True)
    rows = rows if team is None else rows.filter(version__model__team=team)
    place = [F("version__model"), F("environment"), F("use")]
    newest = Window(RowNumber(), partition_by=place, order_by=[F("version__number").desc(), F("id").desc()])
    return rows.select_related("version__model__team").annotate(newest=newest).filter(newest=1).order_by("id")


def mismatches(endpoints: list[Endpoint], approved: list[Any], said: dict[Any, GateResult]) -> Iterator[Mismatch]:
    allowed: dict[Place, Any] = {
        (row.version.model_id, row.environment, row.use): row.version
        for row in approved
        if said[row.version_id, row.environment, row.use].allowed
    }
    served: set[Place] = set()
    for row in endpoints:
        assert row.version is not None
        result = said[row.version_id, row.environment, row.use]
        place = (row.model_id, row.environment, row.use)
        served.add(place)
        newest = allowed.get(place)
        where = (row.version, row.environment, row.use)
        if not result.allowed:
            yield Mismatch("not_allowed", *where, result.state, result.reasons[0].sentence, row)
        elif newest is not None and newest.number > row.version.number:
            yield Mismatch("newer_approved", *where, result.state, f"{newest.title} may serve there too.", row)
    for place in [each for each in allowed if each not in served]:
        version, (_, environment, use) = allowed[place], place
        sentence = "No endpoint serves it. Bind one, or revoke the approval if nobody needs it."
        state = said[version.pk, environment, use].state
        yield Mismatch("not_deployed", version, environment, use, state, sentence)
