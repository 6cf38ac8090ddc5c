"""Who can act, and from where. People and service accounts live a floor above; here is what the log needs of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Identity:
    """How an actor stands in the log: an opaque id, and what can be disclosed about it (name, mail address)."""

    kind: str  # person, service_account, system, anonymous
    id: str
    discloses: Mapping[str, str] = field(default_factory=dict)


class Actor(Protocol):
    """Whoever is the `by` of a governed act."""

    @property
    def identity(self) -> Identity: ...

    def has_perm(self, perm: str, obj: object | None = None) -> bool: ...


@dataclass(frozen=True)
class SystemActor:
    """A process of the portal itself, with the few permissions its job needs."""

    name: str
    permissions: frozenset[str] = frozenset()

    @property
    def identity(self) -> Identity:
        return Identity("system", self.name)

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        return perm in self.permissions


@dataclass(frozen=True)
class AnonymousActor:
    """Somebody who has not signed in: may try to sign in, or report a leaked key by showing it."""

    permissions: frozenset[str] = frozenset({"accounts.sign_in", "inference.report_leaked_key"})

    @property
    def identity(self) -> Identity:
        return Identity("anonymous", "anonymous")

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        return perm in self.permissions


ANONYMOUS = AnonymousActor()


@dataclass(frozen=True)
class Origin:
    """Where an act came from. `address` is only ever disclosed, never part of the event itself."""

    channel: str = "job"  # browser, api, cli, job, console
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    address: str | None = None


ORIGIN: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current_origin() -> Origin:
    return ORIGIN.get() or Origin()
