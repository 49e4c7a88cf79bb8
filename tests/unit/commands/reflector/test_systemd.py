from __future__ import annotations

import secrets
import socket
from pathlib import Path

import pytest

from medusa.commands.reflector.systemd import READY, notify


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
