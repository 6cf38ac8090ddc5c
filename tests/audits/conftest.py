"""Somebody who leaves, and the connection by which the sequencer erases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def leaver(cast: Any) -> Any:
    """Somebody whose name, mail address and doings stand in the log."""
    from tests.audits.erasing import somebody_who_leaves

    return somebody_who_leaves(cast)


@pytest.fixture
def eraser(committing_db: str) -> Iterator[Any]:
    """The sequencer's own connection."""
    from tests.sealing import connect

    opened = connect(committing_db)
    yield opened
    opened.close()
