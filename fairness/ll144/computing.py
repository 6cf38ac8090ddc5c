"""What a worker does for the calculations of a bias audit: files and the job's inputs in, bytes and summary out."""

from __future__ import annotations

from django.conf import settings

from fairness.computing import plain, stored, subjects, watched
from fairness.ll144.asking import Ask
from fairness.ll144.counting import Model
from fairness.ll144.report import ll144_report
from fairness.services import LL144, Computed
from jobs.running import Pulse
from registry import storage


def compute_ll144(pulse: Pulse) -> Computed:
    """Raises DataProblem, ModelProblem, Refusal, Lost or Cancelled."""
    inputs = pulse.job.inputs
    version, dataset = subjects(inputs)
    ask = Ask.from_mapping(inputs["ask"])
    with storage.local(dataset.artifact) as data, storage.local(version.artifact) as bytes_of_model:
        made_here = ask.source == "model"
        model = Model(bytes_of_model, inputs["decision_rule"], tuple(inputs["features"])) if made_here else None
        report = ll144_report(
            data, ask, model=model, dataset_digest=plain(inputs["dataset_digest"]),
            model_digest=plain(inputs["model_digest"]), revision=settings.VERSION, progress=watched(pulse),
        )  # fmt: skip
    summary = {
        "source": ask.source, "dataset_digest": inputs["dataset_digest"], "artifact": inputs["model_digest"],
        "decision_rule": inputs["decision_rule"], "sensitive": [ask.sex, ask.race], "revision": settings.VERSION,
        # Local Law 144 has no pass mark, so there is no verdict.
        "verdict": "", "sentence": report["result"]["sentence"], "schema": report["schema"],
        "audit_date": ask.dates["audit_date"],
    }  # fmt: skip
    return stored(LL144, version, dataset, report, summary)
