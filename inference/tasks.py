"""What workers do for the inference floor."""

from __future__ import annotations

from celery import shared_task

from approvals.notices import digest
from inference.batch import tasks as batch
from inference.keyrequests.duties import duties
from inference.predictions import services as predictions
from inference.predictions import writing as log
from inference.traffic import writing

__all__ = ["batch", "delete_expired_predictions", "make_partitions", "remove_old_counts", "send_digests"]


@shared_task(name="inference.remove_old_counts")  # type: ignore[untyped-decorator]
def remove_old_counts() -> int:
    return writing.remove_old()


@shared_task(name="inference.make_partitions")  # type: ignore[untyped-decorator]
def make_partitions() -> int:
    """Make the prediction log's partitions for the days to come."""
    return log.make_partitions()


@shared_task(name="inference.delete_expired_predictions")  # type: ignore[untyped-decorator]
def delete_expired_predictions() -> dict[str, int]:
    """Delete logged predictions whose retention is over, unless a legal hold covers them."""
    return predictions.delete_due()


@shared_task(name="inference.send_digests")  # type: ignore[untyped-decorator]
def send_digests() -> int:
    """The daily digest, with keys to decide about and to take."""
    return digest.send_digests(more=duties)
