"""How many pairs the process's limit of open files allows. Each link holds a descriptor for as long as it lives."""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger(component="descriptors")

WANTED = 10_000
"""Pairs. A limit that allows fewer is told of at start."""

RESERVED = 64
"""Descriptors for what is no link: the program's own, and requests that are being answered."""

PER_PAIR = 2

PER_BRIDGED_PAIR = 6
"""With TLS and several workers, counted over all of them: a link that was accepted elsewhere holds two more."""


def pairs_allowed(limit: int, per_pair: int = PER_PAIR) -> int:
    """With `limit` descriptors."""
    return max(0, limit - RESERVED) // per_pair


def raise_limit() -> int:
    """Take as many descriptors as the process may have without asking anybody; returns the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def check(per_pair: int = PER_PAIR) -> None:
    """Raise the limit, and warn where it is low all the same."""
    limit = raise_limit()
    pairs = pairs_allowed(limit, per_pair)
    if limit != resource.RLIM_INFINITY and pairs < WANTED:
        advice = "raise `ulimit -n` (systemd: LimitNOFILE) to %d" % (RESERVED + per_pair * WANTED)
        log.warning("few descriptors", limit=limit, pairs=pairs, advice=advice)
