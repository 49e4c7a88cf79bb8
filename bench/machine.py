"""Describes the machine on which the figures were measured, and the versions of the programs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from bench.toolchain import Unavailable, installed_versions, require

_PYTHON_PACKAGES = ("gevent", "greenlet", "gevent-websocket", "websockets", "uvloop", "redis")
_PROGRAMS = {
    "node": ["--version"],
    "haproxy": ["-v"],
    "nginx": ["-v"],
    "openssl": ["version"],
    "socat": ["-V"],
    "ssh": ["-V"],
    "mosh": ["--version"],
    "tmux": ["-V"],
    "redis-server": ["--version"],
}
_VERSION = re.compile(r"\d+\.\d[\w.]*")


def machine() -> dict[str, str]:
    """Returns a description: processor, cores, memory, kernel, and the versions of Python, packages and programs."""
    facts = {
        "processor": _first("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    facts.update((name, _python_package(name)) for name in _PYTHON_PACKAGES)
    facts.update((name, _program(name, options)) for name, options in _PROGRAMS.items())
    facts.update((f"npm {name}", version) for name, version in installed_versions().items())
    return facts


def _first(path: str, field: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def _memory() -> str:
    kibibytes = int(_first("/proc/meminfo", "MemTotal").split()[0])
    return f"{kibibytes / (1 << 20):.1f} GiB"


def _python_package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _program(name: str, options: list[str]) -> str:
    try:
        done = subprocess.run([require(name), *options], capture_output=True, text=True, check=True)
    except (Unavailable, OSError, subprocess.CalledProcessError):
        return "absent"
    found = _VERSION.search(done.stdout + done.stderr)
    return found[0] if found else "unknown"
