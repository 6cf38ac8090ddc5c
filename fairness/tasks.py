"""Celery tasks: each takes the primary key of a Job. The worker's libraries are imported in the bodies only."""

from __future__ import annotations

from celery import shared_task

from fairness import services
from fairness.problems import DataProblem
from fairness.selftest import services as selftest
from fairness.selftest.models import SelfTest
from jobs.claims import Claim
from jobs.running import run
from registry.onnx.problems import ModelProblem

FORESEEN = (DataProblem, ModelProblem)
# In seconds: first the work is told to stop, with a sentence on the job; then its process is ended.
PATIENCE = {"soft_time_limit": 3600, "time_limit": 3660}


def publish(claim: Claim, computed: services.Computed) -> None:
    services.publish_report(by=services.WORKER, version=computed.version, computed=computed, claim=claim)


@shared_task(name=services.COMPUTE_BIAS, **PATIENCE)  # type: ignore[untyped-decorator]
def compute_bias_report(job_id: int) -> None:
    from fairness.computing import compute_bias

    run(job_id, compute=compute_bias, publish=publish, expected=FORESEEN)


def keep(claim: Claim, computed: services.Computed) -> None:
    test = SelfTest.objects.get(job=claim.job)
    selftest.publish_self_test(by=services.WORKER, test=test, computed=computed, claim=claim)


@shared_task(name=services.COMPUTE_SELF_TEST, **PATIENCE)  # type: ignore[untyped-decorator]
def compute_self_test(job_id: int) -> None:
    from fairness.computing import compute_bias

    run(job_id, compute=compute_bias, publish=keep, expected=FORESEEN)


@shared_task(name=services.COMPUTE_EXPLANATION, **PATIENCE)  # type: ignore[untyped-decorator]
def compute_explanation_report(job_id: int) -> None:
    from fairness.computing import compute_explanation

    run(job_id, compute=compute_explanation, publish=publish, expected=FORESEEN)


@shared_task(name=services.COMPUTE_COMPARISON, **PATIENCE)  # type: ignore[untyped-decorator]
def compute_comparison_report(job_id: int) -> None:
    from fairness.computing import compute_comparison

    run(job_id, compute=compute_comparison, publish=publish, expected=FORESEEN)


@shared_task(name=services.COMPUTE_LL144, **PATIENCE)  # type: ignore[untyped-decorator]
def compute_ll144_audit(job_id: int) -> None:
    from fairness.ll144.computing import compute_ll144

    run(job_id, compute=compute_ll144, publish=publish, expected=FORESEEN)


@shared_task(name=services.COMPUTE_TRADE_OFF, **PATIENCE)  # type: ignore[untyped-decorator]
def compute_trade_off_report(job_id: int) -> None:
    from fairness.tradeoff.computing import compute_trade_off

    run(job_id, compute=compute_trade_off, publish=publish, expected=FORESEEN)
