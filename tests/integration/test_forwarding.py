"""`mlogin -L -R -D -N -W` and `medusa forward`: real programs, and real connections in both directions."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medusa.client.forwarding import outgoing
from tests.cuts import cuts
from tests.echoes import echoing, echoing_at, exchange, through
from tests.own_sessions import environ
from tests.ports import free_port
from tests.reflectors import running
from tests.terminals import ROOT, assert_nothing_left, environment, mlogin, run_alone
from tests.waiting import PATIENCE

REQUEST = b"\x05\x01\x00\x05\x01\x00\x03\x09localhost" + b"%b"
BYTES = bytes(range(256)) * 4096


class Forwards:
    """A program that forwards, and what it says."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=env, cwd=ROOT, text=True, **pipes)

    def until(self, pattern: str) -> re.Match[str]:
        """Reads lines until one matches, and returns the match."""
        assert self.process.stderr is not None
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(lines)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@contextlib.contextmanager
def forwards(command: list[str], env: dict[str, str]) -> Iterator[Forwards]:
    program = Forwards(command, env)
    try:
        yield program
        assert program.end() == 130
    finally:
        program.process.kill()
        program.process.wait()
        assert program.process.stderr is not None
        program.process.stderr.close()


def silent_programs_delay_no_others(proxy: int, port: int) -> None:
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", proxy)
        silent = [
            stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(outgoing.MAX_HANDSHAKES + 1)
        ]
        assert silent[0].recv(1) == b""
        assert by_socks(proxy, port) == b"> x"
        silent[-1].sendall(b"\x05\x01\x02")  # it wants to authenticate itself
        assert silent[-1].recv(2, socket.MSG_WAITALL) == b"\x05\xff"
        assert silent[-1].recv(1) == b""


def by_socks(proxy: int, port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy), PATIENCE) as sock:
        sock.sendall(REQUEST % struct.pack("!H", port))
        answer = b""
        while len(answer) < 12:
            answer += sock.recv(12 - len(answer))
        return exchange(sock, b"x") if answer[:4] == b"\x05\x00\x05\x00" else answer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    yield home
    assert_nothing_left(home)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with echoing() as port:
        yield port


def test_both_directions(home: Path, port: int, tmp_path: Path) -> None:
    here, there, server = tmp_path / "here", tmp_path / "there", tmp_path / "server"
    closed = free_port()
    options = [
        "-L",
        f"0:localhost:{port}",
        "-R",
        f"0:localhost:{port}",
        "-D",
        "0",
        "-R",
        "0",
        "-L",
        f"0:localhost:{closed}",
    ]
    options += ["-L", f"{here}:{server}", "-R", f"{there}:{server}"]
    with (
        echoing_at(server),
        forwards(mlogin("-N", "--name", "ports", *options), environ(home)) as program,
    ):
        local = int(program.until(rf"forwarding 127\.0\.0\.1:(\d+) to localhost:{port}\n")[1])
        refused = int(program.until(rf"forwarding 127\.0\.0\.1:(\d+) to localhost:{closed}\n")[1])
        proxy = int(program.until(r"forwarding 127\.0\.0\.1:(\d+) to whatever SOCKS asks for\n")[1])
        remote = int(program.until(rf"forwarding 127\.0\.0\.1:(\d+) in the job to localhost:{port}\n")[1])
        remote_proxy = int(program.until(r"forwarding 127\.0\.0\.1:(\d+) in the job to whatever SOCKS asks for\n")[1])
        program.until(rf"forwarding {there} in the job to {server}\n")
        assert through(local, BYTES) == b"> " + BYTES
        assert through(remote, BYTES) == b"> " + BYTES
        assert through(here) == through(there) == b"> x"
        assert by_socks(proxy, port) == by_socks(remote_proxy, port) == b"> x"
        silent_programs_delay_no_others(proxy, port)
        assert by_socks(proxy, closed)[:4] == b"\x05\x00\x05\x05"
        program.until(rf"not forwarded: in the job, localhost:{closed}: Connection refused")
        assert by_socks(remote_proxy, closed)[:4] == b"\x05\x00\x05\x05"
        program.until(rf"not forwarded: on this machine, localhost:{closed}: Connection refused")
        with contextlib.suppress(ConnectionError):
            assert through(refused) == b""
        assert through(local) == b"> x"
        command = [sys.executable, "-m", "medusa", "forward", "ports", "-W", f"localhost:{port}"]
        run = subprocess.run(
            command, input=BYTES, capture_output=True, env=environ(home), cwd=ROOT, timeout=PATIENCE, check=True
        )
        assert run.stdout == b"> " + BYTES
        assert run.stderr == b""
    assert not here.exists()
    assert not there.exists()


def test_many_and_one_that_stands(home: Path, port: int) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as stands,
        contextlib.ExitStack() as stack,
        forwards(
            mlogin("-N", "-L", f"0:127.0.0.1:{port}", "-L", f"0:127.0.0.1:{stands.getsockname()[1]}"), environment(home)
        ) as program,
    ):
        local, standing = (int(program.until(r"forwarding 127\.0\.0\.1:(\d+) to")[1]) for _ in range(2))
        stalled = stack.enter_context(socket.create_connection(("127.0.0.1", standing), PATIENCE))
        taken, _ = stands.accept()
        stack.enter_context(taken)
        stalled.settimeout(0.2)
        with pytest.raises(TimeoutError):  # nobody reads at the other end
            stalled.sendall(BYTES * 100)
        many = [stack.enter_context(socket.create_connection(("127.0.0.1", local), PATIENCE)) for _ in range(100)]
        assert {exchange(sock, b"%d" % number) for number, sock in enumerate(many)} == {b"> %d" % n for n in range(100)}


def test_a_lost_link(home: Path, port: int) -> None:
    with running() as reflector, cuts(reflector.port, 15, mean=300_000, spared=2) as proxy:
        command = mlogin("-N", "-L", f"0:127.0.0.1:{port}", "--reflector", f"http://127.0.0.1:{proxy.port}")
        with forwards(command, environment(home)) as program:
            local = int(program.until(r"forwarding 127\.0\.0\.1:(\d+) to")[1])
            assert through(local, BYTES) == b"> " + BYTES
        assert proxy.cuts >= 2


def test_a_command_beside_them(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = run_alone(mlogin("-c", "echo it runs", "-L", f"127.0.0.1:{port}:web:80"), environment(home))
        assert (run.returncode, run.stdout) == (255, "")
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in run.stderr
        run = run_alone(mlogin("-c", "echo it runs; exit 7", "-R", f"127.0.0.1:{port}:web:80"), environment(home))
        assert (run.returncode, run.stdout) == (7, "it runs\n")
        assert f"not forwarded: in the job, cannot listen on 127.0.0.1:{port}: Address already in use" in run.stderr


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-N"], "-N only forwards: what"),
        (["-N", "-L", "1:web:80", "-c", "ls"], "-N runs nothing in the job: leave -c out"),
        (["-W", "web:80", "-d"], "-W runs nothing in the job: leave -d out"),
        (["-d", "-L", "1:web:80"], "what is forwarded ends then"),
        (["-L", "web:80"], r"'web:80' is not \[BIND:\]PORT:HOST:PORT"),
        (["-D", "70000"], "70000 is no port"),
    ],
)
def test_wrong_options(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    from medusa.commands.mlogin import parse

    with pytest.raises(SystemExit):
        parse(words)
    assert re.search(error, capsys.readouterr().err)
