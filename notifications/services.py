"""Every write to the outbox: by the act that has something to tell, by whoever sends it, and by administrators."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from ledger.actors import Actor
from ledger.door import Done, governed, mechanical
from ledger.refusals import Refusal
from notifications.mail import Undelivered, post
from notifications.models import Notification

log = logging.getLogger(__name__)
# After each try that failed; when they are used up, half a day later, it is given up.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 480))
KEPT = timedelta(days=90)
AT_ONCE = 100
State = Notification.State


def put(messages: Iterable[Notification]) -> None:
    """Write messages into the outbox, within the act that has something to tell. What an address was told of the same
    kind about the same thing is not told again.
    """
    Notification.objects.bulk_create(messages, ignore_conflicts=True)


@dataclass(frozen=True)
class Claim:
    """A message that is being sent, and the one attempt that may say how that ended."""

    message: Notification
    attempt: int


def carry(message: Notification) -> None:
    CARRIERS[message.channel](message)


def by_mail(message: Notification) -> None:
    post(message.address, message.subject, message.body, str(message.number))


CARRIERS: dict[str, Callable[[Notification], None]] = {Notification.Channel.MAIL: by_mail}


@mechanical("takes a message to send it; what it speaks of has its own event")
def claim() -> Claim | None:
    """The message that has waited longest, for one sender alone; None when nothing is due."""
    with transaction.atomic():
        message = Notification.objects.due().select_for_update(skip_locked=True).first()
        if message is None:
            return None
        message.state, message.attempt, message.tries = State.SENDING, message.attempt + 1, message.tries + 1
        Notification.objects.filter(pk=message.pk).update(
            state=message.state, attempt=message.attempt, tries=message.tries, claimed_at=Now()
        )
    return Claim(message, message.attempt)


@mechanical("notes how sending a message ended; what it speaks of has its own event")
def finish(held: Claim, trouble: Undelivered | None) -> bool:
    """Whether this attempt was still the one: another may have taken the message over meanwhile."""
    mine = Notification.objects.filter(pk=held.message.pk, attempt=held.attempt, state=State.SENDING)
    if trouble is None:
        return bool(mine.update(state=State.SENT, ended_at=Now(), body="", error=""))
    error = trouble.sentence[:200]
    if trouble.final or held.message.tries > len(PAUSES):
        log.warning("message %s is given up: %s", held.message.pk, error)
        return bool(mine.update(state=State.FAILED, ended_at=Now(), error=error))
    pause = PAUSES[held.message.tries - 1]
    return bool(mine.update(state=State.WAITING, due_at=Now() + pause, error=error))


def deliver() -> dict[str, int]:
    """Send what is due, a hundred at most: at least once each, for a sender can die between server and row.

    Where the server is the trouble the round ends: it would keep a worker waiting for each message in turn.
    """
    told = {"sent": 0, "undelivered": 0}
    for _ in range(AT_ONCE):
        held = claim()
        if held is None:
            break
        trouble = None
        try:
            carry(held.message)
        except Undelivered as error:
            trouble = error
        finish(held, trouble)
        told["undelivered" if trouble else "sent"] += 1
        if trouble is not None and not trouble.alone:
            break
    return told


@mechanical("gives a message its text and sends it on its way, once what it speaks of is sealed")
def release(message: Notification, subject: str, body: str) -> bool:
    held = Notification.objects.filter(pk=message.pk, state=State.HELD)
    return bool(held.update(state=State.WAITING, subject=subject, body=body, due_at=Now()))


@mechanical("puts what was collected for somebody into one mail; each thing it speaks of has its own event")
def put_digest(digest: Notification, collected: Collection[int]) -> bool:
    """Whether there was none yet for this day and address: otherwise what was collected is kept for the next."""
    with transaction.atomic():
        put([digest])
        mine = Notification.objects.filter(number=digest.number).exists()
        if mine:
            kept = Notification.objects.filter(pk__in=collected, state=State.COLLECTED)
            kept.update(state=State.SENT, ended_at=Now(), body="")
    return mine


@mechanical("forgets that an address was told of something that is over, so that it is told when it happens again")
def forget(kind: str, abouts: Collection[str]) -> None:
    Notification.objects.filter(kind=kind, about__in=abouts, state=State.SENT).delete()


@mechanical("removes messages whose time is over, with the addresses in them")
def remove_old() -> int:
    over = Notification.objects.filter(state__in=(State.SENT, State.FAILED, State.COLLECTED))
    return over.filter(created_at__lt=Now() - KEPT).delete()[0]


@governed(permission="notifications.retry_delivery", event="notification.retried", on="notification")
def retry(*, by: Actor, notification: Notification) -> Done[Notification]:
    """Try a message again that was given up. Raises Refusal `not_failed`."""
    if notification.state != State.FAILED:
        raise Refusal("not_failed", "This message has not failed, so there is nothing to try again.")
    Notification.objects.filter(pk=notification.pk).update(state=State.WAITING, tries=0, due_at=Now(), ended_at=None)
    notification.refresh_from_db()
    facts = {"notification": str(notification.number), "kind": notification.kind, "attempt": notification.attempt}
    return Done(notification, facts=facts)
