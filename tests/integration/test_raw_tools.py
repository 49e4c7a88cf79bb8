"""The raw port with programs that know nothing of it: socat, nc, a shell script; and with mlogin and the agent."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import Agent, from_source, job_environ, launched, write_config
from tests.peers import Peer
from tests.rawpeers import plain
from tests.reflectors import Reflector, new_id
from tests.terminals import MLOGIN, environment, find, terminal
from tests.waiting import PATIENCE, Deadline, wait_until

PROMPT = r"# \x1b\[0m"

pytestmark = pytest.mark.skipif(not (shutil.which("socat") and shutil.which("nc")), reason="needs socat and nc")


REFLECTOR_OPTIONS = ("--raw-port", "0")


@contextlib.contextmanager
def sh(script: str, reflector: Reflector, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A bash that runs `script`, which finds the port in $PORT; `more` are further variables. Killed in the end."""
    environ = {"PATH": os.environ["PATH"], "PORT": str(reflector.raw_port), **more}
    process = subprocess.Popen(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def output(process: subprocess.Popen[bytes]) -> str:
    return process.communicate(timeout=PATIENCE)[0].decode()


def waits(reflector: Reflector, session: str) -> None:
    wait_until(lambda: reflector.states().get(session) == "slave_wait", "a client")


@contextlib.contextmanager
def agent(reflector: Reflector, session: str, directory: Path, **environ: str) -> Iterator[Agent]:
    config = write_config(directory, f"tcp://127.0.0.1:{reflector.raw_port}/attach/{session}/slave")
    with launched(
        from_source("--config", str(config), "--grace", "0.3"), job_environ(MANTA_USER="poe", **environ)
    ) as running:
        yield running


def until(peer: Peer, pattern: bytes) -> bytes:
    """What comes up to what the regular expression matches."""
    deadline = Deadline()
    while not (found := re.search(pattern, peer.received)):
        peer._more(deadline)
    heard, peer.received = peer.received[: found.end()], peer.received[found.end() :]
    return heard


class TestShells:
    """A plain client and the real agent: a shell with the defaults."""

    def test_a_plain_client_has_a_shell_of_the_agents(self, reflector: Reflector, tmp_path: Path) -> None:
        session = new_id()
        with plain(reflector, session, "client") as client:
            assert client.line() == b"OK waiting"
            with agent(reflector, session, tmp_path) as job:
                assert client.line() == b"OK linked"
                until(client, PROMPT.encode())
                client.send(b"stty size; echo $((6*7))\n")
                assert b"25 80" in until(client, rb"\n42\r\n")
                client.send(b"exit 7\n")
                client.until_fin()
                status, log = job.finish()
        assert status == 0
        assert "ended: status 7" in log
        record = reflector.ended(session)
        assert (record["outcome"], record["agent_left_out"]) == ("completed", 2)  # started, and exit

    @pytest.mark.parametrize("greeted_by", ["typing", "the shell"])
    def test_socat_on_a_terminal(self, reflector: Reflector, tmp_path: Path, home: Path, greeted_by: str) -> None:
        session, port = new_id(), reflector.raw_port
        command = ["socat", "-,raw,echo=0", f"TCP:127.0.0.1:{port}"]
        if greeted_by == "the shell":
            greeting = f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo 'ATTACH {session} client' >&3"
            command = ["bash", "-c", f"{greeting} && socat -,raw,echo=0 FD:3"]
        with terminal(command, environment(home)) as opened:
            if greeted_by == "typing":
                wait_until(lambda: opened.modes() != opened.modes_at_start, "a raw terminal")
                opened.type(f"ATTACH {session} client\r")
            opened.until("OK waiting\n")
            with agent(reflector, session, tmp_path, TMPDIR=str(home)) as job:
                opened.until(PROMPT)
                opened.type("echo $((6*7))\r")
                opened.until("[\r\n]42\r\n")
                opened.type("sleep 1000\r")
                find(home, "^sleep 1000")
                opened.type(b"\x03")
                opened.until(PROMPT)
                opened.type("exit\r")
                assert opened.status() == 0
                assert opened.modes() == opened.modes_at_start
                assert job.finish()[0] == 0


class TestTools:
    def test_nc_at_both_ends(self, reflector: Reflector) -> None:
        said = "OK waiting\nOK linked\n" + "".join(f"{number}\n" for number in range(1, 100001))
        with sh("{ echo ATTACH x client; } | nc 127.0.0.1 $PORT", reflector) as client:
            waits(reflector, "x")
            with sh("{ echo ATTACH x agent; seq 100000; } | nc -N 127.0.0.1 $PORT", reflector) as job:
                assert client.stdout is not None
                assert client.stdout.read(len(said)).decode() == said
                os.killpg(client.pid, signal.SIGTERM)
                assert output(job) == "OK linked\n"

    def test_socat_at_both_ends_and_half_close(self, reflector: Reflector) -> None:
        session = new_id()
        ask = (
            'exec 3<>/dev/tcp/127.0.0.1/$PORT; echo "ATTACH $ID client" >&3; read -r _ <&3; read -r _ <&3; '
            "seq 1000 | socat -t 10 - FD:3,shut-down"
        )
        sort = (
            'exec 3<>/dev/tcp/127.0.0.1/$PORT; echo "ATTACH $ID agent" >&3; read -r _ <&3; '
            "socat -t 10 FD:3,shut-down EXEC:'sort -rn'"  # which says nothing before the end of what it reads
        )
        with sh(ask, reflector, ID=session) as client:
            waits(reflector, session)
            with sh(sort, reflector, ID=session) as job:
                assert output(client) == "".join(f"{number}\n" for number in range(1000, 0, -1))
                assert output(job) == ""
        record = reflector.ended(session)
        assert (record["outcome"], record["client_bytes"], record["agent_bytes"]) == ("completed", 3893, 3893)


class TestMlogin:
    def test_a_shell_of_socats_and_what_is_told_at_its_end(self, reflector: Reflector, home: Path) -> None:
        script = (
            'exec 3<>/dev/tcp/127.0.0.1/$PORT; echo "ATTACH $ID agent" >&3; read -r _ <&3; '
            "exec socat FD:3 EXEC:'bash --norc -i',pty,stderr,setsid,ctty"
        )
        arguments = ["--launcher", "manual", "--reflector", f"tcp://127.0.0.1:{reflector.raw_port}"]
        with terminal([*MLOGIN, *arguments], environment(home)) as opened:
            session = opened.until(r"/attach/([0-9a-f-]{36})/slave")[1].decode()
            waits(reflector, session)
            with sh(script, reflector, ID=session) as job:
                opened.until("[$#] ")
                opened.type("echo $((6*7))\r")
                opened.until("\r\n42\r\n")
                opened.type("exit 7\r")
                assert opened.status() == 254
                assert "exited with status 7" in output(job)
        words = b"the reflector closed the session (end of the raw stream); outcome unknown"
        assert words in opened.screen.replace(b"\r\n", b" ")


def test_the_line_to_paste_works_where_the_archive_is(reflector: Reflector, home: Path, tmp_path: Path) -> None:
    arguments = ["--launcher", "manual", "--reflector", f"tcp://127.0.0.1:{reflector.raw_port}", "-c", "exit 5"]
    subprocess.run([*MLOGIN[:1], "-m", "medusa", "archive", "-o", "agent.sh"], cwd=tmp_path, check=True)
    with subprocess.Popen(
        [*MLOGIN, *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(home),
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).startswith("echo \"MEDUSA_SIGNED_URL='tcp://"):
            pass
        run = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment(home), capture_output=True)
        assert run.returncode == 0, run.stderr
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 5
