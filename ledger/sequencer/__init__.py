"""Gives committed events their places in the tree, signs it, and publishes: one process at a time."""

from ledger.sequencer.cycle import STEPS, LogDamaged, Sealed, Sequencer

__all__ = ["STEPS", "LogDamaged", "Sealed", "Sequencer"]
