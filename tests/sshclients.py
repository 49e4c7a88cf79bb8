"""The stock ssh client, which reaches a session by `medusa ssh-proxy`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.terminals import ROOT
from tests.waiting import PATIENCE, wait_until

needs_fuse = pytest.mark.skipif(
    not (shutil.which("sshfs") and os.access("/dev/fuse", os.W_OK)), reason="needs sshfs and FUSE"
)

MEDUSA = [sys.executable, "-m", "medusa"]


class Ssh:
    """ssh with a config of its own, which `medusa ssh-config` has printed.

    Args:
        place: a directory for the config, the host key and sockets, with a short path.
        words: what ssh-config is told.
    """

    def __init__(self, place: Path, environ: Mapping[str, str], *words: str) -> None:
        self.place = place
        self.environ = {**environ, "XDG_STATE_HOME": str(place / "state")}
        self.config, self.socket = place / "config", place / "s"
        printed = subprocess.run(
            [*MEDUSA, "ssh-config", *words], env=self.environ, cwd=ROOT, capture_output=True, text=True, check=True
        )
        self.config.write_text(printed.stdout)

    def command(self, *words: str) -> list[str]:
        return ["ssh", "-F", str(self.config), *words]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(self.command(*words), env=self.environ, cwd=ROOT, **pipes)

    def run(self, *words: str, typed: bytes = b"") -> tuple[int, bytes, bytes]:
        """The exit status, the output and the errors."""
        with self.start(*words) as process:
            out, err = process.communicate(typed, PATIENCE)
        return process.returncode, out, err

    def shared(self, *words: str) -> Sequence[str]:
        """Words for a run over the connection of `master`."""
        return ("-S", str(self.socket), *words)

    @contextlib.contextmanager
    def master(self, host: str) -> Iterator[subprocess.Popen[bytes]]:
        """One connection for all runs with `shared`: the ssh that holds it."""
        with self.start("-M", "-N", *self.shared(host)) as process:
            try:
                wait_until(self.socket.exists, "the connection", 3 * PATIENCE)
                yield process
            finally:
                process.terminate()
                process.wait(PATIENCE)
