"""Consistency proofs for witnesses. A witness checks each against the root that it co-signed last."""

from __future__ import annotations

from django.db import connection

from ledger.anchors.targets import Failed
from ledger.merkle import consistency, tiled
from ledger.tiles import from_database


def between(old: int, new: int) -> list[bytes]:
    """Proof that the tree of `new` entries begins with that of `old`. Raises Failed `proof_unavailable`."""
    with connection.cursor() as cursor:
        try:
            return consistency(old, new, tiled(new, from_database(cursor)))
        except ValueError as error:
            sentence = "Hashes of the tree are missing in the database. Verify a log bundle to see what was altered."
            raise Failed("proof_unavailable", sentence) from error
