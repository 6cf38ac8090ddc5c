"""What waits for somebody: requests to decide about, and keys to take."""

from __future__ import annotations

from django.urls import reverse

from accounts.granting.duties import Duty
from accounts.models import User
from inference.keyrequests.models import KeyRequest
from ledger.events import database_time


def awaited(user: User) -> list[Duty]:
    """Keys that somebody asked for, while they wait for others."""
    now = database_time()
    waiting = KeyRequest.objects.filter(asked_by=user).in_state("waiting", now).select_related("endpoint")
    return [Duty(f"The key “{each.name}” to {each.endpoint}", each.get_absolute_url()) for each in waiting]


def duties(user: User) -> list[Duty]:
    """In two queries; in one for who decides about no keys."""
    found = []
    if user.may_somewhere("inference.decide_key") and (count := KeyRequest.objects.waiting_for(user).count()):
        text = f"{count} {'request for a key waits' if count == 1 else 'requests for keys wait'} for your decision."
        found.append(Duty(text, f"{reverse('key-requests')}?state=waiting"))
    for each in KeyRequest.objects.to_take(user).select_related("endpoint"):
        text = f"Take the key “{each.name}” to {each.endpoint} by {each.open_until:%d %B %Y, %H:%M} UTC."
        found.append(Duty(text, each.get_absolute_url()))
    return found
