"""A process of the gateway whose counts the database does not take."""

from __future__ import annotations

from inference.gateway.counting import Counter
from inference.models import Tally
from tests.inference import counting


def test_what_could_not_be_told_is_told_later(committing_db, cast, caplog):
    process = Counter(lambda: counting.SAID)
    unknown, wrong = (None, None, "", "key_invalid"), (None, None, "", "x" * 41)
    process.count(unknown, 0, 0, 100)
    process.count(wrong, 0, 0, 100)
    process.tell()
    process.count(unknown, 0, 0, 100)
    process.tell()
    assert process.failing
    assert "the gateway's counts cannot be written: DataError" in caplog.text
    assert not Tally.objects.exists()
    del process.untold[wrong]
    process.tell()
    assert (Tally.objects.get(span=0).requests, process.failing) == (2, False)
