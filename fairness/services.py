"""Asking for reports, and publishing what a worker has computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.text import slugify

from accounts.models import User
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.rules import DEFAULT_RULE, Rule
from jobs.claims import Claim
from jobs.models import Job
from jobs.services import enqueue
from jobs.services import publish as end_job
from ledger.actors import Actor, SystemActor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry.models import Dataset, Evidence, Version
from registry.onnx.facts import ModelFacts
from registry.onnx.feeding import wanted_columns
from registry.onnx.problems import ModelProblem
from registry.services import add_evidence
from registry.services.evidence import facts_of
from registry.storage import Stored

BIAS, EXPLANATION = "bias_report", "explanation_report"
LL144, TRADE_OFF = "ll144_audit", "trade_off_report"
KINDS = (BIAS, EXPLANATION, LL144, TRADE_OFF)
KIND_WORDS = {
    BIAS: "Bias report", EXPLANATION: "Explanation report", LL144: "Local Law 144 calculations",
    TRADE_OFF: "Trade-off report",
}  # fmt: skip
COMPUTE_BIAS, COMPUTE_EXPLANATION = "fairness.compute_bias_report", "fairness.compute_explanation_report"
COMPUTE_LL144, COMPUTE_TRADE_OFF = "fairness.compute_ll144_audit", "fairness.compute_trade_off_report"
JOBS = (COMPUTE_BIAS, COMPUTE_EXPLANATION, COMPUTE_LL144, COMPUTE_TRADE_OFF)
TITLES = {
    EXPLANATION: "Explanation report with", LL144: "Local Law 144 calculations on", TRADE_OFF: "Trade-offs on",
}  # fmt: skip
SOURCES = {
    "model": "the model's own decisions, made here",
    "historical": "the decisions recorded in the dataset",
}
WORKER = SystemActor("worker", frozenset({"fairness.publish_report"}))


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def request_bias_report(
    *, by: Actor, version: Version, dataset: Dataset, source: str, sensitive: Sequence[str] | None = None,
    rule: Mapping[str, Any] | None = None,
) -> Done[Job]:  # fmt: skip
    """The job that compares groups' decisions; the same inputs asked twice are the same job.

    `sensitive` names columns of the dataset (default: all that are marked so), `rule` the test (default: impact ratio
    of selection rates at least 0.8). Raises Refusal `source_unknown`, `rule_invalid`, `metric_needs_predictions`,
    `not_sensitive`, `no_sensitive_attribute`, `inputs_differ` and the others that a dataset can be at fault for.
    """
    if source not in SOURCES:
        raise Refusal("source_unknown", f"The decisions are those of: {', '.join(SOURCES)}.", "source")
    test = rule_of(rule)
    if source == "historical" and test.metric != DEFAULT_RULE.metric:
        raise Refusal(
            "metric_needs_predictions",
            "Recorded decisions have no predictions to compare with. Test their selection rate, or the model's own "
            "decisions.",
            "rule.metric",
        )
    roles = roles_of(version, dataset, sensitive)
    if source == "model":
        check_fit(version, dataset)
    inputs = common_inputs(version, dataset, roles) | {"source": source, "rule": test.as_dict()}
    what = "the model's decisions on" if source == "model" else "decisions recorded in"
    return requested(by, version, COMPUTE_BIAS, inputs, f"Bias report on {version}: {what} {dataset}")


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def request_explanation_report(*, by: Actor, version: Version, dataset: Dataset) -> Done[Job]:
    """The job that explains which features move the model's score. Raises Refusal as for bias reports."""
    roles = roles_of(version, dataset, None)
    check_fit(version, dataset)
    inputs = common_inputs(version, dataset, roles) | {"source": "model"}
    return requested(by, version, COMPUTE_EXPLANATION, inputs, f"Explanation report on {version} with {dataset}")


def requested(by: Actor, version: Version, kind: str, inputs: dict[str, Any], subject: str) -> Done[Job]:
    job = enqueue(
        kind=kind, inputs=inputs, team_id=version.team_id, subject=subject, by=by,
        subject_url=version.get_absolute_url(),
    )  # fmt: skip
    facts = {
        "job": str(job.pk), "kind": kind.split(".")[-1], "inputs": job.inputs_digest, "version": str(version.pk),
        "dataset": inputs["dataset"], "source": inputs["source"],
    }  # fmt: skip
    return Done(job, facts=facts)


def rule_of(given: Mapping[str, Any] | None) -> Rule:
    try:
        return Rule.from_mapping(given or {})
    except (ValueError, TypeError) as error:
        raise Refusal("rule_invalid", str(error), "rule") from error


def roles_of(version: Version, dataset: Dataset, sensitive: Sequence[str] | None) -> Roles:
    """The parts that the dataset's columns play for this version, with the attributes to look at."""
    if dataset.team_id != version.team_id:
        sentence = "This dataset belongs to another team. Choose one of the version's own."
        raise Refusal("dataset_of_another_team", sentence, "dataset")
    marked = dataset.with_role("sensitive")
    if not marked:
        raise Refusal(
            "no_sensitive_attribute",
            "No column of this dataset is marked as sensitive, so there are no groups to compare. Register it again "
            "with the column marked.",
            "dataset",
        )
    if strangers := [name for name in sensitive or () if name not in marked]:
        sentence = f"“{strangers[0]}” is not marked as sensitive in this dataset; these are: {', '.join(marked)}."
        raise Refusal("not_sensitive", sentence, "sensitive")
    chosen = [name for name in marked if sensitive is None or name in sensitive]
    if not chosen:
        raise Refusal("no_sensitive_attribute", "Choose at least one sensitive attribute to look at.", "sensitive")
    parts = {column["name"]: column["role"] for column in dataset.columns}
    try:
        roles = Roles.from_columns(parts, features=version.features)
    except DataProblem as problem:
        raise Refusal(problem.code, problem.sentence, "dataset") from problem
    return Roles.from_mapping({**roles.as_dict(), "sensitive": chosen})


def check_fit(version: Version, dataset: Dataset) -> None:
    """Raises Refusal `bytes_not_here`, or `inputs_differ` when the dataset lacks what the model takes."""
    if not version.bytes_here:
        sentence = "Its bytes are not here, so it cannot be run here. Compare the decisions recorded in the dataset."
        raise Refusal("bytes_not_here", sentence, "source")
    facts = ModelFacts.from_dict(version.signature)
    try:
        wanted_columns(facts.inputs, [column["name"] for column in dataset.columns], version.features)
    except ModelProblem as problem:
        raise Refusal(problem.code, problem.sentence, "dataset") from problem


def common_inputs(version: Version, dataset: Dataset, roles: Roles) -> dict[str, Any]:
    """Everything that a report depends on: equal inputs are one job, and give equal bytes."""
    return {
        "version": str(version.pk), "model_digest": version.artifact.digest, "decision_rule": version.decision_rule,
        "dataset": str(dataset.pk), "dataset_digest": dataset.artifact.digest, "positive": dataset.positive_class,
        "roles": roles.as_dict(), "revision": settings.VERSION,
    }  # fmt: skip


@dataclass(frozen=True)
class Computed:
    """What a worker has made of a job: the report's stored bytes, and what the policy's rules read of it."""

    kind: str
    version: Version
    dataset: Dataset
    stored: Stored
    summary: dict[str, Any]


@governed(permission="fairness.publish_report", event="report.published", on="version", lock=False)
def publish_report(*, by: Actor, version: Version, computed: Computed, claim: Claim) -> Done[Evidence]:
    """Make the report evidence and end the job, both or neither.

    Raises Lost or Cancelled, which leave nothing behind, where the job is no longer the worker's.
    """
    source = computed.summary["source"]
    evidence = add_evidence(
        version, kind=computed.kind, title=title_of(computed.kind, source, computed.dataset), stored=computed.stored,
        filename=f"{slugify(f'{computed.kind}-{source}-{version}')}.json", media_type="application/json",
        provenance=Evidence.Provenance.COMPUTED, produced_by=User.objects.get(opaque_id=claim.job.asked_by),
        dataset=computed.dataset, summary=computed.summary | {"job": str(claim.job.pk)},
    )  # fmt: skip
    end_job(claim, result_url=reverse("report", args=[evidence.pk]))
    facts = facts_of(evidence) | {
        "job": str(claim.job.pk), "attempt": claim.attempt, "verdict": computed.summary["verdict"], "source": source
    }  # fmt: skip
    return Done(evidence, on=evidence, facts=facts)


def title_of(kind: str, source: str, dataset: Dataset) -> str:
    if kind in TITLES:
        return f"{TITLES[kind]} {dataset}"
    return f"Bias report: {'model on' if source == 'model' else 'decisions recorded in'} {dataset}"
