"""Times steps that are done one after another."""

from __future__ import annotations

import time
from collections.abc import Callable

WARM = 20
"""Steps before the ones that count."""


def repeated(count: int, step: Callable[[], None]) -> list[float]:
    """Returns how many seconds each of `count` steps takes, after WARM others."""
    taken = []
    for number in range(WARM + count):
        begun = time.monotonic()
        step()
        if number >= WARM:
            taken.append(time.monotonic() - begun)
    return taken


def percentiles(taken: list[float]) -> dict[str, float]:
    """Returns the 50th and 99th percentile of seconds, in microseconds, as p50 and p99."""
    ordered = sorted(taken)
    return {f"p{n}": round(1e6 * ordered[len(ordered) * n // 100], 1) for n in (50, 99)}
