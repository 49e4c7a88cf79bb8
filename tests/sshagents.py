"""An ssh-agent: the real one as a process, and one that answers what a test says."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.signing import Key
from tests.waiting import PATIENCE, wait_until

needs_ssh_agent = pytest.mark.skipif(not shutil.which("ssh-agent"), reason="needs ssh-agent (openssh-client)")


NO_AGENT = 2
"""Exit status of ssh-add if it cannot reach an agent."""


class SshAgent:
    """Attributes:
    environ: variables by which clients find it.
    """

    def __init__(self, path: Path) -> None:
        self.environ = {"SSH_AUTH_SOCK": str(path)}

    def add(self, key: Key) -> None:
        self._ssh_add("-q", "-", data=key.pem())

    def forget_all(self) -> None:
        self._ssh_add("-D")

    def answers(self) -> bool:
        return self._run("-l").returncode != NO_AGENT

    def _ssh_add(self, *arguments: str, data: bytes = b"") -> None:
        self._run(*arguments, data=data).check_returncode()

    def _run(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environ = {**os.environ, **self.environ}
        return subprocess.run(["ssh-add", *arguments], input=data, env=environ, capture_output=True)


@contextlib.contextmanager
def ssh_agent() -> Iterator[SshAgent]:
    # Not in the test's directory: the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="agent-") as directory:
        path = Path(directory) / "socket"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        try:
            agent = SshAgent(path)
            wait_until(agent.answers, "an answer of ssh-agent")
            yield agent
        finally:
            process.terminate()
            process.wait(PATIENCE)


def string(data: bytes) -> bytes:
    """A string as RFC 4251, section 5, encodes it."""
    return len(data).to_bytes(4, "big") + data


@contextlib.contextmanager
def scripted_agent(answers: Mapping[int, bytes]) -> Iterator[str]:
    """Answers each request by the number of its type, and closes the connection on others. Yields the socket's path."""
    with tempfile.TemporaryDirectory(prefix="agent-") as directory, socket.socket(socket.AF_UNIX) as listener:
        path = f"{directory}/socket"
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=_play, args=(listener, answers))
        thread.start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def _play(listener: socket.socket, answers: Mapping[int, bytes]) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock, sock.makefile("rb") as stream:
            while head := stream.read(4):
                request = stream.read(int.from_bytes(head, "big"))
                if request[0] not in answers:
                    break
                sock.sendall(string(answers[request[0]]))
