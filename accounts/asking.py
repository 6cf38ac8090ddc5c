"""Who is signed in."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.models import User


def asker(request: HttpRequest | Request) -> User:
    """Whoever asks: anybody not signed in was turned away before a view runs."""
    assert isinstance(request.user, User)
    return request.user
