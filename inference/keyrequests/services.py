"""Asking for a key, deciding about what somebody else asked for, taking the key; and which endpoints need this."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import User
from accounts.takeover.holding import require_settled
from inference.keyrequests import telling
from inference.keyrequests.models import KeyRequest
from inference.keyrequests.rules import KEY_RULES, NEVER
from inference.models import Endpoint, InferenceKey
from inference.services import scoped_key
from inference.terms import KeyTerms, fitting, holder_invalid, may_hold
from ledger.actors import Actor
from ledger.canonical import timestamp
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Denied, Refusal, require_reason

Outcome = KeyRequest.Outcome


@governed(permission="inference.govern_keys", event="endpoint.key_rule_set", on="endpoint")
def set_key_rule(*, by: Actor, endpoint: Endpoint, rule: str, reason: str) -> Done[Endpoint]:
    """Set when keys to an endpoint take two people. Keys that are there stay as they are.

    Whoever governs keys can ask for a second person; only who may also decide about keys, and neither owns the model
    nor worked on it, takes one away. Raises Denied, or Refusal `key_rule_unknown`, `reason_needed`, `nothing_changed`,
    `not_high_risk` or `own_model`.
    """
    if rule not in KEY_RULES:
        raise Refusal("key_rule_unknown", f"Choose one of: {', '.join(KEY_RULES)}.", "rule")
    require_reason(reason)
    before, needed = endpoint.key_rule, endpoint.keys_take_two
    if rule == before:
        raise Refusal("nothing_changed", "This is what is set already. Change something, or leave it.")
    if rule == NEVER and not endpoint.high_risk:
        sentence = "The risk is not high here, so there is nothing to make an exception of. Let the risk decide."
        raise Refusal("not_high_risk", sentence, "rule")
    endpoint.key_rule = rule
    if needed and not endpoint.keys_take_two:
        apart(by, endpoint)
    endpoint.save(update_fields=["key_rule"])
    facts = {
        "endpoint": endpoint.name, "from": before, "to": rule, "tier": endpoint.model.tier,
        "second_person": {"before": needed, "after": endpoint.keys_take_two},
    }  # fmt: skip
    return Done(endpoint, facts=facts, discloses={"reason": reason.strip()})


def apart(by: Actor, endpoint: Endpoint) -> None:
    """Raises Denied or Refusal `own_model` for who may not take the second person away."""
    if not by.has_perm("inference.decide_key", endpoint):
        raise Denied("inference.decide_key")
    model = endpoint.model
    if isinstance(by, User) and (by.pk == model.owner_id or model.versions.filter(contributors=by).exists()):
        sentence = "You own this model or worked on it. Somebody else must say that its keys need no second person."
        raise Refusal("own_model", sentence)


@governed(permission="inference.issue_key", event="key.requested", on="endpoint", lock=False)
def request_key(
    *, by: Actor, endpoint: Endpoint, name: str, actions: Iterable[str], days: int, rate_per_minute: int, reason: str,
    holder: User | None = None, ticket: uuid.UUID | None = None, quota_per_day: int | None = None,
    networks: Iterable[str] = (),
) -> Done[KeyRequest]:  # fmt: skip
    """Ask for a key that takes two people. There is no secret until it is approved and taken.

    Raises Refusal `no_second_person_needed`, `accounts_only`, what `fitting` does or, for a form sent twice,
    `already_requested`.
    """
    if not endpoint.keys_take_two:
        raise Refusal("no_second_person_needed", "Keys to this endpoint take one person. Issue the key instead.")
    if not isinstance(by, User):
        raise Refusal("accounts_only", "Only somebody with an account asks for a key: it is they who take it.")
    terms = fitting(
        by, endpoint, name=name, actions=actions, days=days, rate_per_minute=rate_per_minute, reason=reason,
        holder=holder, quota_per_day=quota_per_day, networks=networks,
    )  # fmt: skip
    if ticket and KeyRequest.objects.filter(ticket=ticket).exists():
        raise Refusal("already_requested", "This form was sent already. Its request waits for somebody to decide.")
    request = KeyRequest.objects.create(
        endpoint=endpoint, name=terms.name, actions=terms.actions, days=terms.days, ticket=ticket,
        rate_per_minute=terms.rate_per_minute, quota_per_day=terms.quota_per_day, networks=terms.networks,
        holder=terms.holder, reason=terms.reason, asked_by=by, open_until=step_end(),
    )  # fmt: skip
    telling.asked(request)
    facts = {**facts_of(request), **terms.facts(), "days": terms.days, "decide_before": timestamp(request.open_until)}
    return Done(request, on=request, facts=facts, discloses=terms.discloses())


@governed(permission="inference.decide_key", event="key_request.approved", on="request")
def approve_key(*, by: Actor, request: KeyRequest, reason: str) -> Done[KeyRequest]:
    """Agree that somebody else gets the key that they asked for, on these terms. They then take it.

    Raises Refusal `humans_only`, `own_request`, `own_key`, `credentials_changed`, `request_decided`, `request_lapsed`,
    `asker_gone` or `reason_needed`.
    """
    decider = second_person(by, request)
    undecided(request, "waiting")
    require_reason(reason)
    asker = request.asked_by
    if not asker.has_perm("inference.issue_key", request) or not may_hold(request.holder, asker, request.team_id):
        sentence = "Whoever asked no longer issues keys here, or its holder cannot hold it now. Decline the request."
        raise Refusal("asker_gone", sentence)
    end(request, decider, Outcome.APPROVED, reason, open_until=step_end())
    telling.decided(request)
    facts = {**facts_of(request), "take_before": timestamp(request.open_until)}
    return Done(request, facts=facts, discloses={"reason": request.answer})


@governed(permission="inference.decide_key", event="key_request.declined", on="request")
def decline_key(*, by: Actor, request: KeyRequest, reason: str) -> Done[KeyRequest]:
    """Say no, also to what was approved and is not taken yet. Raises what `approve_key` does but `asker_gone`."""
    decider = second_person(by, request)
    undecided(request, "waiting", "approved")
    require_reason(reason)
    end(request, decider, Outcome.DECLINED, reason)
    telling.decided(request)
    return Done(request, facts=facts_of(request), discloses={"reason": request.answer})


@governed(permission="inference.issue_key", event="key_request.withdrawn", on="request")
def withdraw_key_request(*, by: Actor, request: KeyRequest, reason: str) -> Done[KeyRequest]:
    """Raises Refusal `not_your_request`, `request_decided`, `request_lapsed` or `reason_needed`."""
    asker = the_asker(by, request)
    undecided(request, "waiting", "approved")
    require_reason(reason)
    end(request, asker, Outcome.WITHDRAWN, reason)
    return Done(request, facts=facts_of(request), discloses={"reason": request.answer})


@governed(permission="inference.issue_key", event="key.issued", on="request")
def take_key(*, by: Actor, request: KeyRequest) -> Done[tuple[InferenceKey, str]]:
    """The key that was approved, made now, and its text, which is shown once. Its days begin here.

    Raises Refusal `not_your_request`, `request_undecided`, `request_decided`, `request_lapsed`, `holder_invalid` or,
    the second time, `already_issued`.
    """
    asker = the_asker(by, request)
    if request.key_id is not None:
        sentence = "This key was taken already; it was shown then, once. Rotate or revoke it if you did not keep it."
        raise Refusal("already_issued", sentence)
    if request.state(database_time()) == "waiting":
        raise Refusal("request_undecided", "Nobody has approved this request yet. You are told when somebody does.")
    undecided(request, "approved")
    if not may_hold(request.holder, asker, request.team_id):
        raise holder_invalid()
    terms = KeyTerms(
        request.name, request.actions, min(request.days, settings.INFERENCE_KEY_DAYS), request.rate_per_minute,
        request.quota_per_day, request.networks, request.holder, request.reason,
    )  # fmt: skip
    key, text = scoped_key(asker, request.endpoint, terms)
    request.key = key
    request.save(update_fields=["key"])
    assert request.decided_by is not None
    facts = {
        **facts_of(request), "key": key.key_id, **terms.facts(), "expires": key.expires_at.isoformat(),
        "approved_by": str(request.decided_by.opaque_id),
    }  # fmt: skip
    return Done((key, text), on=key, facts=facts, discloses=terms.discloses())


def step_end() -> datetime:
    """Until when the next step can be taken."""
    return database_time() + timedelta(days=settings.KEY_REQUEST_DAYS)


def facts_of(request: KeyRequest) -> dict[str, str]:
    return {
        "request": str(request.pk), "endpoint": request.endpoint.name, "asked_by": str(request.asked_by.opaque_id)
    }  # fmt: skip


def second_person(by: Actor, request: KeyRequest) -> User:
    """Whoever may decide about this request. Raises Refusal."""
    if not isinstance(by, User) or not by.is_person:
        raise Refusal("humans_only", "Only a person decides about a key that somebody else asks for.")
    if by.pk == request.asked_by_id:
        raise Refusal("own_request", "You asked for this key, so somebody else has to decide.")
    if by.pk == request.holder_id:
        raise Refusal("own_key", "You would hold this key, so somebody else has to decide.")
    require_settled(by)
    return by


def the_asker(by: Actor, request: KeyRequest) -> User:
    """Raises Refusal for anybody else: the secret is for whoever said why they need it."""
    if not isinstance(by, User) or by.pk != request.asked_by_id:
        raise Refusal(
            "not_your_request", "Somebody else asked for this key: only they take it or withdraw the request."
        )
    return by


def undecided(request: KeyRequest, *states: str) -> None:
    """Raises Refusal where the request stands otherwise than in one of these states."""
    state = request.state(database_time())
    if state == "lapsed":
        raise Refusal("request_lapsed", "This request has lapsed. Whoever still needs the key asks for it anew.")
    if state not in states:
        raise Refusal("request_decided", f"This request was {state} already.")


def end(request: KeyRequest, by: User, outcome: str, reason: str, **changes: object) -> None:
    for name, value in {
        "outcome": outcome, "decided_by": by, "decided_at": database_time(), "answer": reason.strip(), **changes
    }.items():  # fmt: skip
        setattr(request, name, value)
    request.save(update_fields=["outcome", "decided_by", "decided_at", "answer", *changes])
