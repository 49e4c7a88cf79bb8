"""Arguments for bubblewrap that show this machine's programs, for stand-ins of systems that run jobs."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

SYSTEM = ("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64")


def a_sleep() -> str:
    """A long `sleep` with a number that no other test run on this machine uses."""
    return f"sleep {secrets.choice(range(10**6, 10**7))}"


def python() -> Path:
    """Where the tests' own Python is installed; this machine may have no other."""
    return Path(sys.base_prefix).resolve()


def search_path() -> str:
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return path if python().is_relative_to("/usr") else f"{path}:{python()}/bin"


def system(*names: str) -> list[str]:
    """Shows these of the system's directories, read-only."""
    argv = []
    for name in names:
        link = Path("/", name)
        if link.is_symlink():
            argv += ["--symlink", os.readlink(link), str(link)]
        elif link.exists():
            argv += ["--ro-bind", str(link), str(link)]
    return argv


def programs() -> list[str]:
    """Shows all of the system's programs, and the tests' own Python."""
    own = [] if python().is_relative_to("/usr") else ["--ro-bind", str(python()), str(python())]
    return [*system(*SYSTEM), *own]
