"""Command and environment of a process that runs a part of this program: a worker, or the publisher."""

from __future__ import annotations

import os
import sys
from typing import Any


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this installation. Pass `surroundings()` to Popen as well."""
    return [sys.executable, "-m", name, *arguments]


def surroundings() -> dict[str, Any]:
    """Keywords for Popen, so that the process finds the same modules and has no terminal."""
    return {
        "cwd": "/",  # -m puts the current directory first on the module path; others must not be able to write there
        "env": {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path)},
        "start_new_session": True,  # no terminal: no question for a passphrase, and no Control-C
    }
