"""Every write of the inference floor."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import User
from accounts.services import require_reason
from approvals import gate
from approvals.workflow import ENVIRONMENTS
from inference import keys
from inference.models import Endpoint, InferenceKey, KeyScope
from ledger.actors import ANONYMOUS, Actor, current_origin
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Model, Version

KEY_MAX_DAYS = 365
MAX_RATE_PER_MINUTE = 1_000_000
LEAK_REPORTS_PER_ADDRESS_AND_MINUTE = 20
SLUG = re.compile(r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*$")
TOUCH_EVERY = timedelta(minutes=5)


@governed(permission="inference.add_endpoint", event="endpoint.added", on="model", lock=False)
def add_endpoint(*, by: Actor, model: Model, name: str, environment: str, use: str) -> Done[Endpoint]:
    """Raises Refusal `endpoint_name_invalid`, `endpoint_name_taken`, `unknown_environment` or `use_invalid`."""
    if not SLUG.match(name) or len(name) > 60:
        sentence = "A name has up to 60 small letters, digits and dashes, such as mortgage-screening."
        raise Refusal("endpoint_name_invalid", sentence, "name")
    if environment not in ENVIRONMENTS:
        raise Refusal("unknown_environment", f"Choose one of: {', '.join(ENVIRONMENTS)}.", "environment")
    if not SLUG.match(use) or len(use) > 60:
        sentence = "A use has up to 60 small letters, digits and dashes: the same as in the request for approval."
        raise Refusal("use_invalid", sentence, "use")
    who = by if isinstance(by, User) else None
    try:
        with transaction.atomic():
            endpoint = Endpoint.objects.create(name=name, model=model, environment=environment, use=use, created_by=who)
    except IntegrityError:
        sentence = "An endpoint of this name is there already. Choose another name."
        raise Refusal("endpoint_name_taken", sentence, "name") from None
    facts = {"endpoint": name, "model": str(model.pk), "environment": environment, "use": use}
    return Done(endpoint, on=endpoint, facts=facts)


@governed(permission="inference.bind_endpoint", event="endpoint.bound", on="endpoint")
def bind_endpoint(*, by: Actor, endpoint: Endpoint, version: Version | None) -> Done[Endpoint]:
    """Choose the version that an endpoint serves; None lets it serve nothing.

    The gate decides whenever a prediction is asked for, so a version that is not approved may be bound: it is refused
    until it is. What the gate says now is recorded with the act. Raises Refusal `other_model`, `bytes_not_here` or
    `already_bound`.
    """
    if version is not None and version.model_id != endpoint.model_id:
        sentence = f"Choose a version of {endpoint.model}: this one belongs to another model."
        raise Refusal("other_model", sentence, "version")
    if version is not None and not version.bytes_here:
        sentence = "Its bytes are not here, so nothing here can serve it. Ask the gate where it is called instead."
        raise Refusal("bytes_not_here", sentence, "version")
    before = endpoint.version
    if before == version:
        sentence = f"The endpoint is bound to {'this version' if version else 'nothing'} already."
        raise Refusal("already_bound", sentence, "version")
    endpoint.version, endpoint.bound_at = version, database_time()
    endpoint.bound_by = by if isinstance(by, User) else None
    endpoint.save(update_fields=["version", "bound_at", "bound_by"])
    said = gate.evaluate(version, endpoint.environment, endpoint.use) if version is not None else None
    facts = {
        "endpoint": endpoint.name,
        "from": described(before),
        "to": described(version),
        "gate": {"allowed": said.allowed, "state": said.state} if said else None,
    }
    return Done(endpoint, facts=facts)


def described(version: Version | None) -> dict[str, str] | None:
    if version is None:
        return None
    return {"version": str(version.pk), "number": str(version.number), "artifact": version.artifact.digest}


@governed(permission="inference.issue_key", event="key.issued", on="endpoint")
def issue_key(
    *, by: Actor, endpoint: Endpoint, name: str, actions: Iterable[str], days: int, rate_per_minute: int, reason: str,
    holder: User | None = None, ticket: uuid.UUID | None = None,
) -> Done[tuple[InferenceKey, str]]:  # fmt: skip
    """The key's row and its text, which is shown once. `holder` is who will use it: the issuer, or a service account.

    Raises Refusal `key_name_needed`, `unknown_action`, `expiry_invalid`, `rate_invalid`, `reason_needed`,
    `holder_invalid` or, for a form sent twice, `already_issued`.
    """
    wanted = sorted(set(actions))
    if not name.strip():
        raise Refusal("key_name_needed", "Give the key a name that says where it will be used.", "name")
    if not wanted or set(wanted) - set(KeyScope.Action.values):
        raise Refusal("unknown_action", f"Choose at least one of: {', '.join(KeyScope.Action.values)}.", "actions")
    if not 1 <= days <= KEY_MAX_DAYS:
        raise Refusal("expiry_invalid", f"A key lives between 1 and {KEY_MAX_DAYS} days.", "days")
    if not 1 <= rate_per_minute <= MAX_RATE_PER_MINUTE:
        sentence = f"Allow between 1 and {MAX_RATE_PER_MINUTE:,} requests a minute."
        raise Refusal("rate_invalid", sentence, "rate_per_minute")
    require_reason(reason)
    holder = holder or (by if isinstance(by, User) else None)
    if holder is None or not may_hold(holder, by, endpoint):
        raise holder_invalid()
    if ticket and InferenceKey.objects.filter(ticket=ticket).exists():
        sentence = "This form was sent already; its key was shown then, once. Revoke that key if you did not keep it."
        raise Refusal("already_issued", sentence)
    parts = unused_key()
    key = InferenceKey.objects.create(
        key_id=parts.id, digest=keys.digest(parts.secret, settings.KEY_PEPPER), name=name.strip(),
        team_id=endpoint.team_id, holder=holder, rate_per_minute=rate_per_minute, reason=reason.strip(), ticket=ticket,
        created_by=by if isinstance(by, User) else None, expires_at=database_time() + timedelta(days=days),
    )  # fmt: skip
    KeyScope.objects.create(key=key, endpoint=endpoint, actions=wanted)
    facts = {
        "key": key.key_id, "endpoint": endpoint.name, "actions": wanted, "holder": str(holder.opaque_id),
        "expires": key.expires_at.isoformat(), "rate_per_minute": rate_per_minute,
    }  # fmt: skip
    told = {"key_name": key.name, "reason": key.reason}
    return Done((key, keys.text_of(parts)), on=key, facts=facts, discloses=told)


def may_hold(holder: User, by: Actor, endpoint: Endpoint) -> bool:
    """Whether an account can be the holder of a key that `by` issues."""
    ours = not holder.is_person and holder.team_id == endpoint.team_id
    return holder.is_active and (ours or (isinstance(by, User) and holder.pk == by.pk))


def holder_invalid() -> Refusal:
    sentence = "A key is held by you or by a service account of the endpoint's team. Choose one of them."
    return Refusal("holder_invalid", sentence, "holder")


def unused_key() -> keys.Parts:
    parts = keys.new()
    while InferenceKey.objects.filter(key_id=parts.id).exists():
        parts = keys.new()
    return parts


@governed(permission="inference.revoke_key", event="key.revoked", on="key")
def revoke_key(*, by: Actor, key: InferenceKey, reason: str) -> Done[InferenceKey]:
    """Every gateway refuses the key within a second. Raises Refusal `reason_needed` or `already_revoked`."""
    require_reason(reason)
    if key.revoked_at is not None:
        raise Refusal("already_revoked", "This key has been revoked already.")
    end(key, by)
    return Done(key, facts={"key": key.key_id}, discloses={"key_name": key.name, "reason": reason.strip()})


def report_leak(text: str) -> InferenceKey:
    """Revoke the key that somebody shows us, whoever they are. Showing a revoked key again changes nothing.

    Raises Refusal `rate_limited` or `unknown_key`; neither is an act, so strangers cannot fill the log.
    """
    address = current_origin().address or "unknown"
    counted = f"leak-report:{keys.digest(address, settings.KEY_PEPPER).hex()[:32]}"
    cache.add(counted, 0, timeout=60)
    if cache.incr(counted) > LEAK_REPORTS_PER_ADDRESS_AND_MINUTE:
        raise Refusal("rate_limited", "Too many reports from your network. Wait one minute, then try again.")
    parts = keys.split(text.strip())
    key = InferenceKey.objects.filter(key_id=parts.id).first() if parts else None
    right = keys.matches(bytes(key.digest) if key else None, parts.secret if parts else "", settings.KEY_PEPPER)
    if key is None or not right:
        raise Refusal("unknown_key", "This is no key of this portal. Send the whole text, from cs_live_ on.", "key")
    return key if key.revoked_at else report_leaked_key(by=ANONYMOUS, key=key)


@governed(permission="inference.report_leaked_key", event="key.leak_reported", on="key")
def report_leaked_key(*, by: Actor, key: InferenceKey) -> Done[InferenceKey]:
    """Call `report_leak`, which has seen the secret."""
    if key.revoked_at is None:
        end(key, by)
    return Done(key, facts={"key": key.key_id}, discloses={"key_name": key.name})


def end(key: InferenceKey, by: Actor) -> None:
    key.revoked_at = database_time()
    key.revoked_by = by if isinstance(by, User) else None
    key.save(update_fields=["revoked_at", "revoked_by"])


@mechanical("last use of keys, to within minutes; predictions have their own log")
def touch_keys(pks: Iterable[int]) -> None:
    recent = Now() - TOUCH_EVERY
    InferenceKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=recent), pk__in=list(pks)).update(
        last_used_at=Now()
    )
