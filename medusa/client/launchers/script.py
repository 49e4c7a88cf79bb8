"""The agent's archive with what the agent is to know in front: one file, for job systems that take one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path


def with_settings(archive: Path, settings: Mapping[str, str], lines: Iterable[str] = ()) -> bytes:
    """A shell script: sets and exports variables, runs further lines of shell, and is the archive from there on.

    Raises OSError: the archive cannot be read.
    """
    head = ["#!/bin/sh"]
    head += [f"{name}={shlex.quote(value)}; export {name}" for name, value in settings.items()]
    return "".join(f"{line}\n" for line in [*head, *lines]).encode() + archive.read_bytes()
