"""What workers do for the outbox. All of it is safe to run twice, and to kill anywhere."""

from __future__ import annotations

from celery import shared_task

from notifications import sending, services
from notifications.models import Notification


@shared_task(name="notifications.deliver", time_limit=600)  # type: ignore[untyped-decorator]
def deliver() -> dict[str, int]:
    return sending.deliver()


@shared_task(name="notifications.deliver_webhooks", time_limit=600)  # type: ignore[untyped-decorator]
def deliver_webhooks() -> dict[str, int]:
    """Apart from mail, which waits for no receiver of a webhook."""
    return sending.deliver(Notification.Channel.WEBHOOK)


@shared_task(name="notifications.remove_old")  # type: ignore[untyped-decorator]
def remove_old() -> int:
    return services.remove_old()
