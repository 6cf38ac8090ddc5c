"""What pages and the API say of an erasure or a hold beside its own columns."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from accounts.models import User
from audits.erasing.choosing import SHOWN, copies, holds_over
from audits.erasing.models import Erasure, Hold
from audits.models import Export
from ledger.models import Disclosure, Event
from ledger.reading import seals_of


def told(obj: models.Model, event: str, label: str) -> str:
    """The words that an act on this object disclosed; "" where there were none, or they are erased."""
    found = Disclosure.objects.filter(
        event__object_type=obj._meta.label_lower, event__object_id=str(obj.pk), event__event=event, label=label
    )
    return found.values_list("value", flat=True).first() or ""


def subject_of(erasure: Erasure) -> User | None:
    return User.objects.filter(opaque_id=erasure.subject).first() if erasure.kind == Erasure.Kind.PERSON else None


def events_of(erasure: Erasure) -> list[uuid.UUID]:
    return sorted(set(erasure.items.values_list("event", flat=True)))


def by_label(erasure: Erasure) -> list[tuple[str, int]]:
    return list(erasure.items.values_list("label").annotate(count=models.Count("id")).order_by("label"))


def entries_of(erasure: Erasure, user: User) -> list[tuple[Event, bool]]:
    """The newest entries that lose something, at most SHOWN, each with whether `user` may read it."""
    newest = events_of(erasure)[::-1][:SHOWN]
    readable = set(Event.objects.visible_to(user).filter(pk__in=newest).values_list("pk", flat=True))
    return [(event, event.pk in readable) for event in Event.objects.filter(pk__in=newest).order_by("-pk")]


def in_the_way(erasure: Erasure) -> list[Hold]:
    """Holds that cover an erasure which is not over."""
    if erasure.state not in (Erasure.State.REQUESTED, Erasure.State.APPROVED):
        return []
    return list(holds_over(events_of(erasure), erasure.subject if erasure.kind == Erasure.Kind.PERSON else ""))


def waits_for_seal(erasure: Erasure) -> bool:
    approvals = Event.objects.filter(
        object_type="audits.erasure", object_id=str(erasure.pk), event="erasure.approved", outcome="done"
    )
    return erasure.state == Erasure.State.APPROVED and None in seals_of(approvals).values()


def copies_of(erasure: Erasure) -> list[Export]:
    return copies(events_of(erasure), erasure.carried_out_at)


def said_of(erasure: Erasure) -> dict[str, Any]:
    """Reason, and what was said when it was decided."""
    decided = told(erasure, "erasure.approved", "note") or told(erasure, "erasure.rejected", "reason")
    return {"reason": told(erasure, "erasure.requested", "reason"), "note": decided}
