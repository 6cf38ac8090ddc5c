"""What a webhook is told: a CloudEvents 1.0 document, written into the outbox within the act that it tells of.

No comment, reason or name of a person stands in it: whoever reads it may be outside of the house.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from ledger.canonical import timestamp
from ledger.events import database_time
from notifications.kinds import PING
from notifications.models import Notification
from notifications.services import put
from notifications.webhooks.models import Webhook


def announce(
    kind: str, about: str, *, team: int, subject: str, title: str, path: str, data: Mapping[str, Any]
) -> None:  # fmt: skip
    """Tell every webhook that wants to know. `subject` names for programs what it is about, `title` says it to people.

    Not twice of the same `kind` about the same thing.
    """
    hooks = list(Webhook.objects.listening(kind, team))
    if hooks:
        at = database_time()
        told: dict[str, Any] = {"subject": subject, "title": title, "path": path, "data": data}
        put(message(hook, kind, about, at=at, **told) for hook in hooks)


def a_test(hook: Webhook) -> Notification:
    """A message of kind `ping` that says nothing but that it arrived."""
    about, path = f"test {uuid.uuid4()}", hook.get_absolute_url()
    told: dict[str, Any] = {"subject": f"webhook {hook.pk}", "title": "Test", "path": path, "data": {}}
    return message(hook, PING, about, at=database_time(), **told)


def message(
    hook: Webhook, kind: str, about: str, *, at: datetime, subject: str, title: str, path: str, data: Mapping[str, Any]
) -> Notification:  # fmt: skip
    """Not yet written into the outbox. Its bytes are made once: each try sends the same."""
    number = uuid.uuid4()
    document = {
        "specversion": "1.0", "id": str(number), "source": settings.PUBLIC_URL, "type": f"countersign.{kind}",
        "time": timestamp(at), "subject": subject, "datacontenttype": "application/json",
        "data": {"kind": kind, **data, "link": settings.PUBLIC_URL + path},
    }  # fmt: skip
    return Notification(
        number=number, channel=Notification.Channel.WEBHOOK, webhook=hook, kind=kind, about=about, address=hook.place,
        team_id=hook.team_id,
        subject=title[:250], body=json.dumps(document, ensure_ascii=False), path=path,
    )  # fmt: skip
