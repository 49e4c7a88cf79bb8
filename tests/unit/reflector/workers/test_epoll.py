"""A connection that was given away is no business of the loop here any more."""

from __future__ import annotations

import errno
import os
import socket

import gevent
import gevent.socket
import pytest

from medusa.reflector.workers.epoll import unwatch
from tests.links import unix_pair
from tests.waiting import MS
from tests.workers import watched


def test_a_duplicate_elsewhere_is_not_watched_here() -> None:
    near, far = unix_pair()
    with near, far:
        fd = far.fileno()
        with gevent.Timeout(20 * MS, False):  # type: ignore[arg-type]
            gevent.socket.wait_read(fd)
        assert fd in watched(os.getpid())
        elsewhere = socket.dup(fd)
        unwatch(fd)
        far.close()
        assert fd not in watched(os.getpid())
        socket.close(elsewhere)


def test_one_that_nobody_waited_for() -> None:
    near, far = unix_pair()
    with near, far:
        unwatch(far.fileno())


def test_with_no_descriptor_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    near, far = unix_pair()
    with near, far, monkeypatch.context() as scarce:
        scarce.setattr(os, "dup", refuse)
        unwatch(far.fileno())


def test_the_loop_goes_on() -> None:
    near, far = unix_pair()
    with near, far:
        for _ in range(3):
            with gevent.Timeout(5 * MS, False):  # type: ignore[arg-type]
                gevent.socket.wait_read(far.fileno())
            unwatch(far.fileno())
        near.send(b"x")
        gevent.socket.wait_read(far.fileno(), 10)
