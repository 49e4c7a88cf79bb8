"""No method of asyncssh's SFTP server reaches files of this machine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest

from medusa.client.ssh.scp.job_files import JobFiles
from medusa.client.ssh.scp.requests import Requests

SERVED = ["close", "mkdir", "open", "read", "scandir", "setstat", "stat", "write"]
HARMLESS = ["convert_attrs", "exit"]
METHODS = [name for name, _ in inspect.getmembers(asyncssh.SFTPServer, callable) if not name.startswith("_")]


class Io:
    """A channel that takes no bytes: a request that was asked is never sent."""

    on_data = on_room = staticmethod(print)

    def write_nowait(self, data: object) -> int:
        return 0


@pytest.fixture
def files() -> JobFiles:
    io: Any = Io()
    return JobFiles(None, Requests(io), sends=False)


def test_all_methods_are_known() -> None:
    assert set(SERVED + HARMLESS) <= set(METHODS)
    own = [name for name in METHODS if vars(JobFiles).get(name)]
    assert sorted([*own, *HARMLESS]) == METHODS


@pytest.mark.parametrize("name", sorted({*METHODS} - {*SERVED, *HARMLESS}))
def test_what_scp_does_not_need_is_refused(files: JobFiles, name: str) -> None:
    method: Callable[..., object] = getattr(files, name)
    given = [b"/" for _ in inspect.signature(getattr(asyncssh.SFTPServer, name)).parameters][1:]
    with pytest.raises(asyncssh.SFTPOpUnsupported):
        method(*given)
