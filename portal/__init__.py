"""The top floor: settings, URLs, pages that compose several apps, the demo and the supervisor."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
