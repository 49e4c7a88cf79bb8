"""The loop of the SFTP server, which runs in a process of its own: disks may block it, but never the agent."""

from __future__ import annotations

import os
from typing import List

from agent.sftp.server import Server
from medusa.protocol.sftp.packets import MAX_PACKET, BadPacket, Cutter

STDIN, STDOUT = 0, 1


def serve() -> int:
    """Answers the requests that come from standard input, until it ends. Writes the answers to standard output.

    Nothing is read while the client does not take the answers. So the server holds a few packets at most.

    Returns the exit status of the process: 0, or 1 if the client has sent what is no packet.
    """
    server, cutter = Server(), Cutter()
    answers: List[bytes] = []
    while True:
        data = os.read(STDIN, MAX_PACKET)
        if not data:
            return 0
        try:
            size = 0
            for packet in cutter.cut(data):
                answers.append(server.answer(packet))
                size += len(answers[-1])
                if size >= MAX_PACKET:
                    _write(answers)
                    size = 0
        except BadPacket:
            _write(answers)
            return 1
        _write(answers)


def _write(answers: List[bytes]) -> None:
    view = memoryview(b"".join(answers))
    answers.clear()
    while view:
        view = view[os.write(STDOUT, view) :]
