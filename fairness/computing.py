"""What a worker does for a report: the stored files and the job's inputs in, the report's bytes and summary out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings

from fairness.bias import bias_report, canonical_bytes
from fairness.comparing import Side, comparison_report
from fairness.connected import connected
from fairness.dataset import Source
from fairness.explain import explanation
from fairness.framing import frame_of
from fairness.roles import Roles
from fairness.rules import Rule
from fairness.services import BIAS, COMPARISON, EXPLANATION, SUBMITTED, Computed
from fairness.submitting import as_array
from jobs.running import Pulse
from registry import storage
from registry.connecting.services import opened
from registry.models import Artifact, Dataset, Version


def compute_bias(pulse: Pulse) -> Computed:
    """Raises DataProblem, ModelProblem, Refusal, Lost or Cancelled."""
    inputs = pulse.job.inputs
    version, dataset = subjects(inputs)
    own: dict[str, Any] = {}
    with ExitStack() as files:
        model = files.enter_context(storage.local(version.artifact))
        data, digest = opened_for(files, dataset, inputs)
        own["training"], apart = training_files(files, inputs.get("training", {}), dataset)
        if inputs["source"] == "model":
            own |= {"model": model, "decision": inputs["decision_rule"], "model_digest": plain(inputs["model_digest"])}
        if inputs["source"] == SUBMITTED:
            own |= {name: inputs[name] for name in ("task", "scale", "at_least")} | sent(inputs)
        elif "task" in inputs:  # of an outcome that has not just two values
            own |= {"task": inputs["task"], "at_least": inputs.get("at_least")}
        report = bias_report(
            data, Roles.from_mapping(inputs["roles"]), positive=inputs["positive"], source=inputs["source"],
            rule=Rule.from_mapping(inputs["rule"]), dataset_digest=digest,
            further_rules=[Rule.from_mapping(each) for each in inputs.get("further_rules", ())],
            reference=inputs.get("reference"), weight_kind=inputs.get("weight_kind", "survey"),
            revision=settings.VERSION, progress=watched(pulse), **own,
        )  # fmt: skip
        report["warnings"] += apart
    result = report["result"]
    summary = summary_of(inputs) | {
        "verdict": result["verdict"], "passes": result["passes"], "sentence": result["sentence"],
        "rule": result["rule"], "family": result["family"], "schema": report["schema"],
        "attributes": {found["attribute"]: found["verdict"] for found in result["attributes"]},
        "frame": frame_of(report, purpose=dataset.purpose, marked=dataset.sensitive),
    }  # fmt: skip
    if elsewhere := report["provenance"].get("connection"):
        summary |= {"reproducible": elsewhere["reproducible"], "rows_hash": elsewhere["rows_hash"]}
    if inputs["source"] == SUBMITTED:
        summary |= {name: inputs[name] for name in ("task", "predictions")}
    elif "task" in inputs:
        summary["task"] = inputs["task"]
    if "further" in result:
        summary["further"] = [{"rule": each["rule"], "verdict": each["verdict"]} for each in result["further"]]
    return stored(BIAS, version, dataset, report, summary)


def opened_for(files: ExitStack, dataset: Dataset, inputs: Mapping[str, Any]) -> tuple[Path | Source, str | None]:
    """The dataset's file and digest; of a connection what is open there, whose digest is that of its rows now."""
    connection = dataset.connection
    if connection is None:
        return files.enter_context(storage.local(dataset.artifact)), plain(inputs["dataset_digest"])
    columns = {column["name"]: column["type"] for column in dataset.columns}
    there = connected(
        opened(connection), columns, document=plain(inputs["dataset_digest"]), snapshot=connection.snapshot,
        most=settings.MAX_DATASET_ROWS,
    )  # fmt: skip
    return files.enter_context(there), None


def training_files(
    files: ExitStack, training: Mapping[str, str], dataset: Dataset
) -> tuple[dict[str, Path | None], list[dict[str, str]]]:
    """By digest, what the version was trained on, None for rows that were deleted; and warnings about the others.

    Those stay elsewhere, or `dataset` does, so that nobody compares their rows. `training` is digests by dataset.
    """
    found: dict[str, Path | None] = {}
    apart = []
    for each in Dataset.objects.filter(pk__in=list(training)).with_parts():
        digest = plain(training[str(each.pk)])
        if not (each.rows_here and dataset.rows_here):
            sentence = (
                f"Whether rows are also in the training data {digest[:12]} is not known: the rows of one of the two "
                "stay in a database elsewhere."
            )
            apart.append({"code": "training_elsewhere", "sentence": sentence})
            continue
        found[digest] = None if each.deleted else files.enter_context(storage.local(each.artifact))
    return found, sorted(apart, key=lambda warning: warning["sentence"])


def compute_explanation(pulse: Pulse) -> Computed:
    """Raises DataProblem, ModelProblem, Refusal, Lost or Cancelled."""
    inputs = pulse.job.inputs
    version, dataset = subjects(inputs)
    with storage.local(dataset.artifact) as data, storage.local(version.artifact) as model:
        made = explanation(
            data, Roles.from_mapping(inputs["roles"]), model=model, decision=inputs["decision_rule"],
            dataset_digest=plain(inputs["dataset_digest"]), model_digest=plain(inputs["model_digest"]),
            dictionary=inputs.get("dictionary"), baseline=inputs.get("baseline", "just_passed"),
            revision=settings.VERSION, progress=watched(pulse),
        )  # fmt: skip
    report, rows = made.report, storage.put([canonical_bytes(made.rows)], limit=settings.MAX_UPLOAD_BYTES)
    summary = summary_of(inputs) | {
        "verdict": "", "sentence": report["result"]["sentence"], "schema": report["schema"],
        "method": report["method"]["name"],
        "rows": {"digest": rows.digest, "size": rows.size, "count": len(made.rows["rows"])},
    }  # fmt: skip
    return replace(stored(EXPLANATION, version, dataset, report, summary), rows=rows)


def sent(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The predictions that came with the question, checked against their digest; nothing where they are a column."""
    if inputs["predictions"] is None:
        return {}
    artifact = Artifact.objects.get(digest=inputs["predictions"])
    return {
        "predictions": as_array(json.loads(storage.read(artifact))), "predictions_digest": plain(artifact.digest)
    }  # fmt: skip


def compute_comparison(pulse: Pulse) -> Computed:
    """Raises DataProblem, ModelProblem, Refusal, Lost or Cancelled."""
    inputs = pulse.job.inputs
    version, dataset = subjects(inputs)
    other = Version.objects.select_related("artifact", "model").get(pk=inputs["other"])
    roles = Roles.from_mapping(inputs["roles"])
    with (
        storage.local(dataset.artifact) as data,
        storage.local(version.artifact) as model,
        storage.local(other.artifact) as before,
    ):
        report = comparison_report(
            data, roles, positive=inputs["positive"], dataset_digest=plain(inputs["dataset_digest"]),
            old=side(other, before, inputs["other_rule"], inputs["other_features"], inputs["other_digest"]),
            new=side(version, model, inputs["decision_rule"], roles.features, inputs["model_digest"]),
            revision=settings.VERSION, progress=watched(pulse),
        )  # fmt: skip
    summary = summary_of(inputs) | {
        "verdict": "", "sentence": report["result"]["sentence"], "schema": report["schema"], "other": str(other.pk),
        "other_artifact": inputs["other_digest"],
    }  # fmt: skip
    made = stored(COMPARISON, version, dataset, report, summary)
    return replace(made, title=f"Comparison with version {other.number} on {dataset}")


def side(version: Version, model: Path, decision: Mapping[str, Any], features: Sequence[str], digest: str) -> Side:
    return Side(f"Version {version.number}", model, decision, tuple(features), plain(digest))


def subjects(inputs: Mapping[str, Any]) -> tuple[Version, Dataset]:
    versions = Version.objects.select_related("artifact", "model")
    datasets = Dataset.objects.select_related("artifact", "connection")
    return versions.get(pk=inputs["version"]), datasets.get(pk=inputs["dataset"])


def summary_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What ties a report to the bytes that it is about; rules of policy read these keys."""
    return {
        "source": inputs["source"], "dataset_digest": inputs["dataset_digest"], "artifact": inputs["model_digest"],
        "decision_rule": inputs["decision_rule"], "sensitive": inputs["roles"]["sensitive"],
        "revision": settings.VERSION,
    }  # fmt: skip


def watched(pulse: Pulse) -> Any:
    return lambda fraction, phase: pulse.progress(fraction * 100, phase)


def plain(digest: str) -> str:
    """The hexadecimal digits of `sha256:…`."""
    return digest.partition(":")[2]


def stored(
    kind: str, version: Version, dataset: Dataset, report: Mapping[str, Any], summary: dict[str, Any]
) -> Computed:
    """Bytes first, row later: a file that nothing refers to does no harm."""
    kept = storage.put([canonical_bytes(report)], limit=settings.MAX_UPLOAD_BYTES)
    return Computed(kind, version, dataset, kept, summary)
