"""The way to the broker: jobs are sent by the name of their task, and nobody waits for a broker that is away."""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from kombu.exceptions import KombuError

log = logging.getLogger(__name__)
PATIENCE = 1.0


def listening(url: str) -> bool:
    """Whether anything answers at a broker's address; the client library itself tries for six seconds to find out."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "redis+socket"):
        return True
    try:
        if parts.scheme == "redis+socket":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(PATIENCE)
                probe.connect(parts.path)
        else:
            socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), PATIENCE).close()
    except OSError:
        return False
    return True


def hand_over(task: str, job_id: int) -> bool:
    """Send a job to the workers; whether the broker took it."""
    try:
        if not listening(settings.CELERY_BROKER_URL):
            raise OSError("nothing listens at its address")
        current_app.send_task(task, args=[job_id], retry=False)
    except (KombuError, OSError) as error:
        log.warning("job %s waits for the broker: %s", job_id, error)
        return False
    return True
