"""What workers do for the outbox. All of it is safe to run twice, and to kill anywhere."""

from __future__ import annotations

from celery import shared_task

from notifications import services


@shared_task(name="notifications.deliver", time_limit=600)  # type: ignore[untyped-decorator]
def deliver() -> dict[str, int]:
    return services.deliver()


@shared_task(name="notifications.remove_old")  # type: ignore[untyped-decorator]
def remove_old() -> int:
    return services.remove_old()
