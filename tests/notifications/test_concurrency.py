"""Several senders at once, really."""

from __future__ import annotations

import threading

from django.core import mail
from django.db import connection

from notifications import services
from notifications.models import Notification
from notifications.tasks import deliver


def test_each_message_is_sent_by_one_of_several_senders(committing_db, settings):
    services.put(
        Notification(about=f"request {n}", kind="approved", address="dev@example.org", subject=f"{n}")
        for n in range(20)
    )
    told, start = [], threading.Barrier(3)

    def send() -> None:
        start.wait()
        try:
            told.append(deliver()["sent"])
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told) == 20
    assert sorted(each.subject for each in mail.outbox) == sorted(f"Countersign: {n}" for n in range(20))
    assert set(Notification.objects.values_list("state", "attempt")) == {("sent", 1)}
