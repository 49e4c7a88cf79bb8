"""Much at once through `medusa ssh-proxy` and mlogin's forwarding: bytes, connections, commands. Minutes long."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import random
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.echoes import echoing, exchange, through
from tests.own_sessions import environ, train
from tests.sshclients import MEDUSA, Ssh
from tests.terminals import ROOT, assert_nothing_left
from tests.waiting import PATIENCE, wait_until

HOST = "train.medusa"

BLOCK = random.Random(7).randbytes(1 << 24)
BLOCKS = 64
"""In all 1 GiB."""

CONNECTIONS = 500
COMMANDS = 100
FLOOD = 10_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    """ssh with a connection to a session that runs."""
    home = tmp_path_factory.mktemp("home")
    with train(home):
        client = Ssh(tmp_path_factory.mktemp("s"), environ(home), "train")
        with client.master(HOST):
            yield client
    assert_nothing_left(home)


def test_a_gigabyte_each_way(ssh: Ssh, tmp_path: Path) -> None:
    (tmp_path / "block").write_bytes(BLOCK)
    digest = hashlib.sha256()
    for _ in range(BLOCKS):
        digest.update(BLOCK)
    all_of_it = f"for i in $(seq {BLOCKS}); do cat {tmp_path}/block; done"
    command = " ".join(ssh.command(HOST))
    there = f"({all_of_it}) | {command} sha256sum"
    back = f"{command} '{all_of_it}' | sha256sum"
    for line in (there, back):
        done = subprocess.run(["sh", "-c", line], env=ssh.environ, cwd=ROOT, capture_output=True, timeout=20 * PATIENCE)
        assert (done.stdout, done.stderr) == (f"{digest.hexdigest()}  -\n".encode(), b"")


def all_at_once(address: int, count: int) -> None:
    """Opens that many connections to an echo, and uses all of them after all are open."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(50) as pool:
        connect = [
            stack.enter_context(socket.create_connection(("127.0.0.1", address), PATIENCE)) for _ in range(count)
        ]
        for number, sock in enumerate(connect):
            sock.settimeout(3 * PATIENCE)
            sock.sendall(b"%d " % number)
        found = pool.map(exchange, connect, [BLOCK[:20_000]] * count)
        assert list(found) == [b"> %d " % number + BLOCK[:20_000] for number in range(count)]


def test_hundreds_of_connections(ssh: Ssh) -> None:
    with echoing() as port, socket.create_server(("127.0.0.1", 0)) as free:
        here = free.getsockname()[1]
        free.close()
        assert ssh.run(*ssh.shared("-O", "forward", "-L", f"{here}:127.0.0.1:{port}", HOST)) == (0, b"", b"")
        status, out, _ = ssh.run(*ssh.shared("-O", "forward", "-R", f"0:127.0.0.1:{port}", HOST))
        assert status == 0
        for address in (here, int(out)):
            all_at_once(address, CONNECTIONS)


def test_a_hundred_commands_at_once(ssh: Ssh) -> None:
    lines = [f"cat; echo {number} >&2; exit {number}" for number in range(COMMANDS)]
    runs = [ssh.start(*ssh.shared("-T", HOST, line)) for line in lines]
    for number, run in enumerate(runs):
        with run:
            out, err = run.communicate(BLOCK[: 1000 * number], 3 * PATIENCE)
        assert (run.returncode, out, err) == (number, BLOCK[: 1000 * number], b"%d\n" % number)


def test_every_status(ssh: Ssh) -> None:
    with ThreadPoolExecutor(10) as pool:
        found = pool.map(lambda status: ssh.run(*ssh.shared(HOST, f"exit {status}")), range(256))
    assert list(found) == [(status, b"", b"") for status in range(256)]


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < FLOOD + 1000, reason="needs more descriptors")
@pytest.mark.parametrize("by", ["ssh", "medusa forward"])
def test_a_job_that_opens_ten_thousand_connections(ssh: Ssh, by: str) -> None:
    """They wait in the job. What runs beside them goes on, and connections work again after them."""
    with echoing() as port, contextlib.ExitStack() as stack:
        spec = f"0:127.0.0.1:{port}"
        if by == "ssh":
            status, out, _ = ssh.run(*ssh.shared("-O", "forward", "-R", spec, HOST))
            assert status == 0
            listening = int(out)
        else:
            command = [*MEDUSA, "forward", "train", "-R", spec]
            program = stack.enter_context(
                subprocess.Popen(command, env=ssh.environ, cwd=ROOT, text=True, stderr=subprocess.PIPE)
            )
            stack.callback(program.send_signal, signal.SIGINT)
            assert program.stderr is not None
            listening = int(program.stderr.readline().split()[3].rpartition(":")[2])
        assert through(listening) == b"> x"
        with contextlib.ExitStack() as flood:
            for _ in range(FLOOD):
                sock = flood.enter_context(socket.socket())
                sock.setblocking(False)
                assert sock.connect_ex(("127.0.0.1", listening)) in (0, errno.EINPROGRESS)
            assert ssh.run(*ssh.shared(HOST, "cat; exit 3"), typed=BLOCK[:300_000]) == (3, BLOCK[:300_000], b"")
        wait_until(lambda: works(listening), "a connection after the flood", 3 * PATIENCE)


def works(port: int) -> bool:
    try:
        return through(port) == b"> x"
    except OSError:
        return False
