"""What workers do for the inference floor."""

from __future__ import annotations

from celery import shared_task

from inference.traffic import writing


@shared_task(name="inference.remove_old_counts")  # type: ignore[untyped-decorator]
def remove_old_counts() -> int:
    return writing.remove_old()
