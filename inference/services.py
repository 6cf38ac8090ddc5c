"""Every write of the inference floor."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

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
from inference.rollouts.models import Binding
from inference.rollouts.services import described, rebind, servable
from inference.terms import KeyTerms, fitting, may_hold
from ledger.actors import ANONYMOUS, Actor, current_origin
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Model, Version

# How long a key and its successor may both open: long enough for a weekend and a slow rollout.
MOST_OVERLAP_HOURS = 14 * 24
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
    until it is. What the gate says now is recorded with the act. A version that is tried beside the one before is no
    longer tried. Raises Refusal `other_model`, `bytes_here`, `bytes_not_here`,
    `interface_missing` or `already_bound`.
    """
    if version is not None:
        servable(endpoint, version)
    before = endpoint.version
    if before == version:
        sentence = f"The endpoint is bound to {'this version' if version else 'nothing'} already."
        raise Refusal("already_bound", sentence, "version")
    ended = rebind(endpoint, version, Binding.How.BOUND, by)
    said = gate.evaluate(version, endpoint.environment, endpoint.use) if version is not None else None
    facts = {
        "endpoint": endpoint.name,
        "from": described(before),
        "to": described(version),
        "gate": {"allowed": said.allowed, "state": said.state} if said else None,
    }
    return Done(endpoint, facts=facts, changed=ended)


@governed(permission="inference.issue_key", event="key.issued", on="endpoint")
def issue_key(
    *, by: Actor, endpoint: Endpoint, name: str, actions: Iterable[str], days: int, rate_per_minute: int, reason: str,
    holder: User | None = None, ticket: uuid.UUID | None = None, quota_per_day: int | None = None,
    networks: Iterable[str] = (),
) -> Done[tuple[InferenceKey, str]]:  # fmt: skip
    """The key's row and its text, which is shown once. `holder` is who will use it: the issuer, or a service account.

    `networks` are those that it may be sent from (none: all). Raises Refusal `second_person_needed` where keys take two
    people, what `fitting` does or, for a form sent twice, `already_issued`.
    """
    if endpoint.keys_take_two:
        sentence = (
            "Keys to this endpoint take two people. Ask for the key; somebody else approves it before you take it."
        )
        raise Refusal("second_person_needed", sentence)
    terms = fitting(
        by, endpoint, name=name, actions=actions, days=days, rate_per_minute=rate_per_minute, reason=reason,
        holder=holder, quota_per_day=quota_per_day, networks=networks,
    )  # fmt: skip
    refuse_twice(ticket)
    key, text = scoped_key(by, endpoint, terms, ticket=ticket)
    facts = {"key": key.key_id, "endpoint": endpoint.name, **terms.facts(), "expires": key.expires_at.isoformat()}
    return Done((key, text), on=key, facts=facts, discloses=terms.discloses())


def scoped_key(
    by: Actor, endpoint: Endpoint, terms: KeyTerms, *, ticket: uuid.UUID | None = None
) -> tuple[InferenceKey, str]:
    """A key with these terms that opens one endpoint, and its text."""
    key, text = new_key(
        by, name=terms.name, team_id=endpoint.team_id, holder=terms.holder, rate_per_minute=terms.rate_per_minute,
        quota_per_day=terms.quota_per_day, networks=terms.networks, reason=terms.reason, ticket=ticket,
        expires_at=database_time() + timedelta(days=terms.days),
    )  # fmt: skip
    KeyScope.objects.create(key=key, endpoint=endpoint, actions=terms.actions)
    return key, text


@governed(permission="inference.issue_key", event="key.rotated", on="key")
def rotate_key(
    *, by: Actor, key: InferenceKey, hours: int, reason: str, ticket: uuid.UUID | None = None
) -> Done[tuple[InferenceKey, str]]:
    """A successor with the same terms, and its text, which is shown once; the key itself ends after so many hours.

    The successor lives as long as the key was issued for, or as long as a key may by now. Raises Refusal `key_ended`,
    `already_rotated`, `overlap_invalid`, `reason_needed`, `holder_invalid` or, for a form sent twice, `already_issued`.
    """
    if not 0 <= hours <= MOST_OVERLAP_HOURS:
        sentence = f"Let the old key work for up to {MOST_OVERLAP_HOURS} hours more, or 0 to end it now."
        raise Refusal("overlap_invalid", sentence, "hours")
    require_reason(reason)
    refuse_twice(ticket)
    if key.replaced_by is not None:
        sentence = f"This key was replaced by cs_live_{key.replaced_by.key_id}… already. Rotate that one."
        raise Refusal("already_rotated", sentence)
    now, longest = database_time(), timedelta(days=settings.INFERENCE_KEY_DAYS)
    if key.revoked_at is not None or key.expires_at <= now:
        raise Refusal("key_ended", "This key opens nothing any more. Issue a new one on the endpoint's page.")
    if not may_hold(key.holder, by, key.team_id):
        raise Refusal("holder_invalid", "Only its holder can rotate this key, and only while their account is active.")
    made, text = new_key(
        by, name=key.name, team_id=key.team_id, holder=key.holder, rate_per_minute=key.rate_per_minute,
        quota_per_day=key.quota_per_day, networks=key.networks, reason=reason.strip(), ticket=ticket, succeeds=key,
        expires_at=now + min(longest, key.expires_at - key.created_at),
    )  # fmt: skip
    scopes = list(key.scopes.order_by("pk"))
    KeyScope.objects.bulk_create(
        KeyScope(key=made, endpoint_id=each.endpoint_id, actions=each.actions) for each in scopes
    )
    key.expires_at = min(key.expires_at, now + timedelta(hours=hours))
    key.save(update_fields=["expires_at"])
    facts = {
        "key": key.key_id, "successor": made.key_id, "ends": key.expires_at.isoformat(),
        "successor_expires": made.expires_at.isoformat(), "holder": str(made.holder.opaque_id),
    }  # fmt: skip
    told = {"key_name": key.name, "reason": made.reason}
    return Done((made, text), on=key, facts=facts, discloses=told, changed=[made])


def new_key(by: Actor, **terms: Any) -> tuple[InferenceKey, str]:
    """A row with a secret that nobody has, and the secret's text."""
    parts = unused_key()
    who = by if isinstance(by, User) else None
    digest = keys.digest(parts.secret, settings.KEY_PEPPER)
    return InferenceKey.objects.create(key_id=parts.id, digest=digest, created_by=who, **terms), keys.text_of(parts)


def refuse_twice(ticket: uuid.UUID | None) -> None:
    """Raises Refusal `already_issued` for a form whose key is there."""
    if ticket and InferenceKey.objects.filter(ticket=ticket).exists():
        sentence = "This form was sent already; its key was shown then, once. Revoke that key if you did not keep it."
        raise Refusal("already_issued", sentence)


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
