"""Keeps the modules of the agent compiled, for local jobs, which run by the same Python as mlogin.

Otherwise each agent unpacks its archive and compiles it, which takes longer than all else at its start. The file lies
where Python keeps the bytecode of this package (`__pycache__`, or below PYTHONPYCACHEPREFIX). A user that may write
there may change mlogin as well. Nothing is written if Python shall write no bytecode (PYTHONDONTWRITEBYTECODE).
"""

from __future__ import annotations

import contextlib
import marshal
import os
import re
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import Any

from medusa.client.archive import CARRIED

_HEAD = 4096
_DIGEST = re.compile(rb"\n# self=([0-9a-f]{64})\n")
_BOOT = "MEDUSA_BOOT='"
"""Behind this text stands the agent's first Python code (scripts/agent_boot.py), up to the next single quote."""


def compiled_file(archive: Path) -> Path:
    """Returns the path of the file with the compiled modules of `archive`. There may be no such file.

    There never is one for another archive than the one that this package carries.
    """
    with archive.open("rb") as file:
        found = _DIGEST.search(file.read(_HEAD))
    if found is None or archive != CARRIED.resolve():
        return Path(os.devnull)
    return Path(cache_from_source(str(archive.with_name(f"agent-{found[1][:16].decode()}-{MAGIC_NUMBER.hex()}.py"))))


def compile_agent(archive: Path) -> None:
    """Makes the file with the compiled modules of `archive`, if it is missing. Removes those of earlier archives.

    Does nothing if the file cannot be written.
    """
    path = compiled_file(archive)
    if sys.dont_write_bytecode or path.exists():
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        earlier = [*path.parent.glob("agent-*" + path.name[path.name.index(".") :])]
        new = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            with new.open("wb") as file:  # opened first: to compile takes long, and a user may not write here
                file.write(marshal.dumps(_compiled(archive)))
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
        for other in earlier:
            other.unlink(missing_ok=True)


def _compiled(archive: Path) -> dict[str, Any]:
    """Returns the files in the archive by path, and the code of each Python file by its path and a `c`."""
    text = archive.read_text(encoding="utf-8")
    scope: dict[str, Any] = {"__name__": "medusa_boot"}
    exec(text.partition(_BOOT)[2].partition("'")[0], scope)  # noqa: S102 - the job has run it too
    files: dict[str, Any] = scope["files"]()
    for name in [name for name in files if name.endswith(".py")]:
        files[name + "c"] = compile(files[name], "agent.sh/" + name, "exec", dont_inherit=True, optimize=0)
    return files
