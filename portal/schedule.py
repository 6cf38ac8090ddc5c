"""What the scheduler has workers do, and how often. Each task is safe to run twice."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab


def every(seconds: float, task: str, expires: int) -> dict[str, Any]:
    """A run that no worker has taken after `expires` seconds is left out: the next one does its work."""
    return {"task": task, "schedule": seconds, "options": {"expires": expires}}


def schedule(digest_hour: int) -> dict[str, dict[str, Any]]:
    return {
        "reconcile-jobs": every(5.0, "jobs.reconcile", 10),
        "remove-old-exports": every(3600.0, "audits.remove_old_exports", 3000),
        "remove-old-packs": every(3600.0, "approvals.remove_old_packs", 3000),
        "ask-upstreams": every(3600.0, "registry.ask_upstreams", 3000),
        "delete-expired-data": every(3600.0, "registry.delete_expired_data", 3000),
        "remove-old-counts": every(3600.0, "inference.remove_old_counts", 3000),
        "make-prediction-partitions": every(3600.0, "inference.make_partitions", 3000),
        "delete-expired-predictions": every(3600.0, "inference.delete_expired_predictions", 3000),
        "anchor-checkpoints": every(60.0, "ledger.anchor_checkpoints", 50),
        "deliver-notifications": every(10.0, "notifications.deliver", 10),
        "deliver-webhooks": every(10.0, "notifications.deliver_webhooks", 10),
        "remove-old-notifications": every(3600.0, "notifications.remove_old", 3000),
        "release-receipts": every(10.0, "approvals.release_receipts", 10),
        "watch-approvals": every(3600.0, "approvals.watch_approvals", 3000),
        "run-due-batches": every(60.0, "inference.run_due_batches", 50),
        "remove-old-batches": every(3600.0, "inference.remove_old_batches", 3000),
        "send-digests": {
            "task": "inference.send_digests", "schedule": crontab(hour=digest_hour, minute=0),
            "options": {"expires": 12 * 3600},
        },
    }  # fmt: skip
