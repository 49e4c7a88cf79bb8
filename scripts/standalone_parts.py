"""Steps of mkstandalone.sh: `licences PYTHON STAGE` and `pack PYTHON WORK`.

PYTHON is the directory that PyInstaller made. It holds only files.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

BLOCK = 4096
"""The size in bytes of the blocks in which the stub (the archive's shell script) cuts out files, with dd.

Each file is padded with newlines to whole blocks. The newlines do no harm.
"""


def licences(python: Path, stage: Path) -> None:
    """Copies the licence texts of Python and of its libraries into the stage, because the archive must contain them."""
    target = stage / "licences"
    target.mkdir()
    version = "python%d.%d" % sys.version_info[:2]
    stdlib = Path(sysconfig.get_path("stdlib"))
    _lay("Python", [stdlib / "LICENSE.txt", Path("/usr/share/doc", version, "copyright")], target)
    for library in sorted(path.name for path in python.glob("lib*.so*") if not path.name.startswith("libpython")):
        _lay(library, [Path("/usr/share/doc", package, "copyright") for package in _packages(library)], target)


def _packages(library: str) -> list[str]:
    """Returns the names of the Debian packages that contain the library."""
    try:
        done = subprocess.run(["dpkg-query", "-S", f"*/{library}"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return [line.partition(":")[0] for line in done.stdout.splitlines()]


def _lay(name: str, places: list[Path], target: Path) -> None:
    found = [path for path in places if path.is_file()]
    if found:
        (target / name).write_bytes(found[0].read_bytes())
    else:
        sys.stderr.write(f"mkshar.sh: no licence text of {name} found; see to it that one goes with the archive\n")


def pack(python: Path, work: Path) -> None:
    """Writes three files into `work`, from which mkstandalone.sh makes the stub and the payload.

    `all` contains the files of the directory `python`, one after another. `members` contains the stub's lines that cut
    these files out again. `facts` is a sed script that writes into the stub what that Python needs
    (see `_facts`).
    """
    at = 0
    members = []
    with (work / "all").open("wb") as out:
        for path in sorted(python.iterdir()):
            data = path.read_bytes()
            blocks = -(-len(data) // BLOCK)
            out.write(data.ljust(blocks * BLOCK, b"\n"))
            members.append(f"  medusa_member '{path.name}' {at} {blocks}")
            at += blocks
    (work / "members").write_text(" &&\n".join(members) + "\n")
    (work / "facts").write_text("".join(f"s|@{name}@|{value}|g\n" for name, value in _facts(python).items()))


def _facts(python: Path) -> dict[str, str]:
    """Returns what the machine must have: the architecture, the path of the loader, and the version of glibc.

    Finds the loader and the version of glibc in the files of `python`.
    """
    needed = [
        int(found)
        for path in python.iterdir()
        for found in re.findall(rb"\0GLIBC_2\.(\d+)(?=[\0.])", path.read_bytes())
    ]
    loader = re.search(rb"\0(/lib[\w/.-]*/ld-[\w.-]+)\0", (python / "agent").read_bytes())
    if loader is None or not needed:
        raise SystemExit("mkshar.sh: a program that needs no glibc: is this Linux?")
    machine = sysconfig.get_platform().partition("-")[2]
    return {"MACHINE": machine, "LOADER": loader[1].decode(), "GLIBC": f"2.{max(needed)}"}


if __name__ == "__main__":
    {"licences": licences, "pack": pack}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
