"""The reconciler, and how a worker's child process is kept in bounds."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any

from celery import shared_task
from celery.signals import worker_process_init
from django.conf import settings

from jobs import services
from jobs.memory import limit_data

PR_SET_PDEATHSIG = 1


@shared_task(name="jobs.reconcile")  # type: ignore[untyped-decorator]
def reconcile() -> dict[str, int]:
    return services.reconcile()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def keep_in_bounds(**details: Any) -> None:
    """Limit the memory of a child of the worker, and end it with its parent, so that no orphan works on."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    limit_data(settings.WORKER_MEMORY_BYTES)
