"""What a worker does for a trade-off report."""

from __future__ import annotations

from django.conf import settings

from fairness.computing import plain, stored, subjects, summary_of, watched
from fairness.roles import Roles
from fairness.services import TRADE_OFF, Computed
from fairness.tradeoff.report import trade_off_report
from jobs.running import Pulse
from registry import storage


def compute_trade_off(pulse: Pulse) -> Computed:
    """Raises DataProblem, ModelProblem, Refusal, Lost or Cancelled."""
    inputs = pulse.job.inputs
    version, dataset = subjects(inputs)
    with storage.local(dataset.artifact) as data, storage.local(version.artifact) as model:
        report = trade_off_report(
            data, Roles.from_mapping(inputs["roles"]), positive=inputs["positive"], model=model,
            decision=inputs["decision_rule"], dataset_digest=plain(inputs["dataset_digest"]),
            model_digest=plain(inputs["model_digest"]), revision=settings.VERSION, progress=watched(pulse),
        )  # fmt: skip
    summary = summary_of(inputs) | {
        "verdict": "", "sentence": report["result"]["sentence"], "schema": report["schema"],
        "attribute": report["attribute"],
    }  # fmt: skip
    return stored(TRADE_OFF, version, dataset, report, summary)
