"""Celery tasks: scoring a batch, asking for the runs that are due, and removing what is over."""

from __future__ import annotations

from celery import shared_task

from fairness.problems import DataProblem
from inference.batch import scheduling, services
from inference.batch.models import Batch
from inference.batch.problems import BatchProblem
from jobs.claims import Claim
from jobs.running import Pulse, run
from ledger.refusals import Denied
from registry.onnx.problems import ModelProblem

# In seconds: first the work is told to stop, with a sentence on the job; then its process is ended. What was scored
# until then stands, and the job can be tried again.
PATIENCE = {"soft_time_limit": 6 * 3600, "time_limit": 6 * 3600 + 60}


@shared_task(name=services.SCORE, **PATIENCE)  # type: ignore[untyped-decorator]
def score_batch(job_id: int) -> None:
    from inference.batch.scoring import score

    def compute(pulse: Pulse) -> services.Scored:
        return score(Batch.objects.with_parts().get(job=pulse.job), pulse.claim, pulse.progress)

    run(job_id, compute=compute, publish=publish, expected=(BatchProblem, DataProblem, ModelProblem, Denied))


def publish(claim: Claim, scored: services.Scored) -> None:
    act = services.publish_batch if scored.stopped is None else services.stop_batch
    act(by=services.WORKER, batch=scored.batch, scored=scored, claim=claim)
    services.clear_parts(scored.batch)


@shared_task(name="inference.run_due_batches")  # type: ignore[untyped-decorator]
def run_due_batches() -> dict[str, int]:
    return scheduling.run_due()


@shared_task(name="inference.remove_old_batches")  # type: ignore[untyped-decorator]
def remove_old_batches() -> int:
    return services.remove_old_batches()
