"""Whether what is to be told reaches anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Min, Q
from django.db.models.functions import Now

from ledger.events import database_time
from notifications.models import Notification

LATE = 900  # seconds that a message may wait before the sending counts as late


@dataclass(frozen=True)
class MailState:
    """`state`: off, without a mail server; failing, when a message of the last day was given up; late; delivering."""

    state: str
    waiting: int
    oldest: float | None
    failed: int

    def as_dict(self) -> dict[str, object]:
        oldest = None if self.oldest is None else round(self.oldest, 1)
        return {"state": self.state, "waiting": self.waiting, "oldest_seconds": oldest, "failed_last_day": self.failed}


def mail_state() -> MailState:
    """One query over the two partial indexes. Raises django.db.Error."""
    failed = Q(state=Notification.State.FAILED, ended_at__gt=Now() - timedelta(days=1))
    waits = Q(state__in=(Notification.State.WAITING, Notification.State.SENDING))
    mails = Notification.objects.filter(waits | failed, channel=Notification.Channel.MAIL)
    found = mails.aggregate(
        waiting=Count("pk", filter=waits), oldest=Min("created_at", filter=waits), failed=Count("pk", filter=failed)
    )
    since = found["oldest"]
    oldest = (database_time() - since).total_seconds() if since else None
    late = oldest is not None and oldest > LATE
    state = "off" if not settings.MAIL_ON else "failing" if found["failed"] else "late" if late else "delivering"
    return MailState(state, found["waiting"], oldest, found["failed"])
