"""Makes the command and the environment of a child process that runs a module of Medusa: a worker or the publisher."""

from __future__ import annotations

import os
import sys
from typing import Any


def module(name: str, *arguments: str) -> list[str]:
    """Returns the command that runs the module `name` of this installation. Pass `surroundings()` to Popen as well."""
    return [sys.executable, "-m", name, *arguments]


def surroundings() -> dict[str, Any]:
    """Returns keyword arguments for Popen, which give the child the modules of this process and no terminal."""
    return {
        "cwd": "/",  # `-m` imports from the current directory first, so others must not be able to write there
        "env": {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path)},
        "start_new_session": True,  # without a terminal, no passphrase is asked for and no Control-C arrives
    }
