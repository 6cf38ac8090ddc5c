"""What has to be so before a batch is run: a version that may serve here, and rows that this account may open."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.models import User
from inference.batch.asking import terms_of
from inference.batch.problems import BatchProblem
from inference.batch.values import SHOWN, columns_of
from inference.models import Endpoint
from ledger.refusals import Denied, Refusal
from registry.connecting.services import opened
from registry.models import Dataset, Upload, Version
from registry.onnx.facts import ModelFacts
from registry.processing.opening import check_open, check_rows_in
from registry.services.datasets import rows_at_fault
from registry.services.uploads import usable_upload

MOST_KEYS = 8


def servable(endpoint: Endpoint) -> Version:
    version = endpoint.version
    if version is None:
        raise Refusal("unbound", "The endpoint is bound to no version. Bind one on the endpoint's page.")
    if not version.bytes_here:
        raise Refusal("bytes_not_here", "The bytes of its version are not here, so no batch of it can be run here.")
    return version


def hindrance(endpoint: Endpoint) -> str:
    """Why no batch can be run there now, or ""."""
    try:
        terms_of(servable(endpoint), endpoint)
    except Refusal as refusal:
        return refusal.sentence
    return ""


def checked_source(
    account: User, endpoint: Endpoint, version: Version, dataset: Dataset | None, upload: Upload | None
) -> dict[str, str]:
    """What is to be scored, as a job's inputs name it, after it was checked that this account may use it."""
    if dataset is not None and upload is None:
        check_dataset(account, endpoint, version, dataset)
        source = {"kind": "dataset", "id": str(dataset.pk), "artifact": dataset.artifact.digest}
        return source if dataset.rows_here else source | {"connection": str(dataset.connection_id)}
    if upload is not None and dataset is None:
        artifact = usable_upload(upload, endpoint.team_id)
        check_rows_in(account, artifact)
        return {"kind": "upload", "id": str(upload.pk), "artifact": artifact.digest}
    raise Refusal("rows_needed", "Name the rows to score: a dataset, or a file. One of the two.", "dataset")


def check_dataset(account: User, endpoint: Endpoint, version: Version | None, dataset: Dataset) -> None:
    if dataset.team_id != endpoint.team_id:
        sentence = "This dataset belongs to another team. Choose one of the endpoint's own."
        raise Refusal("dataset_of_another_team", sentence, "dataset")
    check_rows(account, dataset)
    if dataset.connection is not None:
        opened(dataset.connection)
    elif too_many := rows_at_fault(dataset.rows):
        raise Refusal("too_many_rows", too_many, "dataset")
    if version is not None:
        facts = ModelFacts.from_dict(version.signature)
        try:
            columns_of(facts.inputs, [column["name"] for column in dataset.columns], version.features)
        except BatchProblem as problem:
            raise Refusal(problem.code, problem.sentence, "dataset") from problem


def check_rows(account: User, dataset: Dataset) -> None:
    """Raises Denied, or Refusal `data_deleted` or `rows_closed`."""
    if not account.has_perm("registry.read_rows", dataset):
        raise Denied("registry.read_rows")
    check_open(account, dataset)


def check_keys(dataset: Dataset | None, keys: Sequence[str]) -> None:
    """Raises Refusal `keys_unused`, `keys_invalid` or `column_missing`."""
    if not keys:
        return
    if dataset is None or dataset.rows_here:
        sentence = "Rows of a file are known by their number. Name keys only for rows of a connected database."
        raise Refusal("keys_unused", sentence, "keys")
    if len(set(keys)) != len(keys) or len(keys) > MOST_KEYS:
        raise Refusal("keys_invalid", f"Name up to {MOST_KEYS} columns, each of them once.", "keys")
    names = {column["name"] for column in dataset.columns}
    if missing := next((name for name in keys if name not in names), None):
        sentence = f"The dataset has no column “{missing[:SHOWN]}”. Name a key as the dataset's page does."
        raise Refusal("column_missing", sentence, "keys")
