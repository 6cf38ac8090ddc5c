"""Receipts by mail: put into the outbox with the signature, and sent once its event is sealed in the log."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from accounts.models import User
from accounts.preferences.telling import message
from approvals.seals import SIGNED
from audits.receipts import receipt_for
from ledger.models import Record
from ledger.reading import seals_of
from notifications import services
from notifications.models import Notification
from notifications.texts import written

AT_ONCE = 200


def hold_receipt(signed: Any, signer: User, path: str) -> None:
    """Within the act that signs: `signed` is the decision or the accepted risk. What it says is known at its seal."""
    if settings.MAIL_ON:
        about, held = f"{signed._meta.label_lower}:{signed.pk}", Notification.State.HELD
        services.put([message(signer, "receipt", about, subject="Receipt", path=path, state=held)])


def release_receipts() -> int:
    """Send the receipts of what has been sealed since; how many. A receipt whose seal takes long stays held."""
    held = list(Notification.objects.filter(state=Notification.State.HELD, kind="receipt").order_by("pk")[:AT_ONCE])
    events = {each.pk: event for each in held if (event := event_of(each.about)) is not None}
    seals = seals_of(events.values())
    released = 0
    for each in held:
        if each.pk in events and (entry := seals[events[each.pk]]) is not None:
            person = User.objects.get(opaque_id=each.recipient)
            receipt, link = receipt_for(person, events[each.pk]), f"{settings.PUBLIC_URL}{each.path}"
            text = written("receipt", person=person, entry=entry, receipt=receipt, link=link)
            released += services.release(each, *text)
    return released


def event_of(about: str) -> Any:
    """The id of the event of a signature."""
    kind, _, pk = about.partition(":")
    rows = Record.objects.filter(object_type=kind, object_id=pk, event__event=SIGNED[kind])
    return rows.order_by("id").values_list("event", flat=True).first()
