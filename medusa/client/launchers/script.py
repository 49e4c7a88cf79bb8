"""Joins the agent's settings and its archive into one shell script, for job systems that accept a single file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

DIRECT = (
    'no_proxy="${no_proxy:-${NO_PROXY-}}"; no_proxy="${no_proxy:+$no_proxy,}127.0.0.1"; NO_PROXY=$no_proxy;'
    " export no_proxy NO_PROXY"
)
"""A shell line for the job: the agent then uses no proxy for 127.0.0.1, where it reaches mlogin's own reflector."""


def with_settings(archive: Path, settings: Mapping[str, str], lines: Iterable[str] = ()) -> bytes:
    """Returns a shell script that exports `settings` as variables, runs `lines`, and then runs the archive.

    `lines`: lines of shell code.

    Raises:
        OSError: the archive cannot be read.
    """
    head = ["#!/bin/sh"]
    head += [f"{name}={shlex.quote(value)}; export {name}" for name, value in settings.items()]
    return "".join(f"{line}\n" for line in [*head, *lines]).encode() + archive.read_bytes()
