"""The governed door. Every act passes it: one transaction, one lock, one permission, one event."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import models, transaction

from ledger.actors import Actor
from ledger.events import append
from ledger.marks import MECHANICAL as MECHANICAL
from ledger.marks import mechanical as mechanical
from ledger.prepared import Prepared
from ledger.receipts import collect
from ledger.refusals import Denied, Refusal

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a governed act returns to the door: its value for the caller, and what the log shall say.

    `on` is the object of the event where it differs from what was locked (a thing just created). `facts` are plain
    JSON; names, addresses and free text belong into `discloses`, which can be erased without harm to the log.
    `changed` are further objects that the act made or changed: of those that keep records (see `recorded`), as of the
    two above, the event seals what they are now.
    """

    value: T
    on: models.Model | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    discloses: Mapping[str, str] = field(default_factory=dict)
    changed: Sequence[models.Model] = ()


@runtime_checkable
class Recorded(Protocol):
    """An object whose state after each act is kept, sealed by its digest in the act's event."""

    def as_record(self) -> dict[str, Any]:
        """Its state as plain JSON: opaque ids and digests, no names, addresses or free text about people."""


@dataclass(frozen=True)
class Act:
    """What the house tests and the documentation know about a governed service."""

    service: str
    permission: str
    event: str
    on: str | None


ACTS: dict[str, Act] = {}
KEYS: dict[type[models.Field[Any, Any]], type] = {models.UUIDField: UUID, models.CharField: str}


def team_of(obj: object | None) -> int | None:
    """The team in whose log an object's events stand, from its `team_id`; None for what belongs to the whole house, and
    for what is `discreet`: for certain people only, so that who reads the log of one team does not come upon it."""
    return None if getattr(obj, "discreet", False) else getattr(obj, "team_id", None)


def governed(
    *, permission: str, event: str, on: str | None, lock: bool = True, discreet: bool = False
) -> Callable[[Callable[..., Done[T]]], Callable[..., T]]:
    """Make a service the one door to an act.

    The service takes keyword arguments only, `by` among them. `on` names the argument that holds the object acted on:
    it is locked (`FOR NO KEY UPDATE`), re-read, and handed to the service fresh; `lock=False` is for acts that only
    add below it. The events of a `discreet` act name neither that object nor its team. Raises Refusal or
    PermissionDenied; either is rolled back, then recorded as `<event>.refused`.
    """

    def decorate(service: Callable[..., Done[T]]) -> Callable[..., T]:
        name = f"{service.__module__}.{service.__qualname__}"
        ACTS[name] = Act(name, permission, event, on)

        @functools.wraps(service)
        def door(*, by: Actor, **arguments: Any) -> T:
            target: models.Model | None = arguments[on] if on else None
            try:
                with transaction.atomic(durable=True):
                    if on and target is not None and lock:
                        target = arguments[on] = locked(target)
                    if not by.has_perm(permission, target):
                        raise Denied(permission)
                    done = service(by=by, **arguments)
                    shown = None if discreet else target
                    written = append(
                        event, by=by, on=done.on or shown, team=team_of(done.on) or team_of(shown), facts=done.facts,
                        discloses=done.discloses,
                        # A target that is not locked may be changing at this moment: what is read of it is no record.
                        records=recorded(target if lock else None, done.on, *done.changed),
                    )  # fmt: skip
            except (Refusal, PermissionDenied) as refusal:
                code = getattr(refusal, "code", "permission_denied")
                facts: dict[str, Any] = {"code": code, "permission": permission}
                shown, outcome = None if discreet else target, "refused"
                with transaction.atomic(durable=True):
                    append(f"{event}.refused", by=by, on=shown, team=team_of(shown), facts=facts, outcome=outcome)
                raise
            collect(written)
            return done.value

        return door

    return decorate


def recorded(*objects: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The records of those among the objects that keep them, read anew: the act may have changed rows behind them."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for obj in objects:
        if isinstance(obj, Recorded):
            row: Any = obj
            (now,) = asked(row._meta.model)(row.pk)
            found[row._meta.label_lower, str(row.pk)] = now.as_record()
    return found


def locked(target: models.Model) -> models.Model:
    """The row as it is now, locked until the transaction ends. Raises Refusal `gone` if it is no longer there."""
    # Through _meta, because `request.user` is a lazy stand-in whose type is no model.
    row: models.Model | None = next(iter(asked(target._meta.model, lock=True)(target.pk)), None)
    if row is None:
        raise Refusal("gone", "This no longer exists. Somebody may have removed it; go back and look again.")
    return row


@cache
def asked(model: type[models.Model], lock: bool = False) -> Prepared[Any]:
    """Asks for the row of a model by its key: every act does."""
    rows, key = model._default_manager.order_by(), model._meta.pk
    if lock:
        rows = rows.select_for_update(no_key=True, of=("self",))
    kind = next((kind for field, kind in KEYS.items() if isinstance(key, field)), int)
    return Prepared(lambda pk: rows.filter(pk=pk), kind)
