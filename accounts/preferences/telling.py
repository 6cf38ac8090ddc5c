"""Telling people: each in the way that they chose, at the address that they have now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db.models import Q

from accounts.models import Grant, Preference, User
from notifications import services
from notifications.kinds import DIGEST, KINDS, OFF
from notifications.models import Notification
from notifications.texts import written


def ways_of(account: User) -> dict[str, str]:
    """How somebody is told of each kind."""
    chosen = dict(Preference.objects.filter(account=account).values_list("kind", "way"))
    return {slug: chosen.get(slug, kind.default) for slug, kind in KINDS.items()}


def tell(
    people: Iterable[User], kind: str, about: str, *, path: str, template: str = "", team: int | None = None,
    **context: Any,
) -> None:  # fmt: skip
    """Write to each of them what happened, within the act that did it. `path` is the page that it leads to.

    Only to people who can still sign in, and where it is about a team's work, who may still see that. Not twice of the
    same `kind` about the same thing.
    """
    wanted = {each.pk: each for each in people if each.is_person and each.is_active}
    if not wanted or not settings.MAIL_ON:
        return
    if team is not None:
        wanted = {pk: wanted[pk] for pk in seeing(team, wanted)}
    chosen = dict(Preference.objects.filter(account__in=wanted, kind=kind).values_list("account", "way"))
    told = []
    for pk, person in sorted(wanted.items()):
        way = chosen.get(pk, KINDS[kind].default)
        if way == OFF:
            continue
        subject, body = written(template or kind, person=person, link=settings.PUBLIC_URL + path, **context)
        state = Notification.State.COLLECTED if way == DIGEST else Notification.State.WAITING
        told.append(message(person, kind, about, subject=subject, body=body, path=path, state=state))
    services.put(told)


def tell_address(address: str, person: User, kind: str, about: str, *, template: str, **context: Any) -> None:
    """What somebody cannot choose to be spared, at an address that need no longer be theirs."""
    if settings.MAIL_ON:
        subject, body = written(template, person=person, **context)
        services.put([message(person, kind, about, address=address, subject=subject, body=body)])


def message(person: User, kind: str, about: str, **given: Any) -> Notification:
    """A message to somebody, not yet written into the outbox."""
    return Notification(
        kind=kind, about=about, recipient=str(person.opaque_id), **{"address": person.email, **given}
    )  # fmt: skip


def seeing(team: int, people: Iterable[int]) -> set[int]:
    """Those among the accounts who may see a team's requests."""
    held = Grant.objects.active().filter(
        Q(team=None) | Q(team=team), user__in=people, role__permissions__contains=["approvals.view_request"]
    )
    return set(held.values_list("user", flat=True))
