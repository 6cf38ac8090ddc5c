"""How times, numbers and sizes are written."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal import words

THIN = words.THIN
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"), (44, "just now"), (46, "46 seconds ago"), (60, "1 minute ago"), (3570, "1 hour ago"),
        (3600, "1 hour ago"), (5400, "2 hours ago"), (86300, "1 day ago"), (86400, "1 day ago"),
        (3 * 86400, "3 days ago"), (31 * 86400, "24 Oct 2026"), (-10, "in a moment"), (-120, "in 2 minutes"),
        (-3 * 86400, "in 3 days"), (-40 * 86400, "3 Jan 2027"), (30 * 86400 - 1, "25 Oct 2026"),
    ],
)  # fmt: skip
def test_times_are_relative_then_dates(seconds: int, text: str) -> None:
    assert words.relative(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1681, None, f"1{THIN}681"), (12, None, "12"), (0, None, "0"), (-1234567, None, f"−1{THIN}234{THIN}567"),
        (0.826, 3, "0.826"), (-0.04, 2, "−0.04"), (-0.001, 2, "0.00"), (12345.678, 1, f"12{THIN}345.7"),
        (0.000123, None, "0.0001"), (3.14159, None, "3.142"), (1234.5, None, f"1{THIN}234"), (10.0, None, "10"),
        (Decimal("2.50"), 2, "2.50"), (None, 2, "–"), (float("nan"), None, "–"), (float("inf"), None, "∞"),
        (float("-inf"), 1, "−∞"), (-2.5, None, "−2.5"),
    ],
)  # fmt: skip
def test_numbers(value: Any, digits: int | None, text: str) -> None:
    assert words.number(value, digits) == text


def test_durations_and_sizes() -> None:
    assert words.length(0.18) == f"180{THIN}ms"
    assert words.length(3.21) == f"3.2{THIN}s"
    assert words.length(125) == f"2{THIN}min 05{THIN}s"
    assert words.length(7500) == f"2{THIN}h 05{THIN}min"
    assert words.length(200_000) == f"2 days 7{THIN}h"
    assert [words.size_of(size) for size in (12, 2_400_000, 3 * 10**12)] == [
        f"12{THIN}B",
        f"2.4{THIN}MB",
        f"3.0{THIN}TB",
    ]
