"""Saying what a version was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry.models import Dataset, Version
from registry.services.inputs import account_of, words
from registry.training.models import TrainingRecord


@governed(permission="registry.edit_version", event="version.training_recorded", on="version")
def record_training(
    *, by: Actor, version: Version, datasets: Sequence[Dataset], note: str = ""
) -> Done[TrainingRecord]:
    """All datasets that the version was trained on; none takes back what was said before.

    Raises Refusal `dataset_of_another_team`, `not_training` or `nothing_changed`.
    """
    for dataset in datasets:
        if dataset.team_id != version.team_id:
            sentence = "This dataset belongs to another team. Choose one of the version's own."
            raise Refusal("dataset_of_another_team", sentence, "datasets")
        if dataset.purpose != Dataset.Purpose.TRAINING:
            sentence = f"{dataset} was not registered for training. Register the rows once more with that purpose."
            raise Refusal("not_training", sentence, "datasets")
    last = version.training.first()
    before, named = list(last.datasets) if last else [], sorted({dataset.pk for dataset in datasets})
    if before == named:
        raise Refusal("nothing_changed", "This is what is recorded already. Choose other datasets, or leave it.")
    said = words(note, "note", most=1000, least=0)
    row = TrainingRecord.objects.create(
        version=version, number=last.number + 1 if last else 1, datasets=named, note=said, recorded_by=account_of(by)
    )
    facts = {
        "number": row.number, "datasets": [str(each) for each in named], "before": [str(each) for each in before],
        "artifacts": sorted({dataset.artifact.digest for dataset in datasets}),
    }  # fmt: skip
    return Done(row, facts=facts, discloses={"note": said} if said else {}, changed=[row])


def trained_on(version: Version) -> QuerySet[Dataset]:
    """The datasets that the version was trained on, as was said last; with their files and deletions."""
    last = version.training.first()
    found: QuerySet[Dataset] = Dataset.objects.filter(pk__in=last.datasets if last else ()).with_parts()
    return found
