"""A proxy in front of a Redis, which does what a network or a busy server may do to one question. A process."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

from tests.redisservers import RedisServer
from tests.reflectors import ROOT

LATE, LOST = "late", "lost"
"""What becomes of a question: Redis gets it only after its client has given up, or the client never gets the answer."""


class FaultyRedis:
    """The proxy's process. `url`: its address."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = f"redis://127.0.0.1:{self._said()}"

    @contextlib.contextmanager
    def fails(self, fate: str, *marks: str) -> Iterator[None]:
        """The first question that contains all of `marks` fails. It has failed at the end of the block."""
        self._say(" ".join([fate, *marks]))
        yield
        self._say("end")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._said() == "ok"

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def in_front_of(server: RedisServer) -> Iterator[FaultyRedis]:
    command = [sys.executable, "-m", "tests.faultyredis", str(server.target["port"])]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield FaultyRedis(process)
        process.kill()


class _Proxy:
    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._marks: list[bytes] = []
        self._fate = ""
        self._held = b""
        self._failed = threading.Event()

    def serve(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            silent = threading.Event()
            server = socket.create_connection(self._target)
            threading.Thread(target=self._ask, args=(client, server, silent), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, silent), daemon=True).start()

    def obey(self, line: str) -> bool:
        fate, *marks = line.split()
        if fate != "end":
            self._failed.clear()
            self._fate, self._marks = fate, [mark.encode() for mark in marks]
            return True
        failed, held, self._held = self._failed.wait(30), self._held, b""
        if held:
            with socket.create_connection(self._target) as sock:
                sock.sendall(held)
                return failed and bool(sock.recv(4096))
        return failed

    def _ask(self, client: socket.socket, server: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._marks and all(mark in data for mark in self._marks):
                    self._marks = []
                    silent.set()
                    if self._fate == LATE:
                        self._held = data
                if not self._held or not silent.is_set():
                    server.sendall(data)
                if silent.is_set():
                    self._failed.set()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, server: socket.socket, silent: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not silent.is_set():
                    client.sendall(data)


def main() -> None:
    proxy = _Proxy(int(sys.argv[1]))
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
    for line in sys.stdin:
        print("ok" if proxy.obey(line) else "no such question", flush=True)


if __name__ == "__main__":
    main()
