"""What feeds models and what they feed, as somebody sees it: a model that they may not see has no name for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Q

from accounts.models import User
from ledger.prepared import Prepared
from registry.feeders.models import Feeder
from registry.models import Model

HIDDEN = "a model that you may not see"
# Removed ones on a page; the API lists them all.
SHOWN = 50


@dataclass(frozen=True)
class Link:
    """A feeder from one of its ends. `other` is the model at the other end: None where there is none, or none to be
    seen."""

    feeder: Feeder
    other: Model | None
    name: str


@dataclass(frozen=True)
class Links:
    """`fed_by` and `feeds` stand; `removed` is what fed this model once, the newest first."""

    fed_by: list[Link]
    feeds: list[Link]
    removed: list[Link]


def links(rows: Iterable[Feeder], viewer: User) -> list[Link]:
    """Each from the end of the model that is fed."""
    scope = viewer.scope("registry.view_model")
    found = []
    for row in rows:
        seen = row.source if row.source is not None and scope.covers(row.source.team_id) else None
        found.append(Link(row, seen, row.external or (seen.name if seen else HIDDEN)))
    return found


def of_model(model: Model, viewer: User) -> Links:
    """Both ends of one model, in one query."""
    scope = viewer.scope("registry.view_model")
    rows = list(Feeder.objects.filter(Q(model=model) | Q(source=model)).with_parts())
    above = links([row for row in rows if row.model_id == model.pk], viewer)
    below = []
    for row in rows:
        if row.source_id == model.pk and row.ended is None:
            seen = row.model if scope.covers(row.model.team_id) else None
            below.append(Link(row, seen, seen.name if seen else HIDDEN))
    return Links(
        [each for each in above if each.feeder.ended is None], below,
        [each for each in above if each.feeder.ended is not None][:SHOWN],
    )  # fmt: skip


def of_models(models: Collection[int], viewer: User) -> dict[int, list[Link]]:
    """What feeds each of these models, by its id; in one query."""
    found: dict[int, list[Link]] = defaultdict(list)
    for link in links(STANDING(list(models)), viewer):
        found[link.feeder.model_id].append(link)
    return found


STANDING: Prepared[Feeder] = Prepared(
    lambda model: Feeder.objects.standing().filter(model__in=[model]).select_related("source").order_by("model", "id"),
    int,
)
