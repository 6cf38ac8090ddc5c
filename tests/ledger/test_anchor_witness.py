"""A witness co-signs a log that only grew, and no other."""

import base64
import time

import pytest

from ledger import merkle
from ledger.anchors.targets import Failed, Known, NeedsProof
from ledger.anchors.witness import Witness, parse_key
from ledger.notes import COSIGNATURE, SigningKey, open_note, parse_checkpoint
from tests.ledger.stand_ins import Asked, Log, Reply, grew, served


@pytest.fixture
def log():
    return Log()


def target(stand_in, address):
    return Witness(name="witness", url=address, key=parse_key(stand_in.vkey))


def take(anchor, log, size, last=0):
    """As a round does it: proofs are made when they are asked for."""
    proofs = {}
    while True:
        try:
            return anchor.take(log.published(size), Known(last, proofs))
        except NeedsProof as wanted:
            last = wanted.old
            proofs = {last: log.prove(last, size)}


def code(*arguments, **keywords):
    with pytest.raises(Failed) as failed:
        take(*arguments, **keywords)
    return failed.value.code


def test_a_growing_log_is_cosigned(log):
    stand_in = log.witness()
    with served(stand_in.answer) as address:
        anchor = target(stand_in, address)
        sizes = [1, 2, 7, 8, 13, 40]
        for last, size in zip([0, *sizes], sizes, strict=False):
            receipt = take(anchor, log, size, last)
            note = open_note(receipt.content, [log.key.vkey, stand_in.vkey])
            assert parse_checkpoint(note.body).size == size
            assert {one.key.kind for one in note.signatures} == {1, COSIGNATURE}
            assert receipt.content.startswith(log.note(size))
    assert stand_in.asked == [0, *sizes[:-1]]
    assert (stand_in.size, stand_in.root) == (40, merkle.root(log.leaves))


def test_a_witness_that_is_at_another_size_says_so_and_is_asked_again(log):
    """Our row was lost after the cosignature, or the witness forgot."""
    stand_in = log.witness()
    with served(stand_in.answer) as address:
        anchor = target(stand_in, address)
        take(anchor, log, 9)
        take(anchor, log, 20, last=0)
        assert stand_in.asked == [0, 0, 9]
        take(anchor, log, 20, last=0)  # the very size that it has
        stand_in.size, stand_in.root = 0, b""
        take(anchor, log, 30, last=20)
    assert stand_in.size == 30


def test_a_fork_is_not_cosigned(log):
    stand_in, fork = log.witness(), log.fork_at(5)
    with served(stand_in.answer) as address:
        anchor = target(stand_in, address)
        take(anchor, log, 10)
        assert code(anchor, fork, 20, last=10) == "witness_disagrees"
        assert code(anchor, fork, 10, last=10) == "witness_disagrees"
        assert stand_in.size == 10
        take(anchor, log, 20, last=10)


def test_a_log_put_back_is_told(log):
    stand_in = log.witness()
    with served(stand_in.answer) as address:
        anchor = target(stand_in, address)
        take(anchor, log, 20)
        assert code(anchor, log, 12, last=5) == "ahead"


def test_a_witness_that_does_not_know_the_log(log):
    stranger = Log("log.test/two")
    with served(stranger.witness().answer) as address:
        assert code(target(stranger.witness(), address), log, 3) == "witness_refuses"
    impostor = Log(log.origin)
    with served(log.witness().answer) as address:
        assert code(target(log.witness(), address), impostor, 3) == "witness_refuses"


def test_only_the_configured_key_counts(log):
    """Another witness's line, a line with a forged signature, and another line beside the good one."""
    stand_in, other = log.witness(), log.witness("other.test/w2")
    body = log.published(3).note.rpartition(b"\n\n")[0] + b"\n"
    good, foreign = stand_in.cosign(body), other.cosign(body)
    forged = stand_in.cosign(body + b"x\n")
    answers = [(foreign, False), (forged, False), (b"", False), (b"<html>\n", False), (b"\xff\n", False),
               (foreign + good, True), (good, True)]  # fmt: skip
    for answer, taken in answers:
        with served(lambda asked, answer=answer: Reply(200, answer)) as address:
            anchor = target(stand_in, address)
            if taken:
                assert take(anchor, log, 3).content == log.note(3) + good
            else:
                assert code(anchor, log, 3) == "cosignature_invalid"


def test_a_cosignature_of_another_time(log):
    stand_in = log.witness()
    stand_in.clock = lambda: time.time() - 7200
    with served(stand_in.answer) as address:
        assert code(target(stand_in, address), log, 3) == "cosignature_invalid"


@pytest.mark.parametrize("body", [b"", b"007", b"-1", b"1" * 30, b"<html>"])
def test_a_conflict_without_a_size(log, body):
    with served(lambda asked: Reply(409, body)) as address:
        assert code(target(log.witness(), address), log, 3) == "answer_malformed"


@pytest.mark.parametrize("reply", [Reply(500), Reply(400), Reply(409, b"0\n")])
def test_a_witness_that_does_not_take_it(log, reply):
    with served(lambda asked: reply) as address:
        assert code(target(log.witness(), address), log, 3) == "refused"


def test_a_verifier_key_must_be_one_of_cosignatures(log):
    key = parse_key(log.witness().vkey)
    assert key.name == "witness.test/w1"
    name, number, data = log.witness().vkey.split("+", 2)
    for wrong in (log.key.vkey, "", f"{name}+00000000+{data}", f"{name}+{number}+AAAA", SigningKey.generate("x").vkey):
        with pytest.raises(ValueError, match=r"key"):
            parse_key(wrong)


def test_the_stand_in_itself_refuses_what_it_must(log):
    """The test's own judge: proofs of every pair of sizes pass, and any altered one does not."""
    for new in range(1, 24):
        for old in range(new + 1):
            before, after = merkle.root(log.leaves[:old]), merkle.root(log.leaves[:new])
            proof = log.prove(old, new)
            assert grew(old, new, before, after, proof)
            if old > 0:
                assert not grew(old, new, bytes(32), after, proof)
                assert not grew(old, new, before, bytes(32), proof)
                assert not grew(old, new, before, after, [*proof, bytes(32)])
            if proof:
                assert not grew(old, new, before, after, proof[:-1])
                assert not grew(old, new, before, after, [bytes(32), *proof[1:]])


def test_the_stand_in_refuses_a_wrong_size(log):
    stand_in = log.witness()
    request = b"old 9\n\n" + log.note(3)
    assert stand_in.answer(Asked("POST", "/add-checkpoint", {}, request)).status == 400
    assert stand_in.answer(Asked("POST", "/other", {}, request)).status == 404
    tail = base64.b64encode(b"1234").decode()
    unsigned = log.note(3).rpartition(b"\n\n")[0] + f"\n\n— {log.origin} {tail}\n".encode()
    assert stand_in.answer(Asked("POST", "/add-checkpoint", {}, b"old 0\n\n" + unsigned)).status == 403
