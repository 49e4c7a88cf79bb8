"""What an event loop must be told of a descriptor that lives on in another process."""

from __future__ import annotations

import os
from typing import Any

import gevent
from gevent import monkey


def unwatch(fd: int) -> None:
    """Take `fd`, which nobody here waits for any more, out of what the kernel watches for the loop.

    libev leaves that to close(2). But the kernel goes on until the last duplicate is closed, and for one that was given
    away that is the other process's: each byte that came for it would wake this one up, and have libev, to which the
    number means nothing or another connection, make its whole epoll set anew.
    """
    loop: Any = gevent.get_hub().loop
    if loop.backend != "epoll":
        return
    try:
        with monkey.get_original("select", "epoll").fromfd(os.dup(loop.fileno())) as epoll:
            epoll.unregister(fd)
    except OSError:
        pass  # nobody ever had to wait for it; or no descriptor is left, and libev has its way
