"""A witness that checks that the log only grew, and co-signs (c2sp.org/tlog-witness, c2sp.org/tlog-cosignature)."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from ledger.anchors import http
from ledger.anchors.targets import Failed, Known, NeedsProof, Published, Receipt, Target
from ledger.notes import COSIGNATURE, VerifierKey, open_note, split_note

SLACK_SECONDS = 3600
SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n?")


def parse_key(vkey: str) -> VerifierKey:
    """The key with which a witness makes cosignatures. Raises ValueError for any other."""
    key = VerifierKey.parse(vkey)
    if key.kind != COSIGNATURE:
        raise ValueError(f"the key of {key.name} is not one of cosignatures (type 4)")
    return key


@dataclass(frozen=True, kw_only=True)
class Witness(Target):
    kind: ClassVar[str] = "witness"

    url: str
    key: VerifierKey

    @property
    def place(self) -> str:
        return self.url

    def take(self, what: Published, known: Known) -> Receipt:
        """Send `add-checkpoint`; the receipt is the note with the verified cosignature. Raises Failed, NeedsProof."""
        answer = self.add(what, known.last, known)
        if answer.status == 409:
            held = self.held(answer, what)
            answer = self.add(what, held, known)
        if answer.status == 422:
            raise Failed(
                "witness_disagrees",
                f"{self.key.name} says that this log is no continuation of what it co-signed. The log was forked or "
                "put back: stop, and compare with the witness's own copy of the last checkpoint.",
            )
        if answer.status in (403, 404):
            sentence = f"{self.key.name} does not know this log's origin or key. Give its operator the log's vkey."
            raise Failed("witness_refuses", sentence)
        if answer.status != 200:
            raise http.refused(urlsplit(self.url).hostname or "", answer.status)
        return Receipt(self.url, cosigned(what.note, answer.body, self.key))

    def add(self, what: Published, old: int, known: Known) -> http.Answer:
        proof: Sequence[bytes] = ()
        if 0 < old < what.size:
            if old not in known.proofs:
                raise NeedsProof(old)
            proof = known.proofs[old]
        lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
        return http.send(
            "POST", f"{self.url}/add-checkpoint", body=f"old {old}\n{lines}\n".encode() + what.note,
            headers={"Content-Type": "text/plain; charset=utf-8", "User-Agent": "countersign"},
        )  # fmt: skip

    def held(self, answer: http.Answer, what: Published) -> int:
        """The size that a witness holds, from its 409. Raises Failed where it is larger than the whole log."""
        size = SIZE.fullmatch(answer.body)
        if size is None:
            raise Failed("answer_malformed", f"{self.key.name} answered 409 without its size. Check the address.")
        if int(size[1]) > what.size:
            raise Failed(
                "ahead",
                f"{self.key.name} has co-signed {int(size[1])} entries and this checkpoint has {what.size}. If this "
                "lasts, the log was put back to an older state.",
            )
        return int(size[1])


def cosigned(note: bytes, answer: bytes, key: VerifierKey) -> bytes:
    """The note with the witness's own line out of its answer, verified; other lines are ignored. Raises Failed."""
    body, _ = split_note(note)
    try:
        _, lines = split_note(body + b"\n" + answer)
        own = next(one.line for one in lines if (one.name, one.id) == (key.name, key.id))
        signature = open_note(body + b"\n" + own, [key]).signatures[0]
    except (ValueError, StopIteration) as error:
        sentence = f"{key.name} answered without a valid cosignature of its own. Check its vkey with its operator."
        raise Failed("cosignature_invalid", sentence) from error
    if abs((signature.time or 0) - time.time()) > SLACK_SECONDS:
        sentence = f"The clock of {key.name} and this machine's differ by over an hour. Set the wrong one right."
        raise Failed("cosignature_invalid", sentence)
    return note + own
