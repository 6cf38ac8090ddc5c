"""What people decide about the prediction log: what is logged, who opened what; and deletion when its time is over."""

from __future__ import annotations

import logging
from datetime import datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from accounts.services import require_reason
from audits.erasing.holding import LOCK, covering
from audits.erasing.models import Hold
from inference.models import Endpoint, Prediction, PredictionDeletion
from inference.predictions import rules
from inference.predictions.models import PredictionQuerySet
from ledger.actors import Actor, SystemActor
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal

WORKER = SystemActor("worker", frozenset({"inference.delete_predictions"}))
log = logging.getLogger("inference.predictions")


@governed(permission="inference.govern_log", event="endpoint.log_set", on="endpoint")
def set_log(
    *, by: Actor, endpoint: Endpoint, level: str, mode: str, sample: int, days: int, reason: str
) -> Done[Endpoint]:
    """Set what is logged of an endpoint's predictions; every gateway does so within a second.

    Raises Refusal `level_unknown`, `mode_unknown`, `sample_invalid`, `days_invalid`, `reason_needed` or
    `nothing_changed`.
    """
    if fault := rules.fault_of(level, mode, sample, days):
        raise Refusal(fault.code, fault.sentence, fault.field)
    require_reason(reason)
    before = endpoint.log_facts()
    endpoint.log_level, endpoint.log_mode, endpoint.log_sample, endpoint.log_days = level, mode, sample, days
    after = endpoint.log_facts()
    if after == before:
        raise Refusal("nothing_changed", "This is what is set already. Change something, or leave it.")
    endpoint.save(update_fields=["log_level", "log_mode", "log_sample", "log_days"])
    facts = {"endpoint": endpoint.name, "before": before, "after": after}
    return Done(endpoint, facts=facts, discloses={"reason": reason.strip()})


@governed(permission="inference.read_inputs", event="prediction.opened", on="endpoint", lock=False)
def open_prediction(*, by: Actor, endpoint: Endpoint, prediction: Prediction) -> Done[Prediction]:
    """Record that somebody opens the inputs and outputs of a prediction. Raises Refusal `nothing_kept`."""
    if not prediction.has_content:
        sentence = "No inputs and outputs were kept of this prediction: the endpoint's level did not keep them."
        raise Refusal("nothing_kept", sentence)
    facts = {"endpoint": endpoint.name, "prediction": str(prediction.pk), "rows": prediction.rows}
    return Done(prediction, facts=facts)


def due(endpoint: Endpoint, today: datetime) -> datetime:
    """The moment before which its rows have been kept long enough: whole days, UTC."""
    midnight = datetime.combine(today.date(), time(), today.tzinfo)
    return midnight - timedelta(days=endpoint.log_days)


def over(endpoint: Endpoint, before: datetime) -> PredictionQuerySet:
    """Its rows of before a moment, without those whose deletion was decided already."""
    last = endpoint.prediction_deletions.first()
    return Prediction.objects.filter(endpoint=endpoint).between(last.before if last else None, before)


@governed(permission="inference.delete_predictions", event="endpoint.predictions_deleted", on="endpoint")
def delete_predictions(*, by: Actor, endpoint: Endpoint) -> Done[PredictionDeletion]:
    """Delete an endpoint's rows whose retention is over and which no legal hold covers. They go right after.

    Raises Refusal `retention_runs` or `legal_hold`.
    """
    before = due(endpoint, database_time())
    count = over(endpoint, before).count()
    if not count:
        raise Refusal("retention_runs", "There are no predictions of this endpoint whose time is over.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if holds := holds_over(endpoint, before):
        raise Refusal("legal_hold", f"A legal hold covers these predictions ({holds}). They go once it is lifted.")
    row = PredictionDeletion.objects.create(endpoint=endpoint, before=before, days=endpoint.log_days, rows=count)
    facts = {"endpoint": endpoint.name, "before": before.isoformat(), "days": endpoint.log_days, "rows": count}
    return Done(row, on=endpoint, facts=facts, changed=[row])


def holds_over(endpoint: Endpoint, before: datetime) -> int:
    """How many holds cover the endpoint or its model or team, or a period in which the rows may have come."""
    about = Event.objects.filter(object_type="inference.endpoint", object_id=str(endpoint.pk))
    with connection.cursor() as cursor:
        covered = covering(cursor, about.values_list("pk", flat=True))
    periods = Hold.objects.standing().filter(kind=Hold.Kind.PERIOD, since__lt=before)
    periods = periods.filter(Q(until=None) | Q(until__gt=endpoint.created_at))
    return len({*covered, *periods.values_list("pk", flat=True)})


def delete_due() -> dict[str, int]:
    """Delete the rows whose time is over. Safe to run twice, and to kill anywhere: what was begun is ended next time.

    Holds are looked at first, so that an endpoint that is held is not refused, and its refusal recorded, every hour.
    """
    count = {"endpoints": 0, "held": 0}
    now = database_time()
    for endpoint in Endpoint.objects.order_by("pk"):
        before = due(endpoint, now)
        if not over(endpoint, before).exists():
            continue
        if holds_over(endpoint, before):
            count["held"] += 1
            continue
        try:
            delete_predictions(by=WORKER, endpoint=endpoint)
            count["endpoints"] += 1
        except Refusal as refusal:
            log.warning("%s: %s", endpoint, refusal.sentence)
    return {**count, **carry_out()}


@mechanical("removes rows whose deletion is an event; where that was cut off, it is tried again")
def carry_out() -> dict[str, int]:
    """Partitions dropped, and rows deleted of those that stay."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT dropped, deleted FROM prediction_deletions()")
        (dropped, deleted) = cursor.fetchone()
    return {"dropped": dropped, "deleted": deleted}


def facts_of(endpoint: Endpoint) -> dict[str, Any]:
    """For the pages: what is logged, in words."""
    return {
        "level": rules.LEVELS[endpoint.log_level], "mode": rules.MODES[endpoint.log_mode],
        "sample": endpoint.log_sample if endpoint.log_level == "sampled" else None, "days": endpoint.log_days,
    }  # fmt: skip
