"""Creates the user's config file, and opens it in the user's editor."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping

TEMPLATE = """\
# Options of mlogin and medusa. A line is `option = value`, with an option that
# `mlogin --help` lists. `medusa config show` says what is set, and where.

# For every session:
#
# reflector = https://medusa.example.com:8381
# account = alice
# key = ~/.ssh/id_ed25519

# A profile: `mlogin gpu` uses these as well. An option that may be repeated has
# several lines.
#
# [gpu]
# target = slurm:
# launcher-arg = --partition=gpu
# launcher-arg = --time=1:00:00
"""
"""What a new config file contains."""

_EDITORS = ("editor", "vi", "nano")
"""The editors to try if neither VISUAL nor EDITOR is set."""


class NoEditor(Exception):
    """Raised if no editor can be found."""


def create(file: str) -> None:
    """Creates the config file, which only its owner may read. Does nothing if it exists. Raises OSError."""
    os.makedirs(os.path.dirname(os.path.abspath(file)), mode=0o700, exist_ok=True)
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        if os.path.isdir(file):
            raise
        return
    with open(fd, "w", encoding="utf-8") as stream:
        stream.write(TEMPLATE)


def edit(file: str, environ: Mapping[str, str]) -> int:
    """Runs the user's editor on `file`. Returns the editor's exit status.

    Raises:
        NoEditor: there is no editor.
        OSError: the editor cannot be run.
    """
    editor = environ.get("VISUAL") or environ.get("EDITOR") or next(filter(shutil.which, _EDITORS), None)
    if editor is None:
        raise NoEditor("no editor found; set EDITOR")
    # Control-C is for the editor, which does not inherit handlers, but would inherit SIG_IGN.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        # The variable may hold a command with options, as in git and crontab.
        return subprocess.run(["sh", "-c", f'{editor} "$1"', "sh", file], check=False).returncode
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
