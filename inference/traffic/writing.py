"""What gateway processes write: counts are added to those that are there, a process's row is replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from inference.traffic.models import GatewayProcess, Tally
from ledger.door import mechanical

# Endpoint, key (primary keys, None where there is none), artifact, code.
Kind = tuple[int | None, int | None, str, str]
# Requests, rows, rows decided with yes, the sum of latencies in microseconds, and a list of latencies by class.
Counts = Sequence[Any]
KEPT = {Tally.Span.MINUTE: timedelta(days=2), Tally.Span.HOUR: timedelta(days=400)}
FORGOTTEN = timedelta(days=1)
# Minutes and hours by the database's clock, which all processes share. A key that has gone meanwhile is not counted.
ADD = """
INSERT INTO inference_tally AS t
    (endpoint_id, key_id, artifact, code, span, at, requests, rows, positives, micros, classes)
SELECT g.endpoint, g.key, g.artifact, g.code, s.span, s.at, g.requests, g.rows, g.positives, g.micros, g.classes
FROM (VALUES {rows}) AS g (endpoint, key, artifact, code, requests, rows, positives, micros, classes),
     (VALUES (0, timestamptz 'epoch'), (60, date_trunc('minute', now())), (3600, date_trunc('hour', now(), 'UTC')))
         AS s (span, at)
ORDER BY g.endpoint, g.key, g.artifact, g.code, s.span
ON CONFLICT (endpoint_id, key_id, artifact, code, span, at) DO UPDATE SET
    requests = t.requests + excluded.requests, rows = t.rows + excluded.rows,
    positives = t.positives + excluded.positives, micros = t.micros + excluded.micros,
    classes = ARRAY(
        SELECT a + b FROM unnest(t.classes, excluded.classes) WITH ORDINALITY AS u (a, b, n) ORDER BY n
    )
"""
ROW = f"(%s::bigint, %s::bigint, %s, %s, {'%s::bigint, ' * 4}%s::bigint[])"


@mechanical("counts of requests; each prediction has its row in the prediction log")
def add(found: Mapping[Kind, Counts]) -> None:
    """All or nothing. Processes that add at the same time wait for each other in the same order."""
    if not found:
        return
    values: list[Any] = []
    for kind, counts in found.items():
        values += [*kind, *counts]
    with connection.cursor() as cursor:
        cursor.execute(ADD.format(rows=", ".join([ROW] * len(found))), values)


@mechanical("that a process of the gateway is alive, and how it is")
def appear(process: UUID, host: str, pid: int, seconds: float, said: Mapping[str, Any]) -> None:
    """`seconds` is how long it has been running."""
    now = Now()
    GatewayProcess.objects.update_or_create(
        pk=process,
        defaults={"seen_at": now, "said": said},
        create_defaults={
            "host": host[:255], "pid": pid, "started_at": now - timedelta(seconds=seconds), "seen_at": now,
            "said": said,
        },
    )  # fmt: skip


@mechanical("a process that ends in order takes its row with it")
def leave(process: UUID) -> None:
    GatewayProcess.objects.filter(pk=process).delete()


@mechanical("old counts by the minute and the hour, and processes that have long been silent")
def remove_old() -> int:
    """How many counts went. Those of all time stay."""
    GatewayProcess.objects.filter(seen_at__lt=Now() - FORGOTTEN).delete()
    old = Q()
    for span, age in KEPT.items():
        old |= Q(span=span, at__lt=Now() - age)
    gone, _ = Tally.objects.filter(old).delete()
    return gone
