"""Asking for reports, and publishing what a worker has computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.text import slugify

from accounts.models import User
from fairness.checking import (
    MAX_WHOLE,
    OUTCOME_WORDS,
    check_countable,
    check_outcome,
    check_task,
    is_class,
    source_inputs,
    usable_column,
    with_outcome,
)
from fairness.declared import OUTCOMES_OF
from fairness.explanation.reasons import BASELINES, dictionary_of
from fairness.framing import framed_inputs
from fairness.problems import DataProblem
from fairness.roles import Roles
from fairness.rules import DEFAULT_RULE, Rule
from jobs.claims import Claim
from jobs.models import Job
from jobs.services import enqueue
from jobs.services import publish as end_job
from ledger.actors import Actor, SystemActor
from ledger.canonical import canonical
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry import storage
from registry.models import Artifact, Dataset, Evidence, Version
from registry.onnx.facts import ModelFacts
from registry.onnx.feeding import wanted_columns
from registry.onnx.problems import ModelProblem
from registry.processing.opening import check_here, check_there
from registry.services import add_evidence, artifact_of
from registry.services.datasets import rows_at_fault
from registry.services.evidence import facts_of
from registry.storage import Stored
from registry.training.services import trained_on

BIAS, EXPLANATION, COMPARISON = "bias_report", "explanation_report", "comparison_report"
LL144, TRADE_OFF = "ll144_audit", "trade_off_report"
KIND_WORDS = {
    BIAS: "Bias report", EXPLANATION: "Explanation report", COMPARISON: "Comparison of versions",
    LL144: "Local Law 144 calculations", TRADE_OFF: "Trade-off report",
}  # fmt: skip
KINDS = tuple(KIND_WORDS)
COMPUTE_BIAS, COMPUTE_EXPLANATION = "fairness.compute_bias_report", "fairness.compute_explanation_report"
COMPUTE_COMPARISON = "fairness.compute_comparison_report"
COMPUTE_LL144, COMPUTE_TRADE_OFF = "fairness.compute_ll144_audit", "fairness.compute_trade_off_report"
# Of a privileged self-test: not among the runs that are counted, for nobody else knows of it.
COMPUTE_SELF_TEST = "fairness.compute_self_test"
JOBS = (COMPUTE_BIAS, COMPUTE_EXPLANATION, COMPUTE_COMPARISON, COMPUTE_LL144, COMPUTE_TRADE_OFF)
TITLES = {
    EXPLANATION: "Explanation report with", LL144: "Local Law 144 calculations on", TRADE_OFF: "Trade-offs on",
}  # fmt: skip
SOURCES = {
    "model": "the model's own decisions, made here",
    "historical": "the decisions recorded in the dataset",
}
SOURCE_CHOICES = list(SOURCES.items())
SUBMITTED = "submitted"
SAID = SOURCES | {SUBMITTED: "predictions made elsewhere and submitted"}
WORKER = SystemActor("worker", frozenset({"fairness.publish_report"}))


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def request_bias_report(
    *, by: Actor, version: Version, dataset: Dataset, source: str, sensitive: Sequence[str] | None = None,
    rule: Mapping[str, Any] | None = None, further_rules: Sequence[Mapping[str, Any]] = (),
    reference: Mapping[str, str] | None = None, weight_kind: str = "survey",
) -> Done[Job]:  # fmt: skip
    """The job that compares groups' decisions; the same inputs asked twice are the same job.

    `sensitive` names columns of the dataset (default: all that are marked so), `rule` the test (default: impact ratio
    of selection rates at least 0.8), and `further_rules` what is judged with it as one family. `reference` names
    groups to compare with by attribute (default: the largest), `weight_kind` says what the dataset's weights are.
    Raises Refusal `source_unknown`, `rule_invalid`, `rule_twice`, `metric_needs_predictions`, `not_sensitive`,
    `no_sensitive_attribute`, `weights_unknown`, `label_missing`, `inputs_differ`, `threshold_missing`,
    `class_output_missing` and the others that a dataset can be at fault for.
    """
    inputs = bias_inputs(version, dataset, source, sensitive, rule, further_rules, reference, weight_kind)
    what = "the model's decisions on" if source == "model" else "decisions recorded in"
    return requested(by, version, COMPUTE_BIAS, inputs, f"Bias report on {version}: {what} {dataset}")


def bias_inputs(
    version: Version, dataset: Dataset, source: str, sensitive: Sequence[str] | None,
    rule: Mapping[str, Any] | None, further_rules: Sequence[Mapping[str, Any]], reference: Mapping[str, str] | None,
    weight_kind: str,
) -> dict[str, Any]:  # fmt: skip
    """What a bias report's job is given. Raises as `request_bias_report` does."""
    if source not in SOURCES:
        raise Refusal("source_unknown", f"The decisions are those of: {', '.join(SOURCES)}.", "source")
    test, further = family_of(rule, further_rules)
    strange = next((each for each in (test, *further) if each.metric != DEFAULT_RULE.metric), None)
    if source == "historical" and strange:
        raise Refusal(
            "metric_needs_predictions",
            "Recorded decisions have no predictions to compare with. Test their selection rate, or the model's own "
            "decisions.",
            "rule.metric" if strange is test else f"further_rules.{further.index(strange)}.metric",
        )
    roles = roles_of(version, dataset, sensitive, outcomes=tuple(OUTCOME_WORDS), by_membership=True)
    if strange and not roles.sensitive:
        raise Refusal(
            "metric_needs_attribute",
            "Of groups that are known by probabilities alone there is only a selection rate. Test that.",
            "rule.metric" if strange is test else f"further_rules.{further.index(strange)}.metric",
        )
    if roles.membership and not dataset.rows_here:
        sentence = (
            "Probabilities of membership are read row by row, and the rows of this dataset stay in a database. "
            "Register an extract as a file, or connect again without that role."
        )
        raise Refusal("rows_elsewhere", sentence, "dataset")
    if source == "model":
        check_fit(version, dataset)
    inputs = common_inputs(version, dataset, roles) | source_inputs(version, dataset, source, roles)
    inputs |= framed_inputs([test, *further], roles, dataset, reference or {}, weight_kind)
    inputs |= asked_anew(version, dataset)
    if trained := {str(each.pk): each.artifact.digest for each in trained_on(version)}:
        inputs["training"] = trained
    return inputs


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def submit_predictions(
    *, by: Actor, version: Version, dataset: Dataset, predictions: Sequence[Any] | None = None, task: str = "binary",
    at_least: float | None = None, scale: str | None = None, outcome: str | None = None, positive: str | None = None,
    sensitive: Sequence[str] | None = None, rule: Mapping[str, Any] | None = None,
    further_rules: Sequence[Mapping[str, Any]] = (), reference: Mapping[str, str] | None = None,
    weight_kind: str = "survey",
) -> Done[Job]:  # fmt: skip
    """The job that compares groups by predictions made elsewhere; the same inputs asked twice are the same job.

    `predictions` has one value a row in the dataset's order, else they are the dataset's prediction or score column:
    decisions as classes or, with `at_least`, scores that are positive from there on. `outcome` names the column to
    compare them with (default: the label), `positive` its positive class (default: the dataset's). Raises Refusal as
    `request_bias_report`, and `positive_class_missing`, `task_unknown`, `scale_unknown`, `threshold_invalid`,
    `threshold_missing`, `threshold_unused`, `predictions_missing`, `predictions_differ`, `prediction_invalid` or
    `column_missing`.
    """
    test, further = family_of(rule, further_rules)
    check_task(task, scale, at_least)
    if outcome is not None and outcome not in dataset.labels:
        roles = with_outcome(roles_of(version, dataset, sensitive, outcomes=None), dataset, outcome)
    else:
        roles = roles_of(version, dataset, sensitive, outcomes=OUTCOMES_OF[task], field="outcome")
    if task != "regression" and not (positive or dataset.positive_class):
        sentence = f"The dataset has no positive class. Say which value of “{roles.label}” counts as yes."
        raise Refusal("positive_class_missing", sentence, "positive")
    digest = None
    check_countable(dataset, task, given=predictions is not None, scored=at_least is not None)
    if predictions is not None:
        roles = replace(roles, prediction=None, score=None)
        digest = kept(predictions, dataset, numeric=at_least is not None).digest
    elif not usable_column(roles, task, at_least):
        raise Refusal(
            "predictions_missing",
            "Send predictions, one a row, or register the dataset with a column of decisions (role prediction) or, "
            "for a threshold, of scores (role score).",
            "predictions",
        )
    inputs = common_inputs(version, dataset, roles) | {
        "source": SUBMITTED, "task": task, "scale": scale, "at_least": at_least,
        "positive": positive or dataset.positive_class, "predictions": digest,
        **framed_inputs([test, *further], roles, dataset, reference or {}, weight_kind),
    }  # fmt: skip
    inputs |= asked_anew(version, dataset)
    if task == "regression":
        inputs["positive"] = f"at least {at_least:g}"
    return requested(
        by, version, COMPUTE_BIAS, inputs, f"Bias report on {version}: predictions submitted for {dataset}"
    )


def kept(predictions: Sequence[Any], dataset: Dataset, *, numeric: bool) -> Artifact:
    """The submitted values as a stored file. Raises Refusal `predictions_differ` or `prediction_invalid`."""
    if len(predictions) != dataset.rows:
        raise Refusal(
            "predictions_differ",
            f"There are {len(predictions):,} predictions for {dataset.rows:,} rows. Send one a row, in the dataset's "
            "order.",
            "predictions",
        )
    for row, value in enumerate(predictions, 1):
        fits = isinstance(value, int | float) and abs(value) <= MAX_WHOLE if numeric else is_class(value)
        if not fits:
            wanted = "a number" if numeric else "a class: a text, a number, true or false"
            raise Refusal(
                "prediction_invalid",
                f"The prediction for row {row:,} is {str(value)[:60]!r}, where {wanted} is wanted.",
                "predictions",
            )
    return artifact_of(storage.put([canonical(list(predictions))], limit=settings.MAX_UPLOAD_BYTES))


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def request_explanation_report(
    *, by: Actor, version: Version, dataset: Dataset, baseline: str = "just_passed"
) -> Done[Job]:
    """The job that explains which features move the model's score. Raises Refusal as for bias reports.

    `baseline` is a key of reasons.BASELINES (else Refusal `baseline_unknown`); features' plain words are those of the
    model card as it is now.
    """
    if baseline not in BASELINES:
        raise Refusal("baseline_unknown", f"The baseline is one of: {', '.join(BASELINES)}.", "baseline")
    roles = roles_of(version, dataset, None, outcomes=None)
    check_fit(version, dataset)
    inputs = common_inputs(version, dataset, roles) | {
        "source": "model", "baseline": baseline, "dictionary": dictionary_of(version.card, version.features)
    }  # fmt: skip
    return requested(by, version, COMPUTE_EXPLANATION, inputs, f"Explanation report on {version} with {dataset}")


@governed(permission="fairness.request_report", event="report.requested", on="version", lock=False)
def request_comparison_report(*, by: Actor, version: Version, dataset: Dataset, other: Version) -> Done[Job]:
    """The job that has both versions decide about the same rows. `other` is the one before.

    Raises Refusal `same_version`, `version_of_another_model`, and as for bias reports.
    """
    if other.pk == version.pk:
        raise Refusal("same_version", "A version is not compared with itself. Name another.", "other")
    if other.model_id != version.model_id:
        sentence = "That version is of another model. Name one of the same model."
        raise Refusal("version_of_another_model", sentence, "other")
    roles = roles_of(version, dataset, None)
    for one in (version, other):
        check_fit(one, dataset)
    inputs = common_inputs(version, dataset, roles) | {
        "source": "model", "other": str(other.pk), "other_digest": other.artifact.digest,
        "other_rule": other.decision_rule, "other_features": other.features,
    }  # fmt: skip
    subject = f"Comparison of {version} with version {other.number} on {dataset}"
    return requested(by, version, COMPUTE_COMPARISON, inputs, subject)


def requested(by: Actor, version: Version, kind: str, inputs: dict[str, Any], subject: str) -> Done[Job]:
    job = enqueue(
        kind=kind, inputs=inputs, team_id=version.team_id, subject=subject, by=by,
        subject_url=version.get_absolute_url(),
    )  # fmt: skip
    facts = {
        "job": str(job.pk), "kind": kind.split(".")[-1], "inputs": job.inputs_digest, "version": str(version.pk),
        "dataset": inputs["dataset"], "source": inputs["source"],
    }  # fmt: skip
    if inputs.get("predictions"):
        facts["predictions"] = inputs["predictions"]
    return Done(job, facts=facts)


def family_of(
    rule: Mapping[str, Any] | None, further_rules: Sequence[Mapping[str, Any]]
) -> tuple[Rule, list[Rule]]:  # fmt: skip
    """Raises Refusal `rule_invalid` or `rule_twice`."""
    test = rule_of(rule)
    further = [rule_of(each, f"further_rules.{place}") for place, each in enumerate(further_rules)]
    if len({test, *further}) <= len(further):
        raise Refusal("rule_twice", "Name each rule of the test once.", "further_rules")
    return test, further


def rule_of(given: Mapping[str, Any] | None, field: str = "rule") -> Rule:
    try:
        return Rule.from_mapping(given or {})
    except (ValueError, TypeError) as error:
        raise Refusal("rule_invalid", str(error), field) from error


def roles_of(
    version: Version, dataset: Dataset, sensitive: Sequence[str] | None, *,
    outcomes: Sequence[str] | None = ("label",), field: str = "dataset", by_membership: bool = False,
) -> Roles:  # fmt: skip
    """The parts that the dataset's columns play for this version, with the attributes to look at.

    `outcomes` are the kinds of outcome that fit, None where none is needed; `field` is where that is at fault.
    `by_membership` is for reports that read group-membership probabilities: with those, no column need be sensitive.
    """
    if dataset.team_id != version.team_id:
        sentence = "This dataset belongs to another team. Choose one of the version's own."
        raise Refusal("dataset_of_another_team", sentence, "dataset")
    check_there(dataset, "dataset")
    if too_many := rows_at_fault(dataset.rows):
        raise Refusal("too_many_rows", too_many, "dataset")
    marked = dataset.with_role("sensitive")
    likely = dataset.with_role("membership") if by_membership else []
    if not marked and not likely:
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
    if not chosen and not likely:
        raise Refusal("no_sensitive_attribute", "Choose at least one sensitive attribute to look at.", "sensitive")
    parts = {column["name"]: column["role"] for column in dataset.columns}
    if outcomes is not None:
        check_outcome(parts, outcomes, field)
    try:
        roles = Roles.from_columns(parts, features=version.features, labelled=outcomes is not None)
    except DataProblem as problem:
        raise Refusal(problem.code, problem.sentence, "dataset") from problem
    return Roles.from_mapping({**roles.as_dict(), "sensitive": chosen, "membership": likely})


def check_fit(version: Version, dataset: Dataset) -> None:
    """Raises Refusal `rows_elsewhere`, `bytes_not_here`, or `inputs_differ` when it lacks what the model takes."""
    check_here(dataset, "source")
    if not version.bytes_here:
        sentence = "Its bytes are not here, so it cannot be run here. Compare the decisions recorded in the dataset."
        raise Refusal("bytes_not_here", sentence, "source")
    facts = ModelFacts.from_dict(version.signature)
    try:
        wanted_columns(facts.inputs, [column["name"] for column in dataset.columns], version.features)
    except ModelProblem as problem:
        raise Refusal(problem.code, problem.sentence, "dataset") from problem


def asked_anew(version: Version, dataset: Dataset) -> dict[str, Any]:
    """What makes a question of its own of each that is asked once a report on a connection is there.

    Which rows are there now only the worker sees; while it looks, the same question is still one job.
    """
    if dataset.rows_here:
        return {}
    return {"after": Evidence.objects.filter(version=version, dataset=dataset).count()}


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
    title: str = ""
    # What is said of single rows: in the storage, but no part of the evidence that whoever sees the version may take.
    rows: Stored | None = None


@governed(permission="fairness.publish_report", event="report.published", on="version", lock=False)
def publish_report(*, by: Actor, version: Version, computed: Computed, claim: Claim) -> Done[Evidence]:
    """Make the report evidence and end the job, both or neither.

    Raises Lost or Cancelled, which leave nothing behind, where the job is no longer the worker's.
    """
    source = computed.summary["source"]
    evidence = add_evidence(
        version, kind=computed.kind, stored=computed.stored,
        title=computed.title or title_of(computed.kind, source, computed.dataset),
        filename=f"{slugify(f'{computed.kind}-{source}-{version}')}.json", media_type="application/json",
        provenance=provenance_of(source), produced_by=User.objects.get(opaque_id=claim.job.asked_by),
        dataset=computed.dataset, summary=computed.summary | {"job": str(claim.job.pk)},
    )  # fmt: skip
    if computed.rows:
        artifact_of(computed.rows)
    end_job(claim, result_url=reverse("report", args=[evidence.pk]))
    facts = facts_of(evidence) | {
        "job": str(claim.job.pk), "attempt": claim.attempt, "verdict": computed.summary["verdict"], "source": source
    }  # fmt: skip
    return Done(evidence, on=evidence, facts=facts)


def provenance_of(source: str) -> str:
    """A report on submitted predictions is as sure as they are: no policy takes it for one that is computed here."""
    return Evidence.Provenance.SUBMITTED if source == SUBMITTED else Evidence.Provenance.COMPUTED


def title_of(kind: str, source: str, dataset: Dataset) -> str:
    if kind in TITLES:
        return f"{TITLES[kind]} {dataset}"
    about = {"model": "model on", "historical": "decisions recorded in", SUBMITTED: "predictions submitted for"}
    return f"Bias report: {about[source]} {dataset}"
