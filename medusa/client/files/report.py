"""What the user asks a copy to do, and what has become of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from medusa.protocol.printable import printable
from medusa.protocol.record import record

PART_ABOVE = 4 * 1024 * 1024
"""Bytes. A file that is larger is first written beside its place, so that a copy that was cut off can go on."""


@record(kw_only=True)
class Wish:
    """How to copy.

    Attributes:
        recursive: True to copy directories with all that they hold.
        preserve: True to keep times and permissions.
        follow: True to copy what symbolic links point to. If False, links in directories are copied as links.
        resume: True to leave out files that are there already: of the same size, and not older.
    """

    recursive: bool = False
    preserve: bool = False
    follow: bool = False
    resume: bool = False


class Report:
    """Counts what is done, and tells the user what has failed.

    Args:
        tell: shows the user a line.

    Attributes:
        files: the number of files that are copied.
        total: the bytes of all files that were begun.
        done: the bytes of them that are copied.
        failures: the number of files and directories that could not be copied.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.files = self.total = self.done = self.failures = 0

    def failed(self, path: bytes, error: Exception | str) -> None:
        """Tells the user that a file or directory could not be copied, and why."""
        words = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        self.failures += 1
        self._tell(f"{shown(path)}: {printable(words)}")

    def note(self, path: bytes, words: str) -> None:
        """Tells the user something about a file that is no error."""
        self._tell(f"{shown(path)}: {words}")


def shown(path: bytes) -> str:
    """Returns a path as the user is shown it."""
    return printable(path.decode("utf-8", "backslashreplace"))


def part_of(path: bytes, size: int, modified: float) -> bytes:
    """Returns the path of the part of a file that was not copied whole. Another version of the file has another one.

    Args:
        path: where the file belongs.
        size: the size of the file that is copied, in bytes.
        modified: when it was last written, in seconds since 1970.
    """
    folder, name = os.path.split(path)
    mark = hashlib.sha256(b"%d %d " % (size, int(modified)) + name).hexdigest()[:12]
    return os.path.join(folder, b".%s.%s.part" % (name[:200], mark.encode()))
