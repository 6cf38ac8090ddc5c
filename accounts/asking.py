"""Who is signed in."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import User
from ledger.refusals import Denied


def asker(request: HttpRequest | Request) -> User:
    """Whoever asks: anybody not signed in was turned away before a view runs."""
    assert isinstance(request.user, User)
    return request.user


def needs(request: HttpRequest | Request, permission: str) -> User:
    """Who asks. Raises Denied where they may not, before they fill in a form for nothing."""
    user = asker(request)
    if not user.has_perm(permission):
        raise Denied(permission)
    return user
