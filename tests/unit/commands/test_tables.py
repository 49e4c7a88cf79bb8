from __future__ import annotations

import pytest

from medusa.commands import tables


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (90000, "1d01h"),
        (None, "-"),
        (-1, "-"),
        (float("inf"), "-"),
        (float("nan"), "-"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert tables.duration(seconds) == text
