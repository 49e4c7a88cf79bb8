from __future__ import annotations

import time

import pytest

from medusa.transports.dial import ConnectRefused, read_response, remaining
from medusa.transports.steps import run
from tests.links import unix_pair


def test_after_its_deadline_nothing_is_waited_for() -> None:
    assert remaining(0) > 0
    near, far = unix_pair()
    near.setblocking(False)
    with near, far, pytest.raises(ConnectRefused, match="timed out"):
        run(read_response(near, time.monotonic()))


def test_bytes_that_keep_coming_do_not_move_the_deadline() -> None:
    near, far = unix_pair()
    far.sendall(b"HTTP/1.1 101 Switching")
    near.setblocking(False)
    with near, far, pytest.raises(ConnectRefused, match="timed out"):
        run(read_response(near, time.monotonic()))
