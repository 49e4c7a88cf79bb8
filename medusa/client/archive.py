"""The agent's archive that this installation carries: package data, made by the build."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import medusa
from medusa.client.outcome import Failure

CARRIED = Path(medusa.__file__).parent / "data" / "agent.sh"
MODE = 0o755
"""Of an archive that is written."""


def find_archive(path: str | None = None) -> Path:
    """The archive at `path`; by default the one that this installation carries. Raises Failure if there is none."""
    archive = CARRIED if path is None else Path(path)
    if archive.is_file():
        return archive
    if path is not None:
        raise Failure(f"no agent archive at {path}")
    raise Failure(f"no agent archive at {archive}; in a source checkout, make it with `make archive`")


def write_archive(archive: bytes, path: str) -> None:
    """Writes an executable file whole or not at all. Raises OSError, whose text may name a temporary file."""
    fd, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(archive)
            os.fchmod(fd, MODE)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
