"""Types of command-line options that mlogin and the agent share."""

from __future__ import annotations

import argparse

LONGEST = 1e9
"""Seconds, about 30 years: beyond it, what computes with times begins to overflow."""


def seconds(text: str) -> float:
    """A number of seconds: 0 or more, fractions too. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < LONGEST:
        raise argparse.ArgumentTypeError("%r is not a number of seconds" % text)
    return value
