"""Every act on a webhook. No event holds its secret, nor the path of its address, which is often one too."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, models, transaction

from ledger.actors import Actor, SystemActor
from ledger.anchors.addresses import Misconfigured, checked
from ledger.anchors.guard import leads_inside
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal, require_reason
from notifications.kinds import HOOKED
from notifications.models import Notification
from notifications.services import put
from notifications.webhooks import signing
from notifications.webhooks.models import Webhook, WebhookSecret
from notifications.webhooks.telling import a_test

WORKER = SystemActor("worker", frozenset({"notifications.retry_delivery"}))
MOST_OVERLAP_HOURS = 168
OVERLAP_HOURS = 24
MOST_SECRETS = 5
State = Webhook.State


@governed(permission="notifications.retry_delivery", event="webhook.added", on="team", lock=False)
def add_webhook(
    *, by: Actor, team: models.Model | None, name: str, url: str, kinds: Iterable[str]
) -> Done[tuple[Webhook, str]]:
    """The webhook and its secret, which is shown once. Without a team it is told of the whole house.

    Raises Refusal `webhook_name_needed`, `address_invalid`, `address_inside`, `unknown_kind` or `webhook_exists`.
    """
    given = checked_terms(name=name, url=url, kinds=kinds)
    hook = Webhook(team_id=team.pk if team is not None else None, made_by=by.identity.id, **given)
    keep(hook)
    return Done((hook, a_secret(hook)), on=hook, facts=facts_of(hook), discloses={"webhook_name": hook.name})


@governed(permission="notifications.retry_delivery", event="webhook.changed", on="webhook")
def change_webhook(
    *, by: Actor, webhook: Webhook, name: str | None = None, url: str | None = None, kinds: Iterable[str] | None = None
) -> Done[Webhook]:
    """What is None stays. Raises Refusal `nothing_changed`, and what `add_webhook` does."""
    wanted = {"name": name, "url": url, "kinds": kinds}
    given = checked_terms(**{key: value for key, value in wanted.items() if value is not None})
    changed = sorted(key for key, value in given.items() if value != getattr(webhook, key))
    if not changed:
        raise Refusal("nothing_changed", "This is how the webhook is already. Change something, or leave it.")
    for key in changed:
        setattr(webhook, key, given[key])
    keep(webhook)
    return Done(webhook, facts={**facts_of(webhook), "changed": changed}, discloses={"webhook_name": webhook.name})


@governed(permission="notifications.retry_delivery", event="webhook.secret_rotated", on="webhook")
def rotate_secret(
    *, by: Actor, webhook: Webhook, overlap_hours: int = OVERLAP_HOURS
) -> Done[tuple[Webhook, str]]:  # fmt: skip
    """A new secret, shown once. The one before signs too for so many hours; with 0 all before it end now.

    Raises Refusal `overlap_invalid` or `too_many_secrets`.
    """
    if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
        sentence = f"The old secret can go on for 0 to {MOST_OVERLAP_HOURS} hours."
        raise Refusal("overlap_invalid", sentence, "overlap_hours")
    now = database_time()
    if overlap_hours == 0:
        webhook.secrets.all().delete()
    else:
        webhook.secrets.filter(ends_at__lte=now).delete()
        webhook.secrets.filter(ends_at=None).update(ends_at=now + timedelta(hours=overlap_hours))
    if webhook.secrets.count() >= MOST_SECRETS:
        sentence = f"{MOST_SECRETS} secrets sign already. Wait until one ends, or let all of them end at once."
        raise Refusal("too_many_secrets", sentence, "overlap_hours")
    secret = a_secret(webhook)
    return Done((webhook, secret), facts={**facts_of(webhook), "overlap_hours": overlap_hours})


@governed(permission="notifications.retry_delivery", event="webhook.paused", on="webhook")
def pause_webhook(*, by: Actor, webhook: Webhook, reason: str) -> Done[Webhook]:
    """Tell it nothing until it is resumed. Raises Refusal `reason_needed` or `webhook_paused`."""
    require_reason(reason)
    stop(webhook)
    return Done(webhook, facts=facts_of(webhook), discloses={"webhook_name": webhook.name, "reason": reason.strip()})


@governed(permission="notifications.retry_delivery", event="webhook.paused", on="webhook")
def pause_gone(*, by: Actor, webhook: Webhook) -> Done[Webhook]:
    """Its receiver answered that it is gone for good (410). Raises Refusal `webhook_paused`."""
    webhook.gone_at = database_time()
    stop(webhook)
    return Done(webhook, facts={**facts_of(webhook), "gone": True}, discloses={"webhook_name": webhook.name})


@governed(permission="notifications.retry_delivery", event="webhook.resumed", on="webhook")
def resume_webhook(*, by: Actor, webhook: Webhook) -> Done[Webhook]:
    """Raises Refusal `not_paused`."""
    if webhook.state == State.ACTIVE:
        raise Refusal("not_paused", "This webhook is not paused, so there is nothing to resume.")
    webhook.state, webhook.gone_at = State.ACTIVE, None
    webhook.save(update_fields=["state", "gone_at"])
    return Done(webhook, facts=facts_of(webhook))


@governed(permission="notifications.retry_delivery", event="webhook.tested", on="webhook")
def send_test(*, by: Actor, webhook: Webhook) -> Done[Notification]:
    """Put a message of kind `ping` into the outbox. Raises Refusal `webhook_paused`."""
    if webhook.state == State.PAUSED:
        raise Refusal("webhook_paused", "This webhook is paused. Resume it, then send a test.")
    row = a_test(webhook)
    put([row])
    row = Notification.objects.get(number=row.number)
    return Done(row, facts={**facts_of(webhook), "notification": str(row.number)})


@governed(permission="notifications.retry_delivery", event="webhook.removed", on="webhook")
def remove_webhook(*, by: Actor, webhook: Webhook, reason: str) -> Done[None]:
    """With its secret and all that the outbox has for it. Raises Refusal `reason_needed`."""
    require_reason(reason)
    told = {"webhook_name": webhook.name, "reason": reason.strip()}
    Webhook.objects.filter(pk=webhook.pk).delete()
    return Done(None, facts=facts_of(webhook), discloses=told)


def checked_terms(**given: Any) -> dict[str, Any]:
    """What was given, put right. Raises Refusal."""
    if "name" in given:
        given["name"] = given["name"].strip()
        if not 1 <= len(given["name"]) <= 80:
            raise Refusal("webhook_name_needed", "Give it a name of up to 80 characters that says who is told.", "name")
    if "kinds" in given:
        wanted = set(given["kinds"])
        given["kinds"] = [kind for kind in HOOKED if kind in wanted]
        if not wanted or wanted - set(HOOKED):
            raise Refusal("unknown_kind", f"Choose at least one of: {', '.join(HOOKED)}.", "kinds")
    if "url" in given:
        given["url"] = given["url"].strip()
        check_address(given["url"])
    return given


def check_address(url: str) -> None:
    """Raises Refusal `address_invalid` or `address_inside`. Where it leads is looked at anew with each message."""
    internal = settings.WEBHOOK_INTERNAL_HOSTS
    try:
        host = urlsplit(checked(url, http=True)).hostname or ""
        checked(url, http=host in internal)
        host.encode("idna")
    except Misconfigured as error:
        raise Refusal("address_invalid", str(error), "url") from None
    except UnicodeError:
        raise Refusal("address_invalid", "The host of its address is no name. Check it.", "url") from None
    if "#" in url or len(url) > 500:
        sentence = "Its address has a part after #, which is never sent, or over 500 characters. Shorten it."
        raise Refusal("address_invalid", sentence, "url")
    if leads_inside(host, internal):
        sentence = "It leads to an address within. Ask whoever runs the portal to allow it, or give one outside."
        raise Refusal("address_inside", sentence, "url")


def keep(hook: Webhook) -> None:
    try:
        with transaction.atomic():
            hook.save()
    except IntegrityError:
        sentence = "A webhook to this address is there already, for the same work. Change it, or make it a new secret."
        raise Refusal("webhook_exists", sentence, "url") from None


def a_secret(hook: Webhook) -> str:
    secret = signing.new_secret()
    WebhookSecret.objects.create(webhook=hook, sealed=signing.seal(secret))
    return secret


def stop(webhook: Webhook) -> None:
    if webhook.state == State.PAUSED:
        raise Refusal("webhook_paused", "This webhook is paused already.")
    webhook.state = State.PAUSED
    webhook.save(update_fields=["state", "gone_at"])


def facts_of(hook: Webhook) -> dict[str, Any]:
    return {"webhook": str(hook.pk), "place": hook.place, "kinds": hook.kinds, "state": hook.state}
