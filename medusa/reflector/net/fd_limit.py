"""Increases the limit of open files (RLIMIT_NOFILE), and computes how many linked pairs it allows.

Each link holds at least one file descriptor for as long as it lives.
"""

from __future__ import annotations

import math
import resource

import structlog

log = structlog.get_logger(component="descriptors")

WANTED = 10_000
"""A number of pairs. If the limit allows fewer, a warning is logged at the start."""

RESERVED = 64
"""The number of descriptors kept for everything except links: the program's own, and for requests in progress."""

MAX_RESERVE, MAX_RESERVE_SHARE = 24, 16
"""New connections may use all descriptors but so many, or but one in so many if that is less.

This reserve is a part of RESERVED. It is for what connections need besides: the directory, other reflectors, workers.
"""

STARTUPS_SHARE = 2
"""Peers that have not identified themselves may use one in so many of the descriptors that connections may use."""

PER_PAIR = 2
"""Descriptors that a pair needs: one for each link."""

PER_PROXIED_PAIR = 6
"""Descriptors that a pair needs with TLS and several workers, in all workers together.

A link that a worker accepts for a session of another worker needs two more: both ends of a socket pair between them.
"""


def pairs_allowed(limit: int, per_pair: int = PER_PAIR) -> int:
    """Returns the number of pairs for which `limit` descriptors are enough."""
    return max(0, limit - RESERVED) // per_pair


def first_reserved() -> float:
    """Returns the number of the first descriptor that is kept in reserve.

    The system always gives the lowest number that is free. So if a new descriptor has this number or a higher one, then
    only the reserve is left.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return math.inf
    return limit - max(1, min(MAX_RESERVE, limit // MAX_RESERVE_SHARE))


def startups_allowed() -> float:
    """Returns for how many peers that have not identified themselves the limit has room."""
    return first_reserved() // STARTUPS_SHARE


def raise_limit() -> int:
    """Increases the soft limit to the hard limit, if the system allows it. Returns the limit now in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def check(per_pair: int = PER_PAIR) -> None:
    """Increases the limit of open files as far as allowed. Logs a warning if it is still too low for WANTED pairs.

    `per_pair`: how many descriptors one pair needs."""
    limit = raise_limit()
    pairs = pairs_allowed(limit, per_pair)
    if limit != resource.RLIM_INFINITY and pairs < WANTED:
        advice = "the limit of open files, %d, allows %d sessions at a time; for %d, raise it to %d: `ulimit -n`, or "
        advice = (advice + "LimitNOFILE= of systemd") % (limit, pairs, WANTED, RESERVED + per_pair * WANTED)
        log.warning("few descriptors", limit=limit, pairs=pairs, advice=advice)
