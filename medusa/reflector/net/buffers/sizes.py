"""Decides without I/O whether a link gets small buffers: it is short, or all links together hold too much."""

from __future__ import annotations

from collections.abc import Sequence

BUFFER = 512 * 1024
"""Bytes that the kernel may buffer in each direction of a short link.

By default the kernel would buffer up to 13 MB for a session if one of its peers does not read. Links would also be a
quarter slower, because so many bytes do not fit into the processor's cache.
"""

LONG = 0.005
"""Seconds. A link is long if its round trip takes so long. With BUFFER it would carry at most 100 MB/s."""

MOST_HELD = 256 * 1024 * 1024
"""The most bytes that the kernel may hold for all long links of this process together."""


def is_short(round_trip: float | None) -> bool:
    """Returns True if a link with this round trip gets small buffers.

    Args:
        round_trip: seconds; 0.0 if it is not known yet, and None if the system cannot tell it.
    """
    return round_trip is None or 0.0 < round_trip < LONG


def to_fix(held: Sequence[int], limit: int = MOST_HELD) -> list[int]:
    """Returns the numbers of the links that have to get small buffers, so that the others hold `limit` bytes at most.

    Those that hold the most come first. Links that hold no more than small buffers would are left as they are.

    Args:
        held: the bytes that the kernel holds for each link.
    """
    found: list[int] = []
    rest = sum(held)
    if rest <= limit:
        return found
    for number in sorted(range(len(held)), key=held.__getitem__, reverse=True):
        if rest <= limit or held[number] <= 2 * BUFFER:
            break
        rest -= held[number]
        found.append(number)
    return found
