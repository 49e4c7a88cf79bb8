"""How this program starts parts of itself as processes."""

from __future__ import annotations

import os
import sys
from typing import Any


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this installation; start it with `surroundings`."""
    return [sys.executable, "-m", name, *arguments]


def surroundings() -> dict[str, Any]:
    """Popen's keywords for it."""
    return {
        "cwd": "/",  # -m puts the current directory first on the module path: not one that others may write to
        "env": {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path)},
        "start_new_session": True,  # no terminal to ask for a passphrase at, or to get a Control-C from
    }
