"""Rows that are missing in the prediction log, said by the gateway as an event: a hole is seen, not guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Sum

from inference.models import Endpoint, Prediction, PredictionLoss
from ledger.actors import Actor, SystemActor
from ledger.door import Done, governed

GATEWAY = SystemActor("gateway", frozenset({"inference.report_loss"}))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@governed(permission="inference.report_loss", event="endpoint.predictions_lost", on="endpoint", lock=False)
def report_loss(
    *, by: Actor, endpoint: Endpoint, process: UUID, why: str, rows: int, since: datetime, until: datetime
) -> Done[PredictionLoss]:
    """Record that rows of an endpoint are missing in the log, and of which time."""
    loss = PredictionLoss.objects.create(
        endpoint=endpoint, process=process, why=why, rows=rows, since=since, until=until
    )
    facts = {**loss.as_record(), "endpoint": endpoint.name}
    return Done(loss, on=endpoint, facts=facts, changed=[loss])


def tell_loss(endpoint: int, process: UUID, why: str, rows: int, since: int, until: int) -> None:
    """`since` and `until` in milliseconds since 1970, as gateways count."""
    found = Endpoint.objects.with_parts().get(pk=endpoint)
    first, last = (EPOCH + timedelta(milliseconds=each) for each in (since, max(since, until)))
    report_loss(by=GATEWAY, endpoint=found, process=process, why=why, rows=rows, since=first, until=last)


def is_there(row: UUID) -> bool:
    return Prediction.objects.filter(pk=row).exists()


def tell_left_behind(endpoint: int, process: UUID, missing: int, since: int, until: int) -> int:
    """How many rows of a gateway that ended were not known to be missing; said once, however often it is called.

    The count may be of another database's endpoint, where a folder outlived it: then it says nothing.
    """
    known = PredictionLoss.objects.filter(endpoint=endpoint, process=process).aggregate(rows=Sum("rows"))["rows"] or 0
    if not Endpoint.objects.filter(pk=endpoint).exists():
        return 0
    if missing > known:
        tell_loss(endpoint, process, PredictionLoss.Why.ENDED, missing - known, since, until)
    return max(0, missing - known)
