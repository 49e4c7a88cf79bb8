"""What the reflector asks of a socket beside reading and writing."""

from __future__ import annotations

import select

from gevent import monkey

_poll = monkey.get_original("select", "poll")
_HUNG_UP = getattr(select, "POLLRDHUP", 0)  # POLLHUP and POLLERR are always reported


def hung_up(fd: int) -> bool:
    """True if the peer has ended its stream, also if bytes that came before the end are still unread."""
    poll = _poll()
    poll.register(fd, _HUNG_UP)
    return bool(poll.poll(0))
