"""What the registry has workers do."""

from __future__ import annotations

from celery import shared_task

from registry.pinned.services import ask_all
from registry.processing.services import delete_due


@shared_task(name="registry.ask_upstreams")  # type: ignore[untyped-decorator]
def ask_upstreams() -> dict[str, int]:
    """Ask vendors' addresses which model version they run."""
    return ask_all()


@shared_task(name="registry.delete_expired_data")  # type: ignore[untyped-decorator]
def delete_expired_data() -> dict[str, int]:
    """Delete the rows of datasets whose retention is over, unless a legal hold covers them."""
    return delete_due()
