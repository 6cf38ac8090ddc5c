"""What happens at once: real threads, a database that is really committed to."""

from __future__ import annotations

import threading

from django.db import connection

from accounts.factors import services
from accounts.factors.checking import Answer
from accounts.services import sign_in
from ledger.refusals import Refusal
from tests.accounts import device as devices


def at_once(count, act):
    """The act in so many threads at the same moment."""
    start = threading.Barrier(count)

    def run():
        start.wait()
        try:
            act()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_parallel_guesses_share_one_count(committing_db, cast):
    """Twelve threads at once get three tries at the password between them, not twelve."""
    answers = []

    def guess():
        try:
            sign_in(email=cast.developer.email, password="wrong horse battery")
        except Refusal as refusal:
            answers.append(refusal.code)

    assert cast.developer.pk
    at_once(12, guess)
    assert len(answers) == 12
    assert answers.count("wrong_credentials") <= 2


def test_one_code_opens_one_session_however_many_ask_at_once(committing_db, cast, settings):
    settings.SIGN_IN_FAILURES_BEFORE_LOCK = 10  # all three may be counted before the first is looked at
    secret, codes = devices.add_app(cast.developer)
    begun = cast.developer.get_session_auth_hash()
    for given in (devices.code(secret), codes[0]):
        answers = []

        def finish(given=given, answers=answers):
            try:
                services.finish(account=cast.developer, begun=begun, answer=Answer(code=given))
                answers.append("in")
            except Refusal as refusal:
                answers.append(refusal.code)

        at_once(3, finish)
        assert sorted(answers) == ["code_used", "code_used", "in"]
