from __future__ import annotations

import socket
from pathlib import Path

import pytest

from medusa.transports.forwarding.dialling import dial
from medusa.transports.forwarding.lookups import Lookups
from medusa.transports.forwarding.refusal import CannotForward
from medusa.transports.steps import Work, run
from tests.waiting import Clock


@pytest.mark.parametrize("host", ["localhost", "192.0.2.1", "a.name"])
def test_a_host_that_has_not_answered_in_time(host: str) -> None:
    clock = Clock()
    with pytest.raises(CannotForward, match=rf"^{host}:80: ") as caught:
        run(dial({"host": host, "port": 80}, Lookups(clock), clock(), clock))
    assert caught.value.code == "timeout"


def test_a_unix_socket_whose_queue_is_full(tmp_path: Path) -> None:
    path, clock = str(tmp_path / "socket"), Clock()
    with socket.socket(socket.AF_UNIX) as target, socket.socket(socket.AF_UNIX) as first:
        target.bind(path)
        target.listen(0)
        first.connect(path)
        works = [Work(dial({"path": path}, Lookups(clock), clock() + 20, clock)) for _ in range(2)]
        assert [work.step({}, clock()) for work in works] == [None, None]
        target.accept()[0].close()
        clock.sleep(1)
        connected = works[0].step({}, clock())
        assert connected is not None
        with connected:
            clock.sleep(20)
            with pytest.raises(CannotForward, match=rf"^{path}: timed out$") as caught:
                works[1].step({}, clock())
        assert caught.value.code == "timeout"
