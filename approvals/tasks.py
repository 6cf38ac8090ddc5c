"""Celery tasks: making an evidence pack, removing the files of old ones, and telling people."""

from __future__ import annotations

from celery import shared_task

from approvals.notices import receipts, watching
from approvals.pack import services
from jobs.claims import Claim
from jobs.running import Pulse, run
from ledger.refusals import Denied

# In seconds: first the work is told to stop, with a sentence on the job; then its process is ended.
PATIENCE = {"soft_time_limit": 1800, "time_limit": 1860}


@shared_task(name=services.WRITE_PACK, **PATIENCE)  # type: ignore[untyped-decorator]
def write_pack(job_id: int) -> None:
    from approvals.pack.making import Made, make
    from approvals.pack.models import EvidencePack

    def compute(pulse: Pulse) -> Made:
        pack = EvidencePack.objects.with_parts().get(job=pulse.job)
        return make(pack, pulse.claim.attempt, pulse.progress)

    def publish(claim: Claim, made: Made) -> None:
        by = services.OnBehalf(made.pack.asked_by)
        services.publish_pack(by=by, pack=made.pack, made=made, claim=claim)

    run(job_id, compute=compute, publish=publish, expected=(Denied,))


@shared_task(name="approvals.remove_old_packs")  # type: ignore[untyped-decorator]
def remove_old_packs() -> int:
    return services.remove_old_packs()


@shared_task(name="approvals.release_receipts")  # type: ignore[untyped-decorator]
def release_receipts() -> int:
    return receipts.release_receipts()


@shared_task(name="approvals.watch_approvals")  # type: ignore[untyped-decorator]
def watch_approvals() -> dict[str, int]:
    return watching.watch()
