"""What happened to an object, for its page: `{% include "audits/_timeline.html" with timeline=timeline %}`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import models
from django.urls import reverse

from accounts.models import User
from audits.reading import Entry, entries
from ledger.models import Event

SHOWN = 50


def of(obj: models.Model, user: User, *more: models.Model, until: datetime | None = None) -> list[Entry]:
    """The newest events on an object (and on `more` that belong to its story), for somebody who may see it.

    What was tried and refused, and the way to each entry, are for those who may read the log there.
    """
    readable = user.scope("audits.view_log")
    found = Event.objects.about(obj, *more)
    if until is not None:
        found = found.filter(time__lte=until)
    team = getattr(obj, "team_id", None)
    if not readable.covers(team):
        found = found.exclude(outcome="refused")
    return [
        replace(entry, url=reverse("audit-entry", args=[entry.event.pk]))
        if readable.covers(entry.event.team_id)
        else entry
        for entry in entries(found[:SHOWN])
    ]
