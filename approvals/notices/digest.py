"""The daily digest: what was collected for somebody, and what waits for them, expires or is overdue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import reduce
from operator import or_

from django.conf import settings
from django.db.models import Q

from accounts.granting.duties import Duty, duties
from accounts.models import Preference, User
from accounts.preferences.telling import message
from approvals.findings.listing import waiting
from approvals.listing import Inbox, Listed, inbox
from approvals.models import ReviewRequest
from approvals.workflow.findings import overdue
from ledger.events import database_time
from notifications import services
from notifications.kinds import DIGEST, KINDS
from notifications.models import Notification
from notifications.texts import written
from registry.attesting import owing

Duties = Callable[[User], Sequence[Duty]]


def none_more(person: User) -> list[Duty]:
    return []


def send_digests(at: datetime | None = None, more: Duties = none_more) -> int:
    """Put today's digest for everybody who has one into the outbox; how many. Each once a day, however often asked.

    `more` gives what else waits for somebody, of floors that this one does not know.
    """
    if not settings.MAIL_ON:
        return 0
    at = at or database_time()
    today = f"digest of {at.date().isoformat()}"
    kept: dict[str, list[Notification]] = defaultdict(list)
    for each in Notification.objects.filter(state=Notification.State.COLLECTED).order_by("pk"):
        kept[each.recipient].append(each)
    reminded = dict(Preference.objects.filter(kind="reminder").values_list("account", "way"))
    had = Notification.objects.filter(kind="digest", about=today).values("recipient")
    done = set(had.values_list("recipient", flat=True))
    sent = 0
    for person in User.objects.filter(is_active=True, kind=User.Kind.PERSON).order_by("pk").iterator(chunk_size=200):
        if str(person.opaque_id) not in done:
            wanted = reminded.get(person.pk, KINDS["reminder"].default) == DIGEST
            sent += send_one(person, today, kept[str(person.opaque_id)], at, remind=wanted, more=more)
    return sent


def with_a_part(person: User, rows: list[Listed]) -> list[Listed]:
    """Those requests that somebody made, owns or signed, among all that they may see."""
    hands = (
        "submitted_by", "revisions__submitted_by", "version__registered_by", "version__model__owner",
        "version__contributors", "decisions__signer",
    )  # fmt: skip
    part = reduce(or_, (Q(**{hand: person}) for hand in hands))
    theirs = ReviewRequest.objects.filter(part, pk__in=[row.request.pk for row in rows])
    kept = set(theirs.values_list("pk", flat=True)) if rows else set()
    return [row for row in rows if row.request.pk in kept]


def send_one(
    person: User, today: str, collected: list[Notification], at: datetime, *, remind: bool, more: Duties
) -> bool:
    person.keep_scopes()
    page = inbox(person) if remind else Inbox([], [], [], [])
    others = [*owing.duty(person, at), *duties(person), *more(person)] if remind else []
    answers = waiting(person) if remind else []
    mine = page.mine
    # What runs out is told when there is something else, not each day for a month: it has mails of its own.
    if not any((collected, mine, answers, others)):
        return False
    expiring = with_a_part(person, page.expiring)
    late = [row for row in answers if overdue(row.step.due, at)]
    subject, body = written(
        "digest", person=person, collected=collected, mine=mine, duties=others, expiring=expiring,
        overdue=late, answers=[row for row in answers if row not in late], at=at,
        count=len(mine) + len(answers) + len(others),
    )  # fmt: skip
    row = message(person, "digest", today, subject=subject, body=body, path="/")
    return services.put_digest(row, [each.pk for each in collected])
