"""What a worker holds while it works on a job, and the two ways in which it can lose it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.models import Job


@dataclass(frozen=True)
class Claim:
    """One attempt at a job. Only the attempt that the row names may write to it."""

    job: Job
    attempt: int


class Lost(Exception):
    """The job was given to another worker, or ended, while this one was away."""


class Cancelled(Exception):
    """Somebody asked for this job to stop."""
