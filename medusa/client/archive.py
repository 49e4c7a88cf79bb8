"""Finds and writes the agent's archive: the one executable file that contains the whole agent.

The build of this package puts the file into medusa/data.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import medusa
from medusa.client.outcome import Failure

CARRIED = Path(medusa.__file__).parent / "data" / "agent.sh"
MODE = 0o755
"""The file mode of an archive that is written."""


def find_archive(path: str | None = None) -> Path:
    """Returns the path of the agent's archive. This is `path`, or the archive in this package if `path` is None.

    Raises:
        Failure: there is no such file.
    """
    archive = CARRIED if path is None else Path(path)
    if archive.is_file():
        return archive
    if path is not None:
        raise Failure(f"no agent archive at {path}")
    raise Failure(f"no agent archive at {archive}; in a source checkout, make it with `make archive`")


def write_archive(archive: bytes, path: str) -> None:
    """Writes `archive` to `path` as an executable file. After a failure, an old file at `path` is unchanged.

    Raises:
        OSError: the file cannot be written. The text may name a temporary file instead of `path`.
    """
    import tempfile  # takes long to import

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
