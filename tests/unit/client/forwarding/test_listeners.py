"""Listening on this machine."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from medusa.client.forwarding.listeners import Listeners
from medusa.client.forwarding.report import Report
from medusa.client.outcome import Failure
from medusa.client.places.specs import Side, parse_forward
from medusa.transports.forwarding.listening import Listener
from medusa.transports.forwarding.lookups import Lookups
from tests.waiting import Clock


class Stage:
    """Listeners with a clock, and the lines that they show."""

    def __init__(self) -> None:
        self.clock, self.lines = Clock(), list[str]()
        self.listeners = Listeners(Report(self.lines.append, clock=self.clock), self.clock)

    def add(self, text: str) -> None:
        self.listeners.add(parse_forward(Side.LOCAL, text), Lookups(self.clock))

    def accept(self) -> int:
        accepted = list(self.listeners.accept(self.listeners.fds, lambda: True))
        for _, sock in accepted:
            sock.close()
        return len(accepted)


def test_a_port_in_use() -> None:
    stage = Stage()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*; 0 takes any free port"):
            stage.add(f"127.0.0.1:{port}:web:80")
    assert len(stage.listeners) == 0


def test_a_socket_that_nobody_uses_any_more(tmp_path: Path) -> None:
    stage, path = Stage(), tmp_path / "here"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    stage.add(f"{path}:web:80")
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as program:
        program.connect(str(path))
        assert stage.accept() == 1
    with pytest.raises(Failure, match="cannot listen on"):
        stage.add(f"{path}:web:80")
    stage.listeners.close()
    assert not path.exists()


def test_a_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("text")
    with pytest.raises(Failure, match="cannot listen on"):
        Stage().add(f"{tmp_path}/here:web:80")
    assert (tmp_path / "here").read_text() == "text"


def test_a_listener_dies(tmp_path: Path) -> None:
    stage = Stage()
    stage.add(f"{tmp_path}/here:web:80")
    os.unlink(tmp_path / "here")
    stage.clock.sleep(1.0)
    assert stage.accept() == 0
    assert stage.lines == [f"{tmp_path}/here is not forwarded any more: its file was removed"]
    assert len(stage.listeners) == 0


def test_no_descriptor_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    stage.add("127.0.0.1:0:web:80")
    (fd,) = stage.listeners.fds

    def fail(listener: Listener, fd: int) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Listener, "accept", fail)
        assert stage.accept() == 0
    assert stage.listeners.fds == []
    stage.clock.sleep(1.0)
    assert stage.listeners.deadline <= stage.clock()
    assert stage.accept() == 0
    assert stage.listeners.fds == [fd]
    assert len(stage.lines) == 1
    stage.listeners.close()
