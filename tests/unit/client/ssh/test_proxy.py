"""Clients that do not speak SSH, or do not go on: ssh-proxy ends soon, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medusa.client.outcome import OWN_ERROR
from medusa.client.ssh.host_key import host_key
from medusa.client.ssh.proxy import serve

VERSION = b"SSH-2.0-x\r\n"
LONG = 600.0


@pytest.mark.parametrize(
    ("said", "login_timeout", "words"),
    [
        (b"", 0.01, "the ssh client has not agreed on keys within 0 s"),
        (b"SSH-2.0-", 0.01, "the ssh client has not agreed on keys within 0 s"),
        (b"SSH-2.0-" + b"x" * 20_000, LONG, "breaks the rules of SSH, or has failed: Banner line too long"),
        (b"hello\r\n" * 5000, LONG, "breaks the rules of SSH, or has failed: Unsupported SSH version"),
        (VERSION + b"\xff" * 100, LONG, "breaks the rules of SSH, or has failed: Max packet size exceeded"),
        (VERSION + bytes(100), LONG, "breaks the rules of SSH, or has failed: Incomplete packet"),
    ],
)
def test_what_is_not_ssh(tmp_path: Path, said: bytes, login_timeout: float, words: str) -> None:
    told: list[str] = []

    async def main(stdin: int, stdout: int) -> int:
        driver: Any = SimpleNamespace(over=asyncio.get_running_loop().create_future())
        messages: Any = SimpleNamespace(error=told.append)
        return await serve(driver, messages, host_key(tmp_path).private, "", stdin, stdout, login_timeout=login_timeout)

    with contextlib.ExitStack() as stack:
        fds = [*os.pipe(), *os.pipe()]
        for fd in fds:
            stack.callback(os.close, fd)
        stdin, typed, _, stdout = fds
        os.write(typed, said)
        assert asyncio.run(main(stdin, stdout)) == OWN_ERROR
    assert len(told) == 1
    assert words in told[0]
