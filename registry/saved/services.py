"""Keeping, renaming, sharing and removing filters of the inventory: each person their own."""

from __future__ import annotations

from collections.abc import Mapping

from accounts.models import Team, User
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry.models import SavedFilter
from registry.saved.models import KNOWN
from registry.services.inputs import account_of, words

LONGEST = 200
MOST = 30


@governed(permission="accounts.manage_own_access", event="saved_filter.added", on="account")
def save_filter(
    *, by: Actor, account: User, name: str, query: Mapping[str, str], team: Team | None = None
) -> Done[SavedFilter]:
    """Keep a filter, for oneself or shared with a team.

    Raises Refusal `parameter_unknown`, `filter_empty`, `too_many_filters`, `name_taken` or `team_unknown`.
    """
    owner, kept = account_of(by), checked(query)
    if SavedFilter.objects.filter(user=owner).count() >= MOST:
        raise Refusal("too_many_filters", f"You keep {MOST} filters. Remove one that you no longer use first.")
    said = free_name(owner, name)
    saved = SavedFilter.objects.create(user=owner, name=said, query=kept, team=shared_with(owner, team))
    return Done(saved, on=saved, facts=facts_of(saved), discloses={"name": said})


@governed(permission="accounts.manage_own_access", event="saved_filter.changed", on="saved")
def change_filter(*, by: Actor, saved: SavedFilter, name: str, team: Team | None) -> Done[SavedFilter]:
    """Give it another name, or share it otherwise. Raises Refusal `name_taken` or `team_unknown`."""
    owner = account_of(by)
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # one after the other, or two would take one name
    saved.name, saved.team = free_name(owner, name, but=saved), shared_with(owner, team)
    saved.save(update_fields=["name", "team"])
    return Done(saved, facts=facts_of(saved), discloses={"name": saved.name})


@governed(permission="accounts.manage_own_access", event="saved_filter.removed", on="saved")
def remove_filter(*, by: Actor, saved: SavedFilter) -> Done[SavedFilter]:
    SavedFilter.objects.filter(pk=saved.pk).delete()
    return Done(saved, facts=facts_of(saved), discloses={"name": saved.name})


def facts_of(saved: SavedFilter) -> dict[str, object]:
    """What was looked for may be somebody's name, so only by what it filters is said."""
    return {"parameters": sorted(saved.query), "shared": saved.team_id is not None}


def checked(query: Mapping[str, str]) -> dict[str, str]:
    """The parameters that say something. Raises Refusal `parameter_unknown`, `too_long` or `filter_empty`."""
    for name in query:
        if name not in KNOWN:
            sentence = f"The inventory has no such filter. Use {', '.join(KNOWN)}."
            raise Refusal("parameter_unknown", sentence, f"query.{name}")
    kept = {name: words(value, f"query.{name}", most=LONGEST, least=0) for name, value in query.items()}
    if not any(kept.values()):
        raise Refusal("filter_empty", "Nothing is filtered yet. Narrow the inventory down, then save that.", "query")
    return {name: kept[name] for name in KNOWN if kept.get(name)}


def free_name(owner: User, name: str, but: SavedFilter | None = None) -> str:
    said = " ".join(words(name, "name", most=80).split())
    others = SavedFilter.objects.filter(user=owner, name__iexact=said)
    if (others if but is None else others.exclude(pk=but.pk)).exists():
        raise Refusal("name_taken", "One of your filters has this name already. Choose another.", "name")
    return said


def shared_with(owner: User, team: Team | None) -> Team | None:
    if team is not None and not owner.scope("registry.view_model").covers(team.pk):
        raise Refusal("team_unknown", "You share filters with teams whose models you may see.", "team")
    return team
