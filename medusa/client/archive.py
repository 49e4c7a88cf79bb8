"""The agent archive that this installation carries: package data, made by the build."""

from __future__ import annotations

from pathlib import Path

import medusa
from medusa.client.outcome import Failure

CARRIED = Path(medusa.__file__).parent / "data" / "agent.sh"


def find_archive(path: str | None = None) -> Path:
    """The archive at `path`, by default the one carried along.

    Raises:
        Failure: there is none.
    """
    archive = CARRIED if path is None else Path(path)
    if archive.is_file():
        return archive
    if path is not None:
        raise Failure(f"no agent archive at {path}")
    raise Failure(f"no agent archive at {archive}; in a source checkout, make it with `make archive`")
