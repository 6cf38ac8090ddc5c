"""Who may open a dataset's rows, beside the right that roles give. Asked within each act that lets rows out."""

from __future__ import annotations

from accounts.models import User
from ledger.actors import Actor
from ledger.refusals import Denied, Refusal
from registry.models import Artifact, Dataset
from registry.processing.models import DataDeletion


def check_open(by: Actor, dataset: Dataset) -> None:
    """Raises Refusal `data_deleted` or `rows_closed`."""
    check_there(dataset)
    last = dataset.processing.first()
    if last is None or last.open_to == "team":
        return
    if not isinstance(by, User) or by.opaque_id not in last.readers:
        raise Refusal(
            "rows_closed",
            "Only the people named in the dataset's record of processing open its rows. Ask the model owner to name "
            "you there.",
        )


def check_here(dataset: Dataset, field: str | None = None) -> None:
    """Raises Refusal `rows_elsewhere` for what needs the rows themselves."""
    if not dataset.rows_here:
        raise Refusal(
            "rows_elsewhere",
            "The rows of this dataset stay in the database that it is connected to: only counts come here. Open them "
            "there; to have a model judged on them or explained, register an extract as a file.",
            field,
        )


def check_there(dataset: Dataset, field: str | None = None) -> None:
    """Raises Refusal `data_deleted`."""
    if deletion := DataDeletion.objects.filter(dataset=dataset).first():
        went = "The rows of this dataset were deleted" if dataset.rows_here else "Reading this dataset's rows was ended"
        raise Refusal(
            "data_deleted",
            f"{went} on {deletion.deleted_at:%Y-%m-%d}, when their retention was over. "
            "Register a dataset of rows that may be used.",
            field,
        )


def check_rows_in(by: Actor, artifact: Artifact) -> None:
    """A file that is a dataset is no plain file: taking it away opens its rows. Raises Denied or Refusal."""
    for dataset in Dataset.objects.filter(artifact=artifact):
        if not by.has_perm("registry.read_rows", dataset):
            raise Denied("registry.read_rows")
        check_open(by, dataset)
