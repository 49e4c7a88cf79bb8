"""An editor's connections to its server: several at once, all of them kept, through a SOCKS proxy or a local port.

`python editor_client.py TOKEN VIA [PORT]`: VIA is a port of this machine. With PORT, a SOCKS proxy listens there, and
is asked for 127.0.0.1:PORT; without, VIA leads to the server. Prints the pid of the server.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import BinaryIO, cast

CONNECTIONS = 5


def connect(via: int, port: int | None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", via), timeout=60)
    if port is not None:
        sock.sendall(b"\x05\x01\x00" + b"\x05\x01\x00\x01" + bytes([127, 0, 0, 1]) + struct.pack("!H", port))
        answer = b""
        while len(answer) < 12 and (more := sock.recv(12 - len(answer))):
            answer += more
        assert answer[:4] == b"\x05\x00\x05\x00", answer
    return sock


def main(token: str, via: str, port: str | None = None) -> None:
    with contextlib.ExitStack() as stack:
        files = []
        for _ in range(CONNECTIONS):
            sock = stack.enter_context(connect(int(via), int(port) if port else None))
            files.append(cast(BinaryIO, stack.enter_context(sock.makefile("rwb", buffering=0))))
            files[-1].write(f"{token}\n".encode())
        servers = {answer(file, f"{number} {turn}") for turn in range(3) for number, file in enumerate(files)}
    (server,) = servers
    print(server)


def answer(file: BinaryIO, words: str) -> str:
    """The pid with which the server answers these words."""
    file.write(f"{words}\n".encode())
    pid, _, echo = file.readline().decode().partition(" ")
    assert echo == f"{words}\n", echo
    return pid


if __name__ == "__main__":
    main(*sys.argv[1:])
