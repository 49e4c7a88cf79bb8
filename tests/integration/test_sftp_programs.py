"""The agent's own SFTP server with programs of others: OpenSSH's sftp, sshfs, and the client of asyncssh."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asyncssh.logging import logger
from asyncssh.sftp import SFTPClient, SFTPClientHandler

from tests.terminals import ROOT
from tests.waiting import PATIENCE, wait_until

SERVER = (
    sys.executable,
    "-c",
    f"import sys; sys.path[:0] = [{str(ROOT)!r}]; from agent.sftp import serve; serve.serve()",
)
DATA = bytes(range(256)) * 3000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "data").write_bytes(DATA)
    (tmp_path / "tree" / "a b").touch(0o640)
    return tmp_path / "tree"


@pytest.mark.skipif(not shutil.which("sftp"), reason="needs OpenSSH's sftp")
def test_sftp(tree: Path, tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text(f"#!/bin/sh\nexec {SERVER[0]} -c '{SERVER[2].replace(chr(39), chr(34))}'\n")
    program.chmod(0o755)
    lines = (
        "mkdir there",
        f"put -r -p {tree} there/",
        "chmod 600 there/tree/sub/data",
        "rename there/tree/sub/data there/data",
        "ln -s data there/link",
        "ln there/data there/hard",
        "ls -la there",
        "df there",
        "get -p there/link back",
        "rm there/hard",
        "get -r there/tree again",
    )
    command = ["sftp", "-q", "-b", "-", "-D", str(program)]
    done = subprocess.run(
        command, input="\n".join(lines), cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_bytes() == DATA
    assert sorted(os.listdir(tmp_path / "there")) == ["data", "link", "tree"]
    assert sorted(os.listdir(tmp_path / "again")) == ["a b", "sub"]


@pytest.mark.skipif(not (shutil.which("sshfs") and os.access("/dev/fuse", os.W_OK)), reason="needs sshfs and FUSE")
def test_sshfs(tree: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    server = subprocess.Popen(SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    command = ["sshfs", "-f", "-o", "passive", f"here:{tree}", str(mounted)]
    with server, subprocess.Popen(command, stdin=server.stdout, stdout=server.stdin, stderr=subprocess.DEVNULL) as fuse:
        try:
            wait_until(lambda: os.path.ismount(mounted) or fuse.poll() is not None, "sshfs")
            if fuse.poll() is not None:
                pytest.skip("sshfs may not mount here")
            assert (mounted / "sub" / "data").read_bytes() == DATA
            (mounted / "new").write_bytes(DATA)
            os.truncate(mounted / "new", 5)
            os.rename(mounted / "new", mounted / "a b")
            (mounted / "link").symlink_to("a b")
            with (mounted / "link").open("ab") as file:
                file.write(b"appended")
        finally:
            subprocess.run(["fusermount", "-u", str(mounted)], capture_output=True)
            for pipe in (server.stdin, server.stdout):
                assert pipe is not None
                pipe.close()
            fuse.wait(PATIENCE)
    assert (tree / "a b").read_bytes() == DATA[:5] + b"appended"


class _Channel:
    """What asyncssh's client asks of an SSH channel, on the pipes of a process."""

    logger = logger

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.channel = self
        self.readexactly, self.write, self.close = process.stdout.readexactly, process.stdin.write, process.stdin.close

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: str = "") -> str:
        return "SSH-2.0-OpenSSH"

    def get_child(self, *words: Any) -> Any:
        return logger


async def _copy_with_asyncssh(tree: Path) -> None:
    process = await asyncio.create_subprocess_exec(*SERVER, stdin=-1, stdout=-1)
    channel: Any = _Channel(process)
    handler = SFTPClientHandler(asyncio.get_running_loop(), "strict", channel, channel, 3)
    await handler.start()
    receiving = asyncio.ensure_future(handler.recv_packets())
    await handler.request_limits()
    client = SFTPClient(handler, "utf-8", "surrogateescape")
    await client.get(str(tree), str(tree.parent / "back"), recurse=True, preserve=True)
    await client.put(str(tree / "sub" / "data"), str(tree / "put"))
    await client.symlink("put", str(tree / "link"))
    assert await client.readlink(str(tree / "link")) == "put"
    assert (await client.statvfs(str(tree))).namemax == os.statvfs(tree).f_namemax
    assert await client.glob(f"{tree}/p*") == [str(tree / "put")]
    channel.close()
    await process.wait()
    await receiving


def test_asyncssh(tree: Path) -> None:
    asyncio.run(asyncio.wait_for(_copy_with_asyncssh(tree), PATIENCE))
    assert (tree.parent / "back" / "sub" / "data").read_bytes() == DATA
    assert (tree / "put").read_bytes() == DATA
