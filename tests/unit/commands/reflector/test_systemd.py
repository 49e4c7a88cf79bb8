from __future__ import annotations

import math
import os
import secrets
import socket
from pathlib import Path

import pytest

from medusa.commands.reflector.systemd import READY, Watchdog, notify, reloading
from tests.waiting import Clock


def test_a_manager_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify(READY)
        manager.setblocking(False)
        assert manager.recv(100) == b"READY=1"


def test_a_manager_by_an_abstract_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "medusa-test-" + secrets.token_hex(8)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify(READY)
        manager.setblocking(False)
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("value", ["", "/nowhere/notify", "vsock:1:2", "@medusa-test-nobody"])
def test_nobody_listens(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", value)
    notify(READY)


def test_no_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY)


def test_a_reload_and_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    clock = Clock()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        with reloading():
            assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(100) == b"READY=1"
        watchdog = Watchdog(clock)
        for seconds, beats in ((0, True), (14.9, False), (15, True), (16, False)):
            clock.now = 1000.0 + seconds
            watchdog.beat()
            if beats:
                assert manager.recv(100) == b"WATCHDOG=1"
        with pytest.raises(BlockingIOError):
            manager.recv(100)


@pytest.mark.parametrize(("wanted", "pid"), [("", ""), ("0", ""), ("x", ""), ("1000000", "1")])
def test_no_signs_of_life_are_wanted_of_this_process(wanted: str, pid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", wanted)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    watchdog = Watchdog()
    assert (watchdog.interval, watchdog.due) == (math.inf, math.inf)
