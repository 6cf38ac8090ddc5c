"""The Celery application. Celery only carries jobs; the `Job` rows in PostgreSQL are the truth."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Celery runs Django's checks, for which it loads every page of the portal, and drops what they found.
os.environ.setdefault("CELERY_SKIP_CHECKS", "yes")
app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect  # type: ignore[untyped-decorator]
@beat_init.connect  # type: ignore[untyped-decorator]
def refuse_unsafe(**kwargs: Any) -> None:
    """Worker and scheduler refuse an unsafe production as the web process does."""
    import django

    django.setup()
    from portal import checks

    checks.refuse_unsafe()
