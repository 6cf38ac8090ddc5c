"""Choosing how to be told of each kind of thing."""

from __future__ import annotations

from collections.abc import Mapping

from accounts.models import Preference, User
from accounts.preferences.telling import ways_of
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Refusal
from notifications.kinds import KINDS


@governed(permission="accounts.manage_own_access", event="notification_preferences.changed", on="account")
def choose(*, by: Actor, account: User, ways: Mapping[str, str]) -> Done[User]:
    """What `ways` does not name stays as it is.

    Raises Refusal `humans_only`, `unknown_kind`, `unknown_way` or `cannot_be_changed` for receipts and the like.
    """
    if not account.is_person:
        raise Refusal("humans_only", "A service account is sent no mail, so there is nothing to choose.")
    for slug, way in ways.items():
        kind = KINDS.get(slug)
        if kind is None:
            raise Refusal("unknown_kind", f"There is no such kind. Choose from {', '.join(KINDS)}.", slug)
        if way in kind.ways:
            continue
        if not kind.chosen:
            raise Refusal("cannot_be_changed", f"{kind.title}: these are always sent, for your own protection.", slug)
        raise Refusal("unknown_way", f"Choose one of {', '.join(kind.ways)}.", slug)
    before = ways_of(account)
    wanted = {slug: way for slug, way in ways.items() if KINDS[slug].chosen and way != before[slug]}
    Preference.objects.bulk_create(
        [Preference(account=account, kind=slug, way=way) for slug, way in wanted.items()],
        update_conflicts=True, unique_fields=["account", "kind"], update_fields=["way"],
    )  # fmt: skip
    return Done(account, facts={"account": str(account.opaque_id), "ways": wanted})
