"""Recording that a model uses the output of another, and that it does not any more."""

from __future__ import annotations

from django.db import connection

from accounts.models import User
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry.feeders.models import Feeder, FeederRemoval
from registry.models import Model
from registry.services.inputs import account_of, words

# Advisory, of this database: two at once could close a circle that neither of them sees.
LOCK = 7_236_005


@governed(permission="registry.edit_model", event="feeder.recorded", on="model")
def record_feeder(
    *, by: Actor, model: Model, takes: str, reason: str, source: Model | None = None, external: str = ""
) -> Done[Feeder]:
    """A model takes something from another one (`source`), or from what is elsewhere and has a name (`external`).

    Raises Refusal `source_missing`, `source_twice`, `model_unknown`, `feeds_itself`, `feeder_exists` or `feeder_cycle`.
    """
    account = account_of(by)
    name = words(external, "external", most=200, least=0)
    given = {"takes": words(takes, "takes", most=500), "reason": words(reason, "reason", most=500)}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    check(account, model, source, name)
    row = Feeder.objects.create(model=model, source=source, external=name, recorded_by=account, **given)
    facts = {"slug": model.slug, "feeder": str(row.pk), "source": source.slug if source else None}
    return Done(row, facts=facts, discloses={**given, **({"external": name} if name else {})}, changed=[row])


def check(account: User, model: Model, source: Model | None, external: str) -> None:
    if source is None and not external:
        raise Refusal("source_missing", "Say which model it uses, or name what it uses that is elsewhere.", "source")
    if source is not None and external:
        sentence = "One feeder is one source. Name a model or something elsewhere, and record the other one after it."
        raise Refusal("source_twice", sentence, "external")
    there = Feeder.objects.standing().filter(model=model)
    if source is None:
        if there.filter(external__iexact=external).exists():
            raise Refusal("feeder_exists", f"It is recorded already that {external} feeds this model.", "external")
        return
    if not account.scope("registry.view_model").covers(source.team_id):
        raise unknown()
    if source.pk == model.pk:
        raise Refusal("feeds_itself", "A model does not feed itself. Choose the other model.", "source")
    if there.filter(source=source).exists():
        raise Refusal("feeder_exists", f"It is recorded already that {source} feeds this model.", "source")
    if source.pk in fed_by(model.pk):
        sentence = f"{source} uses the output of this model, at once or through others: the two would go in a circle."
        raise Refusal("feeder_cycle", sentence, "source")


def unknown() -> Refusal:
    return Refusal(
        "model_unknown", "You see no model with this short name. It stands below the model's name.", "source"
    )


def fed_by(model: int) -> set[int]:
    """All models that use the output of this one, at once or through others. A query for each step of the way."""
    found, last = set[int](), {model}
    while last:
        rows = Feeder.objects.standing().filter(source__in=last).order_by()
        last = set(rows.values_list("model_id", flat=True)) - found
        found |= last
    return found


@governed(permission="registry.edit_model", event="feeder.removed", on="feeder", lock=False)
def remove_feeder(*, by: Actor, feeder: Feeder, reason: str) -> Done[FeederRemoval]:
    """The model does not use that output any more. The row stays. Raises Refusal `already_removed`."""
    account = account_of(by)
    model = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=feeder.model_id)
    if FeederRemoval.objects.filter(feeder=feeder).exists():
        raise Refusal("already_removed", "This feeder has been removed already.")
    said = words(reason, "reason", most=500)
    row = FeederRemoval.objects.create(feeder=feeder, reason=said, removed_by=account)
    facts = {"slug": model.slug, "feeder": str(feeder.pk), "source": feeder.source.slug if feeder.source else None}
    return Done(row, on=model, facts=facts, discloses={"reason": said}, changed=[row])
