"""The yearly act of an owner, and for which models it is missing."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef

from accounts.models import User
from ledger.actors import Actor
from ledger.canonical import digest_of
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.attesting.models import OwnerAttestation
from registry.models import Model
from registry.services.inputs import account_of, words

STATEMENT = "I own this model, and what is recorded of it here is right and complete."


def this_year() -> int:
    """By the database's clock, in UTC."""
    return database_time().year


@governed(permission="registry.edit_model", event="model.attested", on="model")
def attest(*, by: Actor, model: Model, digest: str, note: str = "") -> Done[OwnerAttestation]:
    """Attest a model for this year; `digest` is that of the record which the owner has read.

    Raises Refusal `humans_only`, `not_the_owner`, `already_attested` or `changed_meanwhile`.
    """
    person, year = account_of(by), this_year()
    if not person.is_person:
        raise Refusal("humans_only", "Only a person attests. The owner has to do it themselves.")
    if person.pk != model.owner_id:
        raise Refusal("not_the_owner", f"Only {model.owner.name}, who owns this model, attests it. Ask them to.")
    if OwnerAttestation.objects.filter(model=model, year=year).exists():
        raise Refusal("already_attested", f"This model is attested for {year} already. It is done once a year.")
    record = digest_of(model.as_record())
    if digest != record:
        sentence = "What is recorded has changed since you opened the page. Read it again, then attest."
        raise Refusal("changed_meanwhile", sentence)
    said = words(note, "note", most=1000, least=0)
    row = OwnerAttestation.objects.create(
        model=model, year=year, statement=STATEMENT, record=record, note=said, attested_by=person
    )
    facts = {"slug": model.slug, "year": year, "record": record}
    return Done(row, facts=facts, discloses={"statement": STATEMENT, "note": said}, changed=[row])


def models_of(user: User, year: int, *, attested: bool | None = None) -> Any:
    """Models registered by the end of a year, of which it was attested or is missing; both where None is given."""
    given = OwnerAttestation.objects.filter(model=OuterRef("pk"), year=year)
    rows = Model.objects.visible_to(user).filter(created_at__year__lte=year).annotate(attested=Exists(given))
    rows = rows.select_related("team", "owner")
    return rows if attested is None else rows.filter(attested=attested)


def of_year(models: Any, year: int) -> dict[int, OwnerAttestation]:
    """The attestations of these models, by the model's id."""
    rows = OwnerAttestation.objects.filter(model__in=models, year=year).select_related("attested_by")
    return {row.model_id: row for row in rows}
