"""A log that has begun, and the hands of whoever owns its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.ledger.owning import Owner
    from tests.ledger.whole import Log


@pytest.fixture
def log(committing_db, seal) -> Log:
    from tests.ledger.whole import Log

    seal.copy()
    found = Log(committing_db, seal.root)
    found.seal()
    return found


@pytest.fixture
def owner(owner_cursor) -> Owner:
    from tests.ledger.owning import Owner

    return Owner(owner_cursor)
