"""Finds the programs that a benchmark needs besides Python: a C compiler, node, npm packages, servers.

It builds the load generator and installs the npm packages on first use. scripts/setup installs Debian's packages.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETUP_TIMEOUT = 300.0


class Unavailable(Exception):
    """A tool is missing or its set-up failed. The message says what to do."""


_PACKAGES = {
    "cc": "gcc",
    "node": "nodejs",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "taskset": "util-linux",
}
_ALSO_IN = ["/usr/sbin", "/sbin"]
"""The directories in which Debian installs servers. They are not on the PATH of every user."""


def require(tool: str) -> str:
    """Returns the path of the program `tool`. Raises Unavailable, with the name of the Debian package to install."""
    path = shutil.which(tool, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_ALSO_IN]))
    if path is None:
        raise Unavailable(f"{tool} is not installed; on Debian: apt-get install {_PACKAGES.get(tool, tool)}")
    return path


def require_package(name: str) -> None:
    """Raises Unavailable if this Python has no package `name`."""
    if importlib.util.find_spec(name) is None:
        raise Unavailable(f"the Python package {name} is not installed; pip install '.[bench]'")


def build_load_generator() -> Path:
    """Compiles the load generator if it is needed. Returns its path. Raises Unavailable if that fails."""
    return compiled(HERE / "loadgen.c")


def compiled(source: Path) -> Path:
    """Compiles the program of one C file, unless it is newer than the file. Returns the path of the program.

    Raises:
        Unavailable: it cannot be compiled.
    """
    binary = HERE / "build" / source.stem
    with _alone(HERE):
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            flags = ["-O3", "-march=native", "-Wall", "-Wextra"]
            _run([require("cc"), *flags, "-o", str(binary), str(source), *_tls_libraries()], HERE)
    return binary


def _tls_libraries() -> list[str]:
    """Returns the linker's options for OpenSSL; none if its package for developers is not installed."""
    found = subprocess.run([require("cc"), "-print-file-name=libssl.so"], capture_output=True, text=True, check=True)
    return ["-lssl", "-lcrypto"] if os.path.isabs(found.stdout) else []


def install_packages(directory: Path = HERE) -> Path:
    """Installs the packages that `directory`/package.json pins, unless they are there.

    Returns the path of the directory `node_modules`.
    """
    with _alone(directory):
        if installed_versions(directory) != pinned_versions(directory):
            options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
            _run([require("npm"), "install", *options], directory)
    return directory / "node_modules"


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Context manager in which no other process sets up tools in `directory`. Waits for another one to end."""
    (directory / "build").mkdir(exist_ok=True)
    with (directory / "build" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pinned_versions(directory: Path = HERE) -> dict[str, str]:
    """Returns the versions of the packages that package.json pins, by name."""
    record: dict[str, dict[str, str]] = json.loads((directory / "package.json").read_text())
    return record["dependencies"]


def installed_versions(directory: Path = HERE) -> dict[str, str]:
    """Returns the versions of the packages in node_modules, by name; only of those that package.json names."""
    manifests = {name: directory / "node_modules" / name / "package.json" for name in pinned_versions(directory)}
    return {name: json.loads(path.read_text())["version"] for name, path in manifests.items() if path.exists()}


def _run(command: list[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=SETUP_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} did not finish within {SETUP_TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)} failed with status {done.returncode}:\n{done.stderr.strip()}")
