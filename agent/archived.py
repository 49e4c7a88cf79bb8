"""Starts the agent's archive in memory. Writes the archive's modules to files only if `--extract` is given.

This module checks the archive's file, makes the other modules importable and runs the agent. It is the first module to
run, so it cannot import another module of the archive at its top.
"""

from __future__ import annotations

import errno
import gc
import hashlib
import os
import re
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Iterable, List, Mapping, Optional

BAD_USAGE, NO_ROOM, DAMAGED = 2, 125, 126

_BEGINNING = b"#!/bin/sh\n# Medusa agent "
_MARKS = (b"\nmedusa_agent() {", b"\n# self=")
"""A file that contains one of these texts is an archive of the agent.

There are two of them, because one broken byte can damage only one.
"""


def main(files: Mapping[str, bytes], words: List[str], blocked: Iterable[int] = ()) -> int:
    """Runs the agent; with `--list` or `--extract`, lists or writes the archive's files. Returns the exit status.

    Args:
        files: the contents of the files in the archive, by path.
        words: the path of the archive's own file, then the user's arguments. If the path differs from the variable
            MEDUSA_SELF, the archive's shell script is damaged. Then this function only reports that.
        blocked: the signals that the job had blocked before the archive started. The archive itself blocks nearly all
            signals until the agent has its handlers.
    """
    archive = os.environ.pop("MEDUSA_SELF", None)
    if archive is None or words[:1] != [archive] or is_damaged(archive):
        sys.stderr.write("medusa agent: %s: damaged\n" % ascii(archive))
        return DAMAGED
    if words[1:2] == ["--list"]:
        print("\n".join(files))
        return 0
    if words[1:2] == ["--extract"]:
        return _extract(files, words[2:])
    return _run(files, words, blocked)


def _run(files: Mapping[str, bytes], words: List[str], blocked: Iterable[int]) -> int:
    sys.argv = words
    # The built-in hook looks for source lines only in files. The module traceback takes long to import.
    sys.excepthook = lambda *error: __import__("traceback").print_exception(*error)
    sys.meta_path.insert(0, Importer(files))
    gc.disable()  # it would find nothing, and take a tenth of the time
    from agent.__main__ import main as agent

    gc.enable()
    return agent(blocked=blocked)


class Importer:
    """A finder and loader that imports modules from memory.

    Tracebacks show the modules as files of a directory `agent.sh`.

    Args:
        files: the sources of the modules, by path. With a `c` behind the path: the code of the module, if it was
            compiled before.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def find_spec(self, name: str, path: object = None, target: object = None) -> Optional[ModuleSpec]:
        """Returns the spec of the module `name`, or None if it is not in `files`. See importlib.abc.MetaPathFinder."""
        file = self._file(name)
        if file is None:
            return None
        package = file.endswith("/__init__.py")
        spec = ModuleSpec(name, self, origin="agent.sh/" + file, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Returns None, so that the import system makes the module object. See importlib.abc.Loader."""

    def exec_module(self, module: ModuleType) -> None:
        """Executes the module's code. See importlib.abc.Loader."""
        file = str(module.__file__)
        code: Any = self._files.get(file[9:] + "c")  # without `agent.sh/`
        code = code or compile(self.get_source(module.__name__), file, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102

    def get_source(self, name: str) -> str:
        """Returns the source text of the module `name`; tracebacks need it. Raises ImportError if there is none."""
        file = self._file(name)
        if file is None:
            raise ImportError(name)
        return self._files[file].decode("utf-8")

    def _file(self, name: str) -> Optional[str]:
        base = name.replace(".", "/")
        return next((file for file in (base + "/__init__.py", base + ".py") if file in self._files), None)


def is_damaged(path: str) -> bool:
    """True if the file holds a damaged archive of the agent: its SHA-256 digest differs from the one that it states.

    False if the file cannot be read, or holds no archive.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError):
        return False  # a shell has read the archive from a pipe, so there is no file to check
    if not any(mark in data for mark in _MARKS):
        return False
    digests = list(re.finditer(rb"\n# self=([0-9a-f]{64})\n", data))
    # A launcher may have put its own text before the archive.
    start = data.rfind(_BEGINNING, 0, digests[-1].start()) if digests else -1
    if start < 0:
        return True
    masked = data[start : digests[-1].start(1)] + b"0" * 64 + data[digests[-1].end(1) :]
    return hashlib.sha256(masked).hexdigest().encode("ascii") != digests[-1].group(1)


def _extract(files: Mapping[str, bytes], words: List[str]) -> int:
    if len(words) != 1 or words[0].startswith("-"):  # --extract --help is a question
        sys.stderr.write("medusa agent: usage: --extract DIR\n")
        return BAD_USAGE
    paths = {os.path.join(words[0], name): data for name, data in files.items()}
    taken = [path for path in paths if os.path.lexists(path)]
    try:
        if taken:
            raise FileExistsError(errno.EEXIST, "exists already", taken[0])
        for path, data in paths.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(data)
    except OSError as error:
        sys.stderr.write("medusa agent: cannot unpack: %s: %s\n" % (error.filename or words[0], error.strerror))
        return NO_ROOM
    return 0
