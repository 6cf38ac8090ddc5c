"""Asking what less disparity would cost. Nothing that is found is ever applied here."""

from __future__ import annotations

from fairness.services import (
    COMPUTE_TRADE_OFF,
    LL144,
    check_fit,
    common_inputs,
    requested,
    roles_of,
)
from jobs.models import Job
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry.models import Dataset, Evidence, Version

UNLAWFUL = (
    "In employment in the United States, cut-offs that differ by group are unlawful (42 USC 2000e-2(l)), so they are "
    "not looked at. Compare the versions that were submitted instead."
)


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def request_trade_off_report(
    *, by: Actor, version: Version, dataset: Dataset, sensitive: str, us_employment: bool
) -> Done[Job]:
    """The job that weighs disparity between the groups of one attribute against accuracy.

    `us_employment` says whether the model takes part in hiring, promotion or another decision of employment in the
    United States: then it is refused, as it is where figures for New York City's law on hiring tools were calculated.
    Raises Refusal `group_cut_offs_unlawful`, `weights_not_taken` and those of a bias report.
    """
    hiring = Evidence.objects.filter(version__model=version.model_id, kind=LL144).exists()
    if us_employment or hiring:
        raise Refusal("group_cut_offs_unlawful", UNLAWFUL, "us_employment")
    roles = roles_of(version, dataset, [sensitive])
    if roles.weight:
        sentence = (
            f"Rows of this dataset are weighted by “{roles.weight}”; thresholds are set on rows that count alike."
        )
        raise Refusal("weights_not_taken", sentence, "dataset")
    check_fit(version, dataset)
    inputs = common_inputs(version, dataset, roles) | {"source": "model"}
    return requested(by, version, COMPUTE_TRADE_OFF, inputs, f"Trade-offs of {version} by {sensitive} on {dataset}")
