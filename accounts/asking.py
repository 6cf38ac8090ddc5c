"""Who is signed in, and what they ask for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.serializers import Serializer

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


def given(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The checked body. Raises ValidationError with field paths."""
    form = shape(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
