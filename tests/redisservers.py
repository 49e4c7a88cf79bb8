"""A redis-server as a process, of any kind that the directory supports."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from tests.ports import HOST, free_port
from tests.waiting import PATIENCE, wait_until


class RedisServer:
    """One server. `arguments`: of its command line. It saves nothing: `start` after `kill` gives an empty server.

    Attributes:
        target: the arguments for redis-py to connect to it.
    """

    def __init__(self, directory: Path, *arguments: str, **target: Any) -> None:
        self._directory = directory
        self._arguments = arguments
        self.target = target
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self.process is None
        command = ["redis-server", *self._arguments, "--dir", str(self._directory), "--save", "", "--daemonize", "no"]
        with open(self._directory / "redis.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self._answers, "an answer of redis-server")
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """By SIGKILL. Idempotent."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """It is suspended."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def writes_held(self) -> Iterator[None]:
        """Clients that write have to wait."""
        self.ask("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            yield
        finally:
            self.ask("CLIENT", "UNPAUSE")

    def held(self) -> int:
        """How many clients wait so."""
        return int(self.ask("INFO", "clients")["blocked_clients"])

    def ask(self, *command: Any) -> Any:
        """Its answer to a command."""
        with redis.Redis(**self.target, socket_timeout=PATIENCE) as client:
            return client.execute_command(*command)

    def pass_time(self, seconds: float) -> None:
        """Brings all expiries nearer by so many seconds."""
        for key in self.ask("KEYS", "*"):
            left = self.ask("PTTL", key) - round(1000 * seconds)
            self.ask("PEXPIRE", key, max(0, left))

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self._directory / "redis.log").read_text()
        try:
            return self.ask("INFO") is not None
        except redis.ResponseError:
            return True
        except redis.ConnectionError:
            return False

    @property
    def url(self) -> str:
        """Of a single server."""
        if "unix_socket_path" in self.target:
            return f"redis+unix://{self.target['unix_socket_path']}"
        return f"redis://{HOST}:{self.target['port']}"


def on_socket(directory: Path, *arguments: str) -> RedisServer:
    path = str(directory / "redis.sock")
    return RedisServer(directory, "--port", "0", "--unixsocket", path, *arguments, unix_socket_path=path)


def on_port(directory: Path, *arguments: str, port: int = 0, **target: Any) -> RedisServer:
    port = port or free_port()
    return RedisServer(directory, *arguments, "--bind", HOST, "--port", str(port), host=HOST, port=port, **target)


def sentinel(directory: Path, master: RedisServer) -> RedisServer:
    """A Sentinel that calls the master "main"."""
    config = directory / "sentinel.conf"
    config.write_text(f"sentinel monitor main {HOST} {master.target['port']} 1\n")
    return on_port(directory, str(config), "--sentinel")


def cluster(directory: Path) -> RedisServer:
    """A Cluster of one node. Call `join` when it runs. (A node has to listen on a port.)"""
    bus = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    return on_port(directory, *bus)


def join(node: RedisServer) -> None:
    """Give the node of a cluster all of its slots."""
    node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: b"cluster_state:ok" in node.ask("CLUSTER", "INFO"), "a whole cluster")


@contextlib.contextmanager
def running(server: RedisServer) -> Iterator[RedisServer]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


_RACE = """
import os, sys
from medusa.directory.redis import RedisDirectory, SessionExists
from medusa.directory import Owner
start, go = os.pipe()
for number in range(int(sys.argv[2])):
    if not os.fork():
        os.close(go)
        directory = RedisDirectory(sys.argv[1])
        directory.lookup("id")
        os.write(1, b"ready\\n")
        os.read(start, 1)
        try:
            directory.claim("id", Owner(str(number)))
            os.write(1, b"won\\n")
        except SessionExists:
            os.write(1, b"lost\\n")
        os._exit(0)
sys.stdin.readline()
os.close(go)
for number in range(int(sys.argv[2])):
    os.wait()
"""


def race(url: str, racers: int) -> list[bytes]:
    """Lets so many processes claim one id at the same time; returns what each got: b"won" or b"lost"."""
    command = [sys.executable, "-c", _RACE, url, str(racers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(racers)] == [b"ready\n"] * racers
        process.stdin.write(b"\n")
        process.stdin.close()
        return process.stdout.read().split()
