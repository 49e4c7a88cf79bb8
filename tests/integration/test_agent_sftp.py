"""The agent's channel for files: the SFTP server of the node, and the agent's own one."""

from __future__ import annotations

import contextlib
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.packets import Cutter, packet, text
from tests.agents import (
    Reflector,
    from_source,
    job_environ,
    launched,
    session_members,
    wait_until_session_is_gone,
    write_config,
)
from tests.streamclients import Run, StreamClient

OPENSSH = "/usr/lib/openssh/sftp-server"
INIT = struct.pack(">IBI", 5, p.INIT, p.PROTOCOL_VERSION)


@contextlib.contextmanager
def served(directory: Path, server: str) -> Iterator[StreamClient]:
    """A stream with an agent that serves files by this server; "" is its own."""
    reflector = Reflector()
    config = write_config(directory, reflector.url)
    command = from_source("--config", str(config))
    environ = job_environ(MEDUSA_SFTP_SERVER=server, HOME=str(directory))
    with contextlib.closing(reflector), launched(command, environ, cwd=directory) as agent:
        client = StreamClient(reflector.accept().link).start()
        yield client
        assert client.leave() == "done"
        assert agent.finish()[0] == 0
        client.link.abort()


def ask(run: Run, *requests: bytes) -> list[bytes]:
    """The answers to requests."""
    run.give(b"".join(requests))
    cutter = Cutter()
    answers: list[bytes] = []

    def come() -> bool:
        answers.extend(map(bytes, cutter.cut(run.output[0])))
        run.output[0] = b""
        return len(answers) >= len(requests)

    run.client.until(come)
    return answers


@pytest.mark.parametrize("server", ["", OPENSSH])
def test_files_by_sftp(tmp_path: Path, server: str) -> None:
    if server and not shutil.which(server):
        pytest.skip("needs OpenSSH's sftp-server")
    (tmp_path / "file").write_bytes(b"a\0\xff" * 100_000)
    (tmp_path / "below").mkdir()
    with served(tmp_path, server) as client:
        run = client.open("sftp", cwd="~/below").started()
        version, opened, name = ask(
            run,
            INIT,
            packet(p.OPEN, 1, text(b"../file") + struct.pack(">II", p.FOR_READING, 0)),
            packet(p.REALPATH, 2, text(b".")),
        )
        assert version[:5] == bytes((p.VERSION, 0, 0, 0, 3))
        assert str(tmp_path / "below").encode() in name
        data = ask(run, packet(p.READ, 3, text(opened[9:]) + struct.pack(">QI", 0, 30_000)))[0]
        assert data[9:] == (b"a\0\xff" * 100_000)[:30_000]
        run.end()
        client.until(lambda: run.closed)
        assert run.closed.code == ""
        assert run.channel.readers[0].complete


def test_ends_of_servers(tmp_path: Path) -> None:
    with served(tmp_path, "") as client:
        assert client.open("sftp", cwd="no").refusal().words.endswith("/no: No such file or directory")
        broken, other = client.open("sftp").started(), client.open("sftp").started()
        broken.give(b"\xff" * 8)
        client.until(lambda: broken.closed)
        assert broken.closed.words == "the SFTP server has ended: status 1"
        assert ask(other, INIT)[0][0] == p.VERSION
        assert session_members(other.pid)
        other.channel.close()
        client.pump()
        wait_until_session_is_gone(other.pid)
