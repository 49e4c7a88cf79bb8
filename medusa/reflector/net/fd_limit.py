"""Increases the limit of open files (RLIMIT_NOFILE), and computes how many linked sessions it allows.

A linked session has two links: the connection of its client and the connection of its agent. Each link needs at least
one file descriptor.
"""

from __future__ import annotations

import errno
import math
import os
import resource

import structlog

log = structlog.get_logger(component="descriptors")

WANTED = 10_000
"""If the limit of open files allows fewer pairs than this number, a warning is logged at the start.

A pair is the two links of one session.
"""

RESERVED = 64
"""The number of descriptors that are not counted for links: the program itself and requests in progress need them."""

MAX_RESERVE, MAX_RESERVE_SHARE = 24, 16
"""The size of the reserve: the descriptors that new connections may not use.

It is MAX_RESERVE, or one in MAX_RESERVE_SHARE of the limit of open files, if that is less. The sockets to the
directory, to other reflectors and to workers need this reserve.
"""

STARTUPS_SHARE = 2
"""Peers that have not identified themselves may use 1 / STARTUPS_SHARE of the descriptors outside the reserve."""

PER_PAIR = 2
"""Descriptors that the two links of a session need: one for each link."""

PER_PROXIED_PAIR = 6
"""Descriptors that the two links of a session need with TLS and several workers, in all workers together.

If a worker accepts a link with TLS for a session of another worker, the link needs two more descriptors: the ends of a
socket pair between the two workers.
"""


def pairs_allowed(limit: int, per_pair: int = PER_PAIR) -> int:
    """Returns how many linked sessions are possible with a limit of open files.

    Args:
        limit: the limit of open files.
        per_pair: the number of descriptors that one session needs for its two connections.
    """
    return max(0, limit - RESERVED) // per_pair


def first_reserved() -> float:
    """Returns the lowest descriptor number that new connections may not use; infinity if there is no limit.

    This descriptor and the higher ones are a reserve for other purposes (see MAX_RESERVE). The system gives a new
    descriptor the lowest free number. So if a new descriptor has the returned number or a higher one, all descriptors
    outside the reserve are in use.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return math.inf
    return limit - max(1, min(MAX_RESERVE, limit // MAX_RESERVE_SHARE))


def check_room(fd: int) -> None:
    """Raises OSError (EMFILE) if `fd` is one of the last descriptors, which new connections may not use.

    Call this with each new descriptor of a client's or an agent's connection. See `first_reserved`.
    """
    if fd >= first_reserved():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def startups_allowed() -> float:
    """Returns the maximum number of connections whose peers have not identified themselves yet."""
    return first_reserved() // STARTUPS_SHARE


def raise_limit() -> int:
    """Increases the soft limit of open files to the hard limit if the system allows it. Returns the new soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def check(per_pair: int = PER_PAIR) -> None:
    """Increases the limit of open files as far as allowed. Logs a warning if it is too low for WANTED sessions.

    `per_pair`: the number of descriptors that one session needs for its two connections.
    """
    limit = raise_limit()
    pairs = pairs_allowed(limit, per_pair)
    if limit != resource.RLIM_INFINITY and pairs < WANTED:
        advice = "the limit of open files, %d, allows %d sessions at a time; for %d, raise it to %d: `ulimit -n`, or "
        advice = (advice + "LimitNOFILE= of systemd") % (limit, pairs, WANTED, RESERVED + per_pair * WANTED)
        log.warning("few descriptors", limit=limit, pairs=pairs, advice=advice)
