"""Types of command-line options, for the parsers of mlogin and of the agent."""

from __future__ import annotations

import argparse

LONGEST = 1e9
"""The limit of a number of seconds, about 30 years. Larger times would overflow in some functions."""


def seconds(text: str) -> float:
    """Parses a number of seconds: 0 or more, with or without a fraction. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < LONGEST:
        raise argparse.ArgumentTypeError("%r is not a number of seconds" % text)
    return value
