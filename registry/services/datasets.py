"""Datasets: tables that were described in a sandbox, with the part each column plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from accounts.models import Team
from ledger.actors import Actor
from ledger.canonical import digest_of
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry import roles as parts
from registry import storage
from registry.models import Artifact, Connection, Dataset, Upload
from registry.processing.opening import check_here, check_open
from registry.services.inputs import account_of, words
from registry.services.sandboxed import asked
from registry.services.uploads import usable_upload
from registry.tables import reader
from registry.tables.problems import TableProblem

SHOWN_ROWS = 20


def profile_upload(upload: Upload, groups: Sequence[str] = ()) -> dict[str, Any]:
    """What the sandbox finds in a table: see `registry.tables.reader.profile`. Raises Refusal with its code."""
    try:
        return asked(upload.artifact, ("table", *groups), lambda path: reader.profile(path, groups))
    except TableProblem as problem:
        raise Refusal(problem.code, problem.sentence, "upload") from problem


def register_dataset(
    *, by: Actor, team: Team, upload: Upload, name: str, purpose: str, roles: Mapping[str, str], source: str,
    positive_class: str = "", lawful_basis: str = "",
) -> Dataset:  # fmt: skip
    """Read the table in the sandbox, if `by` may register datasets, then register it. See `add_dataset`."""
    described: Mapping[str, Any] | Refusal | None = None
    if by.has_perm("registry.register_dataset", team) and upload.team_id == team.pk:
        try:
            described = profile_upload(upload, [column for column, role in roles.items() if role in parts.GROUPED])
        except Refusal as refusal:
            described = refusal
    return add_dataset(
        by=by, team=team, upload=upload, described=described, name=name, purpose=purpose, roles=roles,
        positive_class=positive_class, source=source, lawful_basis=lawful_basis,
    )  # fmt: skip


@governed(permission="registry.register_dataset", event="dataset.registered", on="team")
def add_dataset(
    *, by: Actor, team: Team, upload: Upload, described: Mapping[str, Any] | Refusal | None, name: str, purpose: str,
    roles: Mapping[str, str], positive_class: str, source: str, lawful_basis: str,
) -> Done[Dataset]:  # fmt: skip
    """A team's dataset under a name of its own. A refusal by the sandbox is recorded as one.

    The positive class is a value of the outcome, and empty where that is a number or there is none. Raises Refusal
    `dataset_exists`, `column_missing`, `role_twice`, `one_class` and the others of `registry.roles`.
    """
    artifact = usable_upload(upload, team.pk)
    if not isinstance(described, Mapping):
        raise described or Refusal("not_read", "The file was not read. Send the form again.", "upload")
    return kept_dataset(
        by=by, team=team, artifact=artifact, filename=upload.filename, described=described, name=name, purpose=purpose,
        roles=roles, positive_class=positive_class, source=source, lawful_basis=lawful_basis,
    )  # fmt: skip


def kept_dataset(
    *, by: Actor, team: Team, artifact: Artifact, filename: str, described: Mapping[str, Any], name: str, purpose: str,
    roles: Mapping[str, str], positive_class: str, source: str, lawful_basis: str,
    connection: Connection | None = None,
) -> Done[Dataset]:  # fmt: skip
    """The change beneath the acts that register a dataset: of a file, or of rows that stay elsewhere."""
    plain = words(name, "name", most=120)
    if Dataset.objects.filter(team=team, name__iexact=plain).exists():
        raise Refusal("dataset_exists", f"{team} has a dataset called “{plain}” already. Choose another name.", "name")
    if purpose not in Dataset.Purpose.values:
        raise Refusal("purpose_unknown", f"The purpose is one of: {', '.join(Dataset.Purpose.values)}.", "purpose")
    if too_many := rows_at_fault(described["rows"]):
        raise Refusal("too_many_rows", too_many, "upload")
    wanted = words(positive_class, "positive_class", most=80, least=int(parts.has_classes(roles)))
    columns = with_roles(described["columns"], roles, wanted)
    dataset = Dataset.objects.create(
        name=plain, team=team, artifact=artifact, filename=filename, format=described["format"], purpose=purpose,
        rows=described["rows"], columns=columns, positive_class=wanted, registered_by=account_of(by),
        source=words(source, "source", most=4000), lawful_basis=words(lawful_basis, "lawful_basis", most=200, least=0),
        connection=connection,
    )  # fmt: skip
    facts = {
        "artifact": artifact.digest, "rows": dataset.rows, "purpose": purpose, "columns": len(columns),
        "record": digest_of(dataset.record),
    }  # fmt: skip
    return Done(dataset, on=dataset, facts=facts, discloses={"dataset_name": plain})


def rows_at_fault(rows: int) -> str:
    """A sentence for a dataset that is too long to be judged here, or ""."""
    most = settings.MAX_DATASET_ROWS
    if rows <= most:
        return ""
    return (
        f"The dataset has {rows:,} rows; at most {most:,} are taken here. Register a random sample, or ask the "
        "operator to raise MAX_DATASET_ROWS."
    )


def with_roles(described: Sequence[Mapping[str, Any]], roles: Mapping[str, str], positive: str) -> list[dict[str, Any]]:
    """Each column's description with its role. Raises Refusal for the first fault."""
    names = [column["name"] for column in described]
    fault = parts.names_at_fault(names, roles)
    given = parts.assigned(names, roles)
    columns = [{**column, "role": given[column["name"]]} for column in described]
    if fault := fault or parts.values_at_fault(columns, positive):
        raise Refusal(fault.code, fault.sentence, fault.field)
    return columns


def first_rows(*, by: Actor, dataset: Dataset) -> tuple[list[str], list[list[str | None]]]:
    """Names of the columns and the first rows, after it was recorded who opened them."""
    artifact = record_rows_opened(by=by, dataset=dataset)
    try:
        with storage.local(artifact) as path:
            return reader.first_rows(path, SHOWN_ROWS)
    except TableProblem as problem:
        raise Refusal(problem.code, problem.sentence) from problem


@governed(permission="registry.read_rows", event="dataset.rows_opened", on="dataset", lock=False)
def record_rows_opened(*, by: Actor, dataset: Dataset) -> Done[Artifact]:
    """Raises Refusal `rows_elsewhere`, `data_deleted` or `rows_closed`."""
    check_here(dataset)
    check_open(by, dataset)
    return Done(dataset.artifact, facts={"artifact": dataset.artifact.digest, "rows": min(SHOWN_ROWS, dataset.rows)})


@governed(permission="registry.read_rows", event="dataset.downloaded", on="dataset", lock=False)
def record_dataset_download(*, by: Actor, dataset: Dataset) -> Done[Artifact]:
    """Record that somebody takes all rows away: that needs the right to read rows, not just to download.

    Raises Refusal `rows_elsewhere`, `data_deleted` or `rows_closed`.
    """
    check_here(dataset)
    check_open(by, dataset)
    return Done(dataset.artifact, facts={"artifact": dataset.artifact.digest, "rows": dataset.rows})
