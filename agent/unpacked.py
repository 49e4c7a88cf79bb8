"""The unpacked archive's entry: imports all that will be needed and removes the directory it lies in.

The archive's stub hands over two variables: MEDUSA_UNPACKED, the directory, and MEDUSA_SELF, the archive's file.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys

DAMAGED = 126
_BEGINNING = b"#!/bin/sh\n# Medusa agent "
_MARKS = (b"\nmedusa_agent() {", b"\n# self=")
"""Either says that a file is an archive of ours: a single broken byte leaves one of them whole."""


def run() -> int:
    """Run the agent; its exit status. Signals that would end it are blocked until its handlers stand."""
    directory = os.environ.pop("MEDUSA_UNPACKED", "")
    source = os.environ.pop("MEDUSA_SELF", "")
    try:
        if is_damaged(source):
            sys.stderr.write("medusa agent: %s: damaged\n" % ascii(source))
            return DAMAGED
        from agent.__main__ import main
    finally:
        if directory and os.path.samefile(directory, _root()):
            remove(directory)
    reap()
    return main()


def reap() -> None:
    """Some shells leave the writer of a here-document behind, as a child that nobody waits for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _root() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def is_damaged(path: str) -> bool:
    """Whether the file, if it is or ends with an archive, differs from what its own digest says.

    The stub has looked already, but the byte that broke may be in its looking.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(1 << 20)
    except (OSError, ValueError):
        return False  # read from a pipe by a shell: there is no file to look at
    if not any(mark in data for mark in _MARKS):
        return False
    digests = list(re.finditer(rb"\n# self=([0-9a-f]{64})\n", data))
    # What a launcher has put before the archive is its own.
    start = data.rfind(_BEGINNING, 0, digests[-1].start()) if digests else -1
    if start < 0:
        return True
    masked = data[start : digests[-1].start(1)] + b"0" * 64 + data[digests[-1].end(1) :]
    return hashlib.sha256(masked).hexdigest().encode("ascii") != digests[-1].group(1)


def remove(directory: str) -> None:
    """Remove a directory and what is in it. What cannot be removed stays: no reason to refuse the session."""
    try:
        for parent, directories, files in os.walk(directory, topdown=False):
            for name in files:
                os.unlink(os.path.join(parent, name))
            for name in directories:
                os.rmdir(os.path.join(parent, name))
        os.rmdir(directory)
    except OSError:
        pass
