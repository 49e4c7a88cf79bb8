"""Targets for connections that an agent makes, and listeners of an agent."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

from tests.streamclients import Run, StreamClient
from tests.waiting import PATIENCE

NOISE = bytes(range(256)) * 4096

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Target:
    """Listens for connections of the agent: by TCP, or at a path."""

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
            self.kind, self.fields = "tcp", {"host": "127.0.0.1", "port": self.socket.getsockname()[1]}
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            self.socket.listen()
            self.kind, self.fields = "unix", {"path": str(path)}
        self.socket.settimeout(PATIENCE)

    def connect(self, stream: StreamClient, **more: object) -> tuple[Run, socket.socket]:
        """Opens a channel to this target. Returns both ends."""
        run = stream.open(self.kind, **{**self.fields, **more}).started()
        peer, _ = self.socket.accept()
        peer.settimeout(PATIENCE)
        return run, peer


def everything(sock: socket.socket) -> bytes:
    """All that comes until the end."""
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def closed(run: Run) -> str:
    """The code with which the agent closes the channel."""
    run.client.until(lambda: run.closed is not None)
    return str(run.closed.code)


def listener(stream: StreamClient, **fields: object) -> tuple[Run, dict[str, Any]]:
    run = stream.open("listen", **fields).started()
    assert run.opened is not None
    return run, run.opened
