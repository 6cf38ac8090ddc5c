"""Celery tasks: writing an export, and removing the files of old ones."""

from __future__ import annotations

from celery import shared_task

from audits import services
from jobs.claims import Claim
from jobs.running import Pulse, run
from ledger.refusals import Denied

# In seconds: first the work is told to stop, with a sentence on the job; then its process is ended.
PATIENCE = {"soft_time_limit": 3600, "time_limit": 3660}


@shared_task(name=services.WRITE_EXPORT, **PATIENCE)  # type: ignore[untyped-decorator]
def write_export(job_id: int) -> None:
    from audits.exports.making import Made, make
    from audits.models import Export

    def compute(pulse: Pulse) -> Made:
        export = Export.objects.with_parts().get(job=pulse.job)
        return make(export, pulse.claim.attempt, pulse.progress)

    def publish(claim: Claim, made: Made) -> None:
        by = services.OnBehalf(made.export.asked_by)
        services.publish_export(by=by, export=made.export, made=made, claim=claim)

    run(job_id, compute=compute, publish=publish, expected=(Denied,))


@shared_task(name="audits.remove_old_exports")  # type: ignore[untyped-decorator]
def remove_old_exports() -> int:
    return services.remove_old_files()
