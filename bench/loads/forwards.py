"""Measures a forwarded port (-L) of a session: how many bytes it passes, how soon, and how many connections."""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.loads.delays import percentiles, repeated
from bench.loads.programs import END_TIMEOUT, READ_SIZE, START_TIMEOUT, Failed, on_pipes
from bench.processes import reserved_ports

BLOCK_SIZE = 1 << 20
"""Bytes that are sent, and read, at once."""

REQUEST, ANSWER = b"GET / HTTP/1.1\r\nHost: job\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
"""What is sent and answered, again and again, to measure a delay."""


def forward(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how fast bytes go through a forwarded port, over some connections at once, one way."""
    count, share = options.connections, options.size // options.connections
    if options.up:
        with _listener() as far, _forwarded(options, far) as near, _child(lambda: _pour(_dial(near, count), share)):
            received, seconds = _drain(_accept(far, count))
    else:
        with _listener() as far, _child(lambda: _pour(_accept(far, count), share)), _forwarded(options, far) as near:
            received, seconds = _drain(_dial(near, count))
    if received != share * count:
        raise Failed(f"{received} of {share * count} bytes")
    return {"bytes": received, "MBps": round(received / 1e6 / seconds, 1)}


def forward_echo(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how long a small request and its answer take over one connection of a forwarded port."""
    with _listener() as far, _child(lambda: _answer(far)), _forwarded(options, far) as near:
        [sock] = _dial(near, 1)
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            taken = repeated(options.count, lambda: _ask(sock))
    return {"rtt_us": percentiles(taken)}


def forward_connect(options: argparse.Namespace) -> dict[str, Any]:
    """Measures how many connections a forwarded port makes, one after another, each for a request and its answer."""

    def connect() -> None:
        with socket.create_connection(("127.0.0.1", near), START_TIMEOUT) as sock:
            _ask(sock)

    with _listener() as far, _child(lambda: _answer(far)), _forwarded(options, far) as near:
        taken = repeated(options.count, connect)
    return {"connections_per_s": round(1 / statistics.fmean(taken), 1)}


@contextlib.contextmanager
def _forwarded(options: argparse.Namespace, far: socket.socket) -> Iterator[int]:
    """Context manager that runs a session with a forwarded port. Yields the port, at which something listens."""
    with reserved_ports(1) as [near]:
        spec = f"127.0.0.1:{near}:127.0.0.1:{far.getsockname()[1]}"
        with on_pipes([*options.program[:-1], "-L", spec, options.program[-1], "echo; sleep 1000"]) as session:
            session.read(READ_SIZE, START_TIMEOUT)
            yield near


def _ask(sock: socket.socket) -> None:
    """Sends a request, and reads the answer. Raises Failed if it is another one."""
    sock.sendall(REQUEST)
    answer = b""
    while len(answer) < len(ANSWER) and (data := sock.recv(READ_SIZE)):
        answer += data
    if answer != ANSWER:
        raise Failed(f"the answer {answer!r}")


# ---------------------------------------------------------------------- bytes


def _pour(socks: list[socket.socket], size: int) -> None:
    """Sends `size` bytes over each connection, and ends it."""
    block = memoryview(os.urandom(BLOCK_SIZE))
    left = dict.fromkeys(socks, size)

    def send(sock: socket.socket) -> bool:
        left[sock] -= sock.send(block[: left[sock]])
        return bool(left[sock])

    _each(socks, selectors.EVENT_WRITE, send)


def _drain(socks: list[socket.socket]) -> tuple[int, float]:
    """Reads each connection to its end. Returns the bytes, and the seconds from the first to the last of them."""
    buffer, received, first = bytearray(BLOCK_SIZE), 0, 0.0

    def read(sock: socket.socket) -> bool:
        nonlocal received, first
        count = sock.recv_into(buffer)
        first = first or time.monotonic()
        received += count
        return count > 0

    _each(socks, selectors.EVENT_READ, read)
    return received, time.monotonic() - first


def _each(socks: list[socket.socket], event: int, step: Callable[[socket.socket], bool]) -> None:
    """Calls `step` with each socket that is ready, until it returns False: then closes the socket."""
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            sock.setblocking(False)
            selector.register(sock, event, sock)
        while selector.get_map():
            ready = selector.select(END_TIMEOUT)
            if not ready:
                raise Failed(f"nothing moves for {END_TIMEOUT:g} s")
            for key, _ in ready:
                if not step(key.data):
                    selector.unregister(key.data)
                    key.data.close()


# ---------------------------------------------------------------------- sockets and processes


def _dial(port: int, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), START_TIMEOUT) for _ in range(count)]


def _accept(listener: socket.socket, count: int) -> list[socket.socket]:
    return [listener.accept()[0] for _ in range(count)]


def _answer(listener: socket.socket) -> None:
    """Answers all requests of each connection, one connection after another, for ever."""
    while True:
        with contextlib.suppress(OSError), listener.accept()[0] as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while sock.recv(READ_SIZE):
                sock.sendall(ANSWER)


@contextlib.contextmanager
def _listener() -> Iterator[socket.socket]:
    """Context manager that listens on a free port of loopback. Yields the listener."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(START_TIMEOUT)
        yield listener


@contextlib.contextmanager
def _child(work: Callable[[], None]) -> Iterator[None]:
    """Context manager that calls `work` in a process of its own, which is killed at the end."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            work()
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
