"""Logged predictions whose time is over: deleted as an act, held by a hold, and nothing else let go."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from django.db import connection

from audits.erasing.services import lift_hold, place_hold
from inference.models import Feedback, Prediction, PredictionDeletion
from inference.predictions.models import floor
from inference.predictions.services import WORKER, delete_predictions, set_log
from inference.predictions.writing import make_partitions as partitions_ahead
from inference.tasks import delete_expired_predictions, make_partitions
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests.inference.world import a_key, a_prediction, an_endpoint

NOTHING = {"endpoints": 0, "held": 0, "dropped": 0, "deleted": 0}


def partitions():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'inference_prediction'::regclass ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def days_ago(owner_cursor, days):
    """A partition of a day that is over: nothing but the past makes one."""
    first = datetime.combine(database_time().date() - timedelta(days=days), time(), database_time().tzinfo)
    name = f"inference_prediction_{first:%Y%m%d}"
    owner_cursor.execute(
        f"CREATE TABLE {name} PARTITION OF inference_prediction FOR VALUES FROM (%s) TO (%s)",
        [str(floor(first)), str(floor(first + timedelta(days=1)))],
    )
    return name


def test_rows_go_when_their_time_is_over_and_no_other(cast, committing_db, owner_cursor):
    long, short = (an_endpoint(cast, environment=place) for place in ("production", "staging"))
    keys = {endpoint.pk: a_key(cast, endpoint)[0] for endpoint in (long, short)}
    old, older, empty = (days_ago(owner_cursor, days) for days in (8, 12, 20))
    rows = {
        (endpoint, days): a_prediction(endpoint, keys[endpoint.pk], days=days)
        for endpoint, days in [(long, 8), (short, 0), (short, 1), (short, 8), (short, 12)]
    }
    Feedback.objects.create(id=rows[short, 8].pk, endpoint=short, key=keys[short.pk], values=[1, 0])
    Feedback.objects.create(id=rows[long, 8].pk, endpoint=long, key=keys[long.pk], values=[1, 0])
    assert delete_expired_predictions() == {**NOTHING, "dropped": 1}
    assert empty not in partitions()
    with pytest.raises(Refusal) as caught:
        delete_predictions(by=WORKER, endpoint=short)
    assert caught.value.code == "retention_runs"
    with pytest.raises(Denied):
        delete_predictions(by=cast.model_owner, endpoint=short)
    set_log(by=cast.model_owner, endpoint=short, level="none", mode="fast", sample=1, days=7, reason="No need.")

    for hold in (
        {"kind": "team", "team": cast.team},
        {"kind": "model", "model": str(short.model_id)},
        {"kind": "period", "since": database_time() - timedelta(days=9)},
    ):
        held = place_hold(by=cast.risk_officer, reason="a lawsuit", **hold)
        assert delete_expired_predictions() == {**NOTHING, "held": 1}, hold
        with pytest.raises(Refusal) as caught:
            delete_predictions(by=WORKER, endpoint=short)
        assert caught.value.code == "legal_hold"
        lift_hold(by=cast.risk_officer, hold=held, reason="it is over")
    assert not PredictionDeletion.objects.exists()
    assert Prediction.objects.count() == 5

    assert delete_expired_predictions() == {"endpoints": 1, "held": 0, "dropped": 1, "deleted": 1}
    assert delete_expired_predictions() == NOTHING
    assert older not in partitions()
    assert old in partitions(), "another endpoint has rows of that day"
    left = {rows[key].pk for key in rows if key not in {(short, 8), (short, 12)}}
    assert set(Prediction.objects.values_list("pk", flat=True)) == left
    assert Feedback.objects.get().endpoint == long
    event = Event.objects.get(event="endpoint.predictions_deleted", outcome="done")
    assert (event.content["facts"]["rows"], event.content["facts"]["days"]) == (2, 7)
    assert event.object_id == str(short.pk)

    with pytest.raises(Exception, match="append-only"):
        owner_cursor.execute(f"DELETE FROM {old} WHERE id = %s", [str(rows[long, 8].pk)])  # noqa: S608
    with pytest.raises(Exception, match="append-only"):
        owner_cursor.execute(f"UPDATE {partitions()[-1]} SET code = 'x'")  # noqa: S608
    with pytest.raises(Exception, match="append-only"):
        owner_cursor.execute(f"TRUNCATE {partitions()[-1]}")
    with pytest.raises(Exception, match="append-only"):
        owner_cursor.execute("UPDATE inference_feedback SET at = now()")
    last = partitions()[-1]
    assert make_partitions() == 0
    assert partitions_ahead(9) == 2
    assert len([name for name in partitions() if name > last]) == 2
    assert partitions_ahead(9) == 0
