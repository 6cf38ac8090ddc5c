"""Answers of the sandboxes are kept for a while, but never in place of the bytes' own check."""

import pytest

from ledger.refusals import Refusal
from registry import storage
from registry.services import sandboxed


@pytest.fixture
def ask():
    class Ask:
        calls = 0

        def __call__(self, path):
            self.calls += 1
            return {"size": path.stat().st_size, "inputs": ("a", "b")}

    return Ask()


def kept(data: bytes):
    return storage.put([data], limit=1000)


def test_the_same_question_about_the_same_bytes_is_asked_once(ask):
    for _ in range(3):
        found = sandboxed.asked(kept(b"once"), ("model", None), ask)
        assert found == {"size": 4, "inputs": ["a", "b"]}
        found["inputs"].append("c")
    assert ask.calls == 1
    sandboxed.asked(kept(b"once"), ("model", 2), ask)
    sandboxed.asked(kept(b"other"), ("model", None), ask)
    assert ask.calls == 3


def test_a_failure_is_asked_again(ask):
    def fail(path):
        ask(path)
        raise ValueError

    for calls in (1, 2):
        with pytest.raises(ValueError, match=r"^$"):
            sandboxed.asked(kept(b"fails"), "q", fail)
        assert ask.calls == calls


def test_an_answer_does_not_outlive_its_bytes(ask):
    stored = kept(b"whole")
    sandboxed.asked(stored, "q", ask)
    place = storage.local_root() / stored.path
    place.chmod(0o600)
    place.write_bytes(b"broken")
    with pytest.raises(Refusal) as caught:
        sandboxed.asked(stored, "q", ask)
    assert caught.value.code == "artifact_damaged"


def test_few_and_short_answers_are_kept(ask):
    first = kept(b"first")
    for number in range(sandboxed.MOST_ANSWERS):
        sandboxed.asked(first, number, ask)
    sandboxed.asked(first, 0, ask)
    assert ask.calls == sandboxed.MOST_ANSWERS
    sandboxed.asked(first, "one more", ask)
    sandboxed.asked(first, 0, ask)
    assert ask.calls == sandboxed.MOST_ANSWERS + 1
    sandboxed.asked(first, 1, ask)
    assert ask.calls == sandboxed.MOST_ANSWERS + 2
    assert len(sandboxed.answers) == sandboxed.MOST_ANSWERS

    def long(path):
        ask(path)
        return {"text": "x" * sandboxed.MOST_CHARACTERS}

    before = ask.calls
    sandboxed.asked(first, "long", long)
    sandboxed.asked(first, "long", long)
    assert ask.calls == before + 2
