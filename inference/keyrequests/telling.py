"""Who is told of a request for a key: those who may decide, then whoever asked. Each within the act."""

from __future__ import annotations

from django.db.models import Q

from accounts.models import Grant, User
from accounts.preferences.telling import tell
from inference.keyrequests.models import KeyRequest


def deciders(request: KeyRequest) -> list[User]:
    """People who may decide about it."""
    grants = Grant.objects.active().filter(
        Q(team=None) | Q(team=request.team_id), role__permissions__contains=["inference.decide_key"]
    )
    people = User.objects.filter(pk__in=grants.values("user"), is_active=True, kind=User.Kind.PERSON)
    return list(people.exclude(pk__in=(request.asked_by_id, request.holder_id)))


def asked(request: KeyRequest) -> None:
    tell(
        deciders(request), "key_requested", f"key request {request.pk}", path=request.get_absolute_url(),
        team=request.team_id, request=request,
    )  # fmt: skip


def decided(request: KeyRequest) -> None:
    tell(
        [request.asked_by], "key_decided", f"key request {request.pk} {request.outcome}",
        path=request.get_absolute_url(), team=request.team_id, request=request,
    )  # fmt: skip
