"""What the SFTP server says of a file in a directory: its name, a line as of `ls -l`, and its attributes."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import stat
import struct
import time
from typing import Optional

from medusa.protocol.sftp.attributes import NONE, whole_seconds
from medusa.protocol.sftp.packets import text

_ALL, _ALL_GIVEN = struct.Struct(">IQIIIII"), 15
"""The attributes of a file as a field, and its flags: size, owner, mode and times are given."""

_SIX_MONTHS = 182 * 86400
"""Seconds. `ls -l` shows the year of a file that is older, instead of the time."""


def entry(name: bytes, found: Optional[os.stat_result], now: float) -> bytes:
    """Returns an item of the answer NAME: the name, a line for people, and the attributes.

    Args:
        found: what lstat(2) says of the file; None if it says nothing.
        now: the time, in seconds since 1970.
    """
    if found is None:
        return text(name) + text(name) + NONE
    return text(name) + text(_line(name, found, now)) + attributes_of(found)


def attributes_of(found: os.stat_result) -> bytes:
    """Returns the attributes of a file as a field of a packet."""
    return _ALL.pack(
        _ALL_GIVEN,
        found.st_size,
        found.st_uid & 0xFFFFFFFF,
        found.st_gid & 0xFFFFFFFF,
        found.st_mode,
        whole_seconds(found.st_atime),
        whole_seconds(found.st_mtime),
    )


def _line(name: bytes, found: os.stat_result, now: float) -> bytes:
    recent = now - _SIX_MONTHS < found.st_mtime <= now
    try:
        when = time.strftime("%b %e %H:%M" if recent else "%b %e  %Y", time.localtime(found.st_mtime))
    except (ValueError, OverflowError, OSError):  # a time that the calendar does not have
        when = str(int(found.st_mtime))
    shown = (stat.filemode(found.st_mode), found.st_nlink, _user(found.st_uid), _group(found.st_gid), found.st_size)
    return ("%s %3d %-8s %-8s %8d " % shown + when + " ").encode("utf-8", "replace") + name


@functools.lru_cache(256)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.lru_cache(256)
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
