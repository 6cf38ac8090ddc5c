"""Asking for the calculations of a bias audit under Local Law 144. The audit itself is an independent auditor's."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from fairness.ll144.asking import Ask, asked
from fairness.ll144.problems import Wrong
from fairness.ll144.schedule import check
from fairness.services import COMPUTE_LL144, check_fit, requested
from jobs.models import Job
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Dataset, Version
from registry.processing.opening import check_here


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def request_ll144_audit(*, by: Actor, version: Version, dataset: Dataset, **wanted: Any) -> Done[Job]:
    """The job that calculates rates and impact ratios; `wanted` is what `fairness.ll144.asking.asked` takes.

    The same inputs asked twice are the same job. Raises Refusal: the codes of `asked` and of `schedule.check`,
    `dataset_of_another_team`, `rows_elsewhere`, `column_missing`, `not_sensitive`, `bytes_not_here` and
    `inputs_differ`.
    """
    if dataset.team_id != version.team_id:
        sentence = "This dataset belongs to another team. Choose one of the version's own."
        raise Refusal("dataset_of_another_team", sentence, "dataset")
    check_here(dataset, "dataset")
    try:
        check(wanted.get("dates") or {}, database_time().date())
        ask = asked(**wanted)
    except Wrong as fault:
        raise Refusal(fault.code, fault.sentence, fault.field) from fault
    check_columns(dataset, ask)
    if ask.source == "model":
        check_fit(version, dataset)
    inputs = {
        "version": str(version.pk), "model_digest": version.artifact.digest, "decision_rule": version.decision_rule,
        "features": list(version.features), "dataset": str(dataset.pk), "dataset_digest": dataset.artifact.digest,
        "source": ask.source, "ask": ask.as_dict(), "revision": settings.VERSION,
    }  # fmt: skip
    return requested(by, version, COMPUTE_LL144, inputs, f"Local Law 144 calculations on {version} with {dataset}")


def check_columns(dataset: Dataset, ask: Ask) -> None:
    """Raises Refusal `not_sensitive` or `column_missing`."""
    marked, there = dataset.with_role("sensitive"), [column["name"] for column in dataset.columns]
    for field, name in (("sex", ask.sex), ("race", ask.race)):
        if name not in marked:
            sentence = f"“{name}” is not marked as sensitive in this dataset; these are: {', '.join(marked) or 'none'}."
            raise Refusal("not_sensitive", sentence, field)
    if ask.outcome and ask.outcome not in there:
        sentence = f"The dataset has no column “{ask.outcome}”. It has: {', '.join(there[:20])}."
        raise Refusal("column_missing", sentence, "outcome")
    if ask.outcome in (ask.sex, ask.race):
        raise Refusal("column_twice", "What the tool gave stands in a column of its own.", "outcome")
