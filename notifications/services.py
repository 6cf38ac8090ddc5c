"""Every write to the outbox: by the act that has something to tell, by whoever sends it, and by administrators."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from ledger.actors import Actor
from ledger.door import Done, governed, mechanical
from ledger.refusals import Refusal
from notifications.mail import Undelivered
from notifications.models import Notification, Webhook

log = logging.getLogger(__name__)
# After each try that failed; when they are used up, half a day later, it is given up.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 480))
# A webhook has nobody who looks elsewhere meanwhile, so it is tried for three days.
WEBHOOK_PAUSES = (*PAUSES, timedelta(hours=12), timedelta(days=1), timedelta(days=1))
KEPT = timedelta(days=90)
Channel, State = Notification.Channel, Notification.State


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


@mechanical("takes a message to send it; what it speaks of has its own event")
def claim(channel: str = Channel.MAIL) -> Claim | None:
    """The message of a channel that has waited longest, for one sender alone; None when nothing is due."""
    with transaction.atomic():
        due = Notification.objects.due().filter(channel=channel)
        message = due.select_for_update(skip_locked=True).first()
        if message is None:
            return None
        message.state, message.attempt, message.tries = State.SENDING, message.attempt + 1, message.tries + 1
        Notification.objects.filter(pk=message.pk).update(
            state=message.state, attempt=message.attempt, tries=message.tries, claimed_at=Now()
        )
    return Claim(message, message.attempt)


@mechanical("notes how sending a message ended; what it speaks of has its own event")
def finish(held: Claim, trouble: Undelivered | None, answer: int | None = None) -> bool:
    """Whether this attempt was still the one: another may have taken the message over meanwhile."""
    message = held.message
    mine = Notification.objects.filter(pk=message.pk, attempt=held.attempt, state=State.SENDING)
    if trouble is None:
        kept = {} if message.channel == Channel.WEBHOOK else {"body": ""}
        return bool(mine.update(state=State.SENT, ended_at=Now(), error="", answer=answer, **kept))
    error = trouble.sentence[:200]
    pauses = WEBHOOK_PAUSES if message.channel == Channel.WEBHOOK else PAUSES
    if trouble.final or message.tries > len(pauses):
        log.warning("message %s is given up: %s", message.pk, error)
        return bool(mine.update(state=State.FAILED, ended_at=Now(), error=error, answer=answer))
    due = Now() + pauses[message.tries - 1]
    done = bool(mine.update(state=State.WAITING, due_at=due, error=error, answer=answer))
    if message.webhook_id is not None:
        # What else waits for the same receiver is not tried upon it now: each try could take its full time.
        soon = Now() + PAUSES[0]
        others = Notification.objects.filter(webhook=message.webhook_id, state=State.WAITING, due_at__lt=soon)
        with transaction.atomic():
            free = list(others.select_for_update(skip_locked=True).values_list("pk", flat=True))
            Notification.objects.filter(pk__in=free).update(due_at=soon)
    return done


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
    """Try again what was given up, or tell a webhook once more. Raises Refusal `not_failed` or `webhook_paused`."""
    if not notification.may_be_retried:
        raise Refusal("not_failed", "This message has not failed, so there is nothing to try again.")
    paused = Webhook.objects.filter(deliveries=notification, state=Webhook.State.PAUSED)
    if paused.exists():
        raise Refusal("webhook_paused", "Its webhook is paused. Resume it, then try again.")
    Notification.objects.filter(pk=notification.pk).update(state=State.WAITING, tries=0, due_at=Now(), ended_at=None)
    notification.refresh_from_db()
    facts = {"notification": str(notification.number), "kind": notification.kind, "attempt": notification.attempt}
    return Done(notification, facts=facts)
