"""What the registry has workers do."""

from __future__ import annotations

from celery import shared_task

from registry.pinned.services import ask_all


@shared_task(name="registry.ask_upstreams")  # type: ignore[untyped-decorator]
def ask_upstreams() -> dict[str, int]:
    """Ask vendors' addresses which model version they run."""
    return ask_all()
