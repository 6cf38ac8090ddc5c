"""Whether what counts at the gate is, row by row, what the log recorded, and whether that is sealed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Subquery

from ledger.canonical import canonical
from ledger.models import Anchor, Checkpoint, Record
from ledger.prepared import Prepared

KINDS = ("approvals.decision", "approvals.findingstep", "approvals.riskacceptance")
# What is signed is recorded by its signature alone.
SIGNED = {"approvals.decision": "decision.signed", "approvals.riskacceptance": "risk_acceptance.signed"}


def seals_of(rows: Iterable[Any], made: Collection[Any] = (), until: datetime | None = None) -> dict[Any, str]:
    """For each row `sealed`, `pending`, or `broken` where it is not what its event recorded. One query.

    `made` are rows of the act that asks, whose event is written only when it ends. With `until` only what was
    published by that moment seals.
    """
    wanted = list(rows)
    ids: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for each in wanted:
        ids[each._meta.label_lower].append(str(each.pk))
    if not wanted:
        found: Iterable[tuple[str, str, bytes, bool | None]] = ()
    elif until is None:
        found = RECORDED(settings.LOG_ORIGIN, *ids.values())
    else:
        found = recorded(settings.LOG_ORIGIN, ids, until)
    # The first record of a row counts: it never changes, so a later one could only be of a changed row.
    records = {(kind, pk): (bytes(state), bool(sealed)) for kind, pk, state, sealed in found}
    seals = {}
    for each in wanted:
        state, sealed = records.get((each._meta.label_lower, str(each.pk)), (b"", False))
        if each in made:
            seals[each] = "pending"
        elif state != canonical(each.as_record()):
            seals[each] = "broken"
        else:
            seals[each] = "sealed" if sealed else "pending"
    return seals


def recorded(origin: str, ids: Mapping[str, Sequence[str]], until: datetime | None = None) -> QuerySet[Record, Any]:
    """Kind, key, recorded bytes and whether that is sealed (by a moment), of rows by their kind; the newest first."""
    published = Checkpoint.objects.filter(origin=origin)
    published = published if until is None else published.filter(at__lte=until)
    newest = published.order_by("-size").values("size")[:1]
    sealed_by_then = ExpressionWrapper(Q(event__leaf__index__lt=Subquery(newest)), BooleanField())
    among = Q(pk=None)
    for kind, some in ids.items():
        by = Q(event__event=SIGNED[kind]) if kind in SIGNED else Q()
        among |= Q(object_type=kind, object_id__in=some) & by
    found = Record.objects.filter(among).order_by("-id")
    return found.values_list("object_type", "object_id", "bytes", sealed_by_then)


RECORDED = Prepared(
    lambda origin, *ids: recorded(origin, {kind: [one] for kind, one in zip(KINDS, ids, strict=True)}), *4 * [str]
)


def anchored(decisions: Iterable[Any], until: datetime | None = None) -> set[str]:
    """Keys of the decisions whose sealed event a checkpoint covers that has reached a place outside (by a moment)."""
    anchors = Anchor.objects.filter(origin=settings.LOG_ORIGIN)
    anchors = anchors if until is None else anchors.filter(at__lte=until)
    rows = Record.objects.filter(
        object_type="approvals.decision", object_id__in=[str(each.pk) for each in decisions],
        event__event="decision.signed", event__leaf__index__lt=Subquery(anchors.order_by("-size").values("size")[:1]),
    )  # fmt: skip
    return set(rows.values_list("object_id", flat=True))
