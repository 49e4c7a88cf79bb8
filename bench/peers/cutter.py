"""A TCP proxy that cuts its connections at an interval: `python -m bench.peers.cutter --to PORT --interval SECONDS`.

Prints the line `listening http://127.0.0.1:PORT` when it serves. Bytes that are on their way at a cut are lost.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import socket
import struct
import threading
import time

CHUNK = 256 * 1024
"""Bytes that are copied at once, and the size of each pipe."""

F_SETPIPE_SZ = 1031
DISCARD = struct.pack("ii", 1, 0)
"""A value of SO_LINGER: the end of the connection discards what was not sent."""


class Connection:
    """A connection that was accepted, and the proxy's own connection to the server. Two threads copy its bytes."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._sockets = (near, far)
        self._threads = [threading.Thread(target=self._copy, args=ends) for ends in ((near, far), (far, near))]
        self._closer = threading.Thread(target=self._close)
        for thread in (*self._threads, self._closer):
            thread.daemon = True
            thread.start()

    def cut(self) -> None:
        """Ends the connection on both sides."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
                sock.shutdown(socket.SHUT_RDWR)  # wakes the threads, which close the sockets

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        """Copies bytes through a pipe, so that they stay in the kernel."""
        reader, writer = os.pipe()
        try:
            with contextlib.suppress(OSError):
                fcntl.fcntl(writer, F_SETPIPE_SZ, CHUNK)
                while size := os.splice(source.fileno(), writer, CHUNK):
                    while size:
                        size -= os.splice(reader, sink.fileno(), size)
                sink.shutdown(socket.SHUT_WR)
        finally:
            os.close(reader)
            os.close(writer)

    def _close(self) -> None:
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()


class Cutter:
    """Accepts connections for a server on a port of loopback. Call `cut` at any time, in another thread."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._connections: list[Connection] = []

    def serve(self, listener: socket.socket) -> None:
        """Accepts connections for ever."""
        while True:
            near, _ = listener.accept()
            try:
                far = socket.create_connection(self._to)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._connections.append(Connection(near, far))

    def cut(self) -> None:
        """Ends all connections."""
        with self._lock:
            found, self._connections = self._connections, []
        for connection in found:
            connection.cut()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.cutter")
    parser.add_argument("--to", type=int, required=True, help="the port of the server")
    parser.add_argument("--interval", type=float, default=0.0, help="seconds between two cuts; 0 for no cut")
    options = parser.parse_args()
    cutter = Cutter(options.to)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=cutter.serve, args=(listener,), daemon=True).start()
        print(f"listening http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while options.interval:
            time.sleep(options.interval)
            cutter.cut()
        signal.pause()


if __name__ == "__main__":
    main()
