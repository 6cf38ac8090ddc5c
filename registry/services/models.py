"""Models: what they are for, who owns them, how much hangs on them."""

from __future__ import annotations

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accounts.models import Team
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry.models import Model
from registry.services.inputs import account_of, keep, words


@governed(permission="registry.register_model", event="model.registered", on="team")
def register_model(*, by: Actor, team: Team, name: str, purpose: str, slug: str | None = None) -> Done[Model]:
    """A new model of a team, owned by whoever registers it. Raises Refusal `model_exists` or `slug_taken`."""
    plain = words(name, "name", most=120)
    if Model.objects.filter(team=team, name__iexact=plain).exists():
        raise Refusal(
            "model_exists", f"{team} has a model called “{plain}” already. Register a version of it, or choose "
            f"another name.",
            "name",
        )  # fmt: skip
    model = Model(name=plain, team=team, owner=account_of(by), purpose=words(purpose, "purpose", most=4000))
    try:
        with transaction.atomic():
            model.slug = chosen_slug(plain, slug)
            model.save()
    except IntegrityError:
        raise slug_taken() from None
    keep(model.purpose)
    return Done(model, on=model, facts={"slug": model.slug}, discloses={"model_name": model.name})


def chosen_slug(name: str, wanted: str | None) -> str:
    """The slug asked for, or one made of the name that is still free."""
    slug = plain_slug(wanted or name)
    if wanted and slug != wanted:
        raise Refusal("slug_invalid", f"A short name has lower-case letters, digits and dashes only: “{slug}”.", "slug")
    taken = set(Model.objects.filter(slug__startswith=slug).values_list("slug", flat=True))
    if wanted and slug in taken:
        raise slug_taken()
    return free_slug(slug, taken)


def plain_slug(name: str) -> str:
    return slugify(name)[:50] or "model"


def free_slug(slug: str, taken: Collection[str]) -> str:
    """The slug, or with the first number behind it that makes it free."""
    number, free = 2, slug
    while free in taken:
        free, number = f"{slug}-{number}", number + 1
    return free


def slug_taken() -> Refusal:
    return Refusal("slug_taken", "Another model has this short name. Choose another one.", "slug")


@governed(permission="registry.edit_model", event="model.edited", on="model")
def edit_model(*, by: Actor, model: Model, name: str, purpose: str) -> Done[Model]:
    """Change what a model is called and what it is said to be for. Raises Refusal `model_exists`."""
    plain, said = words(name, "name", most=120), words(purpose, "purpose", most=4000)
    if Model.objects.filter(team=model.team, name__iexact=plain).exclude(pk=model.pk).exists():
        raise Refusal("model_exists", f"{model.team} has another model called “{plain}”. Choose another name.", "name")
    changed = [field for field, new in (("name", plain), ("purpose", said)) if getattr(model, field) != new]
    before = {f"{field}_before": getattr(model, field) for field in changed}
    model.name, model.purpose = plain, said
    model.save(update_fields=["name", "purpose"])
    keep(said)
    after = {f"{field}_after": getattr(model, field) for field in changed}
    return Done(model, facts={"slug": model.slug, "changed": changed}, discloses={**before, **after})


@governed(permission="registry.set_risk_tier", event="model.risk_tier_set", on="model")
def set_risk_tier(*, by: Actor, model: Model, tier: str, reason: str) -> Done[Model]:
    """Set how much hangs on a model. Raises Refusal `own_model` for who owns it or worked on a version of it."""
    if tier not in Model.Tier.values:
        raise Refusal("tier_unknown", f"A risk tier is one of: {', '.join(Model.Tier.values)}.", "tier")
    account = account_of(by)
    if account.pk == model.owner_id or model.versions.filter(contributors=account).exists():
        raise Refusal("own_model", "You own this model or worked on it. Somebody else must judge how much hangs on it.")
    said = words(reason, "reason", most=500)
    facts = {"slug": model.slug, "from": model.risk_tier or None, "to": tier}
    model.risk_tier, model.risk_tier_set_by = tier, account
    model.save(update_fields=["risk_tier", "risk_tier_set_by"])
    return Done(model, facts=facts, discloses={"reason": said})
