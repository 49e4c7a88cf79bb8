"""Increases the limit of open files (RLIMIT_NOFILE), and computes how many linked pairs it allows.

Each link holds at least one file descriptor for as long as it lives.
"""

from __future__ import annotations

import errno
import math
import os
import resource

import structlog

log = structlog.get_logger(component="descriptors")

WANTED = 10_000
"""A number of pairs of links. If the limit of open files allows fewer, a warning is logged at the start."""

RESERVED = 64
"""The number of descriptors that links may not use: the program itself and requests in progress need them."""

MAX_RESERVE, MAX_RESERVE_SHARE = 24, 16
"""The number of descriptors that new connections may not use: MAX_RESERVE, or one in MAX_RESERVE_SHARE if that is less.

This reserve is a part of RESERVED. The sockets to the directory, to other reflectors and to workers need it.
"""

STARTUPS_SHARE = 2
"""Peers that have not identified themselves may use one in STARTUPS_SHARE of the descriptors for connections."""

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


def check_room(fd: int) -> None:
    """Raises OSError (EMFILE) if only the reserve was left when the descriptor `fd` was opened.

    Call it with each new descriptor that becomes a part of a link.
    """
    if fd >= first_reserved():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def startups_allowed() -> float:
    """Returns how many connections of peers that have not identified themselves the limit allows."""
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
