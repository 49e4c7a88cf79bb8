"""How many pairs the limit of open files (RLIMIT_NOFILE) allows. Each link holds a descriptor as long as it lives."""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger(component="descriptors")

WANTED = 10_000
"""Pairs. If the limit allows fewer, a warning is logged at the start."""

RESERVED = 64
"""Descriptors for all but links: the program's own, and requests that are being answered."""

PER_PAIR = 2

PER_PROXIED_PAIR = 6
"""With TLS and several workers, in all of them together: a link that another worker has accepted holds two more."""


def pairs_allowed(limit: int, per_pair: int = PER_PAIR) -> int:
    """The pairs that `limit` descriptors are enough for."""
    return max(0, limit - RESERVED) // per_pair


def raise_limit() -> int:
    """Raise the soft limit to the hard one. Returns the limit that is in force now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def check(per_pair: int = PER_PAIR) -> None:
    """Raise the limit, and log a warning if it is still low."""
    limit = raise_limit()
    pairs = pairs_allowed(limit, per_pair)
    if limit != resource.RLIM_INFINITY and pairs < WANTED:
        advice = "raise `ulimit -n` (systemd: LimitNOFILE) to %d" % (RESERVED + per_pair * WANTED)
        log.warning("few descriptors", limit=limit, pairs=pairs, advice=advice)
