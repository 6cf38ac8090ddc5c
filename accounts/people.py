"""The accounts that rows name, read together."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model

from accounts.models import User
from ledger.prepared import Prepared

PEOPLE = Prepared(lambda pk: User.objects.filter(pk__in=[pk]).order_by(), int)


def fill_in(*groups: tuple[Iterable[Model], tuple[str, ...]]) -> None:
    """Give the rows of each group the accounts that their foreign keys of these names point to. One query at most.

    Where many kinds of rows name people, a join for each part somebody plays costs more than all other columns.
    """
    named = [(row, name, getattr(row, f"{name}_id")) for rows, names in groups for row in rows for name in names]
    wanted = {pk for _, _, pk in named if pk is not None}
    found = {person.pk: person for person in PEOPLE(list(wanted))} if wanted else {}
    for row, name, pk in named:
        setattr(row, name, found.get(pk))
