"""`medusa sessions` as a process, and what its `kill` sends to peers."""

from __future__ import annotations

import subprocess
import sys

from tests.peers import CLOSE, TEXT, Peer, close_frame
from tests.reflectors import ROOT, Reflector
from tests.waiting import PATIENCE

KILLED = (1000, "the session was killed")


def run(reflector: Reflector, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medusa", "sessions", *arguments, "--reflector", reflector.url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


def said(reflector: Reflector, *arguments: str) -> str:
    done = run(reflector, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def farewell(peer: Peer) -> tuple[int, str]:
    """Reads up to the peer's Close, which may follow pulses, and answers it. Returns its code and reason."""
    while (message := peer.word()).opcode != CLOSE:
        assert message.opcode == TEXT
    peer.send(close_frame())
    peer.until_fin()
    return message.close
