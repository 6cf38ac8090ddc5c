"""Signed checkpoints leave the database, so that whoever owns it cannot put the log back or fork it unnoticed."""

from ledger.anchors.reading import (
    Standing,
    anchored_outside,
    anchors_of,
    anchors_over,
    bundle_path,
    newest_anchors,
    standing,
    witness_keys,
)  # fmt: skip

__all__ = [
    "Standing", "anchored_outside", "anchors_of", "anchors_over", "bundle_path", "newest_anchors", "standing",
    "witness_keys",
]  # fmt: skip
