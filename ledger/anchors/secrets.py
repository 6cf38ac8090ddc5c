"""Secrets of targets are in files of their own, which only the worker has to be able to read."""

from __future__ import annotations

from pathlib import Path

from ledger.anchors.targets import Failed

LARGEST = 64 * 1024


def read(option: str, path: Path) -> str:
    """The stripped text of a secret's file. Raises Failed, never with the content."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed("secret_unreadable", f"The file that {option} names cannot be read by the worker.") from error
    if not text:
        raise Failed("secret_unreadable", f"The file that {option} names is empty.")
    return text
