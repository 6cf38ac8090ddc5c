"""Carries what is due, each message by its channel: at least once, for a sender can die between server and row."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from cryptography.fernet import InvalidToken
from django.conf import settings

from ledger.anchors import http
from ledger.anchors.guard import connect_outside
from ledger.anchors.targets import Failed
from ledger.events import database_time
from ledger.refusals import Refusal
from notifications.mail import Undelivered, post
from notifications.models import Notification
from notifications.services import claim, finish
from notifications.webhooks import services, signing
from notifications.webhooks.models import Webhook

AT_ONCE = 100
# A receiver can take twelve seconds to fail: a round has to end before its task is ended.
ROUND_SECONDS = 300.0
GONE = 410
Channel = Notification.Channel


def by_mail(message: Notification) -> None:
    post(message.address, message.subject, message.body, str(message.number))


def by_webhook(message: Notification) -> int:
    """Post it, signed as of now; the status of the answer. Raises Undelivered.

    No redirect is followed, and no address within is reached that is not allowed, whatever its name says by now.
    """
    hook = Webhook.objects.filter(deliveries=message).first()
    if hook is None or hook.state == Webhook.State.PAUSED:
        raise Undelivered("The webhook is paused. Resume it, then try again.", final=True, alone=True)
    try:
        secrets = [signing.unseal(bytes(each.sealed)) for each in hook.signing(database_time())]
    except InvalidToken:
        sentence = "Its secret can no longer be read, because the portal's key was changed. Rotate it, then try again."
        raise Undelivered(sentence, final=True, alone=True) from None
    body = message.body.encode()
    headers = {
        "Content-Type": "application/cloudevents+json; charset=utf-8", "User-Agent": f"countersign/{settings.VERSION}",
        **signing.headers(str(message.number), int(time.time()), body, secrets),
    }  # fmt: skip
    try:
        answer = http.send(
            "POST", hook.url, headers=headers, body=body, connect=connect_outside(settings.WEBHOOK_INTERNAL_HOSTS)
        )
    except Failed as failed:
        raise Undelivered(failed.sentence, final=failed.code == "not_public", alone=True) from None
    if answer.status == GONE:
        settle_gone(hook)
        sentence = "The receiver said that it is gone for good (410), so the webhook was paused."
        raise Undelivered(sentence, final=True, alone=True, status=GONE)
    if not 200 <= answer.status < 300:
        sentence = f"The receiver answered with status {answer.status}."
        raise Undelivered(sentence, alone=True, status=answer.status)
    return answer.status


def settle_gone(hook: Webhook) -> None:
    """Pause it, unless somebody did meanwhile, or has given it another address."""
    same = Webhook.objects.active().filter(pk=hook.pk, url=hook.url).first()
    if same is not None:
        with suppress(Refusal):
            services.pause_gone(by=services.WORKER, webhook=same)


CARRIERS: dict[str, Callable[[Notification], int | None]] = {Channel.MAIL: by_mail, Channel.WEBHOOK: by_webhook}


def deliver(channel: str = Channel.MAIL) -> dict[str, int]:
    """Send what is due by one channel, a hundred at most.

    Where the server itself is the trouble the round ends: it would keep a worker waiting for each message in turn. Of
    webhooks each has a server of its own, and one that fails is left alone for a while.
    """
    told, until = {"sent": 0, "undelivered": 0}, time.monotonic() + ROUND_SECONDS
    for _ in range(AT_ONCE):
        held = claim(channel) if time.monotonic() < until else None
        if held is None:
            break
        trouble, status = None, None
        try:
            status = CARRIERS[channel](held.message)
        except Undelivered as error:
            trouble, status = error, error.status
        finish(held, trouble, status)
        told["undelivered" if trouble else "sent"] += 1
        if trouble is not None and not trouble.alone:
            break
    return told
