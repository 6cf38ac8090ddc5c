"""Querysets that are made and planned once, for whatever somebody may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

from accounts.models import Scope
from ledger.prepared import Prepared

T = TypeVar("T")


class Within(Generic[T]):
    """`Within(Thing.objects, "team", make, int)` asks what `make(things, number)` gives, of those within a scope.

    There are two statements, with teams and without: one for both would be planned well for neither.
    """

    def __init__(self, rows: Any, path: str, make: Callable[..., QuerySet[Any, T]], *kinds: type) -> None:
        self.everywhere = Prepared(lambda *given: make(rows.all(), *given), *kinds)
        self.among = Prepared(
            lambda team, *given: make(rows.filter(**{f"{path}__in": [team]}), *given), int, *kinds
        )  # fmt: skip

    def __call__(self, scope: Scope, *given: object) -> list[T]:
        if scope.everywhere:
            return self.everywhere(*given)
        return self.among(list(scope.teams), *given) if scope.teams else []
