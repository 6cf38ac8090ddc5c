"""What happens at once: real threads, a database that is really committed to."""

from __future__ import annotations

import threading

from django.db import connection

from accounts.services import sign_in
from ledger.refusals import Refusal


def test_parallel_guesses_share_one_count(committing_db, cast):
    """Twelve threads at once get three tries at the password between them, not twelve."""
    answers, start = [], threading.Barrier(12)

    def guess():
        start.wait()
        try:
            sign_in(email=cast.developer.email, password="wrong horse battery")
        except Refusal as refusal:
            answers.append(refusal.code)
        finally:
            connection.close()

    assert cast.developer.pk
    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    assert answers.count("wrong_credentials") <= 2
