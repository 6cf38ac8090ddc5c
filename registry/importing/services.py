"""The act of importing an inventory: all of its models, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import IntegrityError, transaction

from accounts.models import Team
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry.importing.models import ModelImport
from registry.importing.planning import Plan, Planned, planned, table_of
from registry.models import Model, Upload
from registry.services.inputs import account_of, keep
from registry.services.models import free_slug, plain_slug, slug_taken
from registry.services.uploads import usable_upload


def preview(*, by: Actor, team: Team, upload: Upload, columns: Mapping[str, str]) -> Plan:
    """What an import would make and what is wrong with the rows; nothing is written. Raises Refusal as the act."""
    return planned(table_of(usable_upload(upload, team.pk)), columns, team, account_of(by))


@governed(permission="registry.register_model", event="inventory.imported", on="team")
def import_models(*, by: Actor, team: Team, upload: Upload, columns: Mapping[str, str]) -> Done[ModelImport]:
    """Register every model of the file for a team, in one act.

    Raises Refusal `import_faulty` where any row is wrong, `slug_taken`, `upload_of_another_team`, and the codes of
    `registry.importing.reading`.
    """
    plan = preview(by=by, team=team, upload=upload, columns=columns)
    if plan.faults:
        first, more = plan.faults[0], len(plan.faults) - 1
        also = f" There {'is one more fault' if more == 1 else f'are {more} more faults'}." if more else ""
        where = f"Row {first.row}, column “{first.column}”: {first.sentence}"
        raise Refusal("import_faulty", f"{where}{also} Nothing was imported.", "upload")
    made = add_models(team, plan.models)
    chosen = {field: column for field, column in columns.items() if column}
    row = ModelImport.objects.create(
        team=team, artifact=upload.artifact, filename=upload.filename, columns=chosen, imported_by=account_of(by)
    )
    row.brought.set(made)
    facts = {"artifact": upload.artifact.digest, "models": len(made), "fields": sorted(chosen)}
    names = "\n".join(model.name for model in made)
    discloses = {"filename": upload.filename, "model_names": names}
    return Done(row, on=row, facts=facts, discloses=discloses, changed=made)


def add_models(team: Team, plans: Sequence[Planned]) -> list[Model]:
    """All of them by a few statements, within the act. Raises Refusal `slug_taken` where somebody was quicker."""
    taken = set(Model.objects.values_list("slug", flat=True)) | {each.slug for each in plans}
    models = []
    for each in plans:
        slug = each.slug or free_slug(plain_slug(each.name), taken)
        taken.add(slug)
        models.append(Model(name=each.name, slug=slug, team=team, owner=each.owner, purpose=each.purpose))
    try:
        with transaction.atomic():
            made: list[Model] = Model.objects.bulk_create(models)
    except IntegrityError:
        raise slug_taken() from None
    keep(*(model.purpose for model in made))
    return made
