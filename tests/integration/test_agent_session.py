"""An agent from source, with a real terminal and a real socket; the test is both reflector and client."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from medusa.protocol.control import Error, Exit, Start
from medusa.protocol.messages import Binary, Ping, Text
from tests.agents import (
    Agent,
    Client,
    Reflector,
    end,
    job_environ,
    session_members,
    wait_until_session_is_gone,
)
from tests.waiting import MS, PATIENCE, Deadline, wait_until

LIBRARY_SIGNALS = 3 << 31
"""32 and 33 belong to the C library: they cannot be set, and a process started by posix_spawn ignores them."""


def test_nothing_happens_before_start_but_a_resize(client: Client, agent: Agent) -> None:
    client.type("touch too-early; exit 9\n")
    client.link.send(Text("ping"))
    client.link.send(Text("mlogin:{not json"))
    client.link.send(Text('mlogin:{"type":"nonsense"}'))
    client.resize(101, 42)
    client.run("stty size")
    assert client.outcome() == Exit(status=0)
    assert client.output == b"42 101\r\n"
    end(client, agent)


def test_resize(client: Client, agent: Agent) -> None:
    # Not a shell's trap: bash drops a SIGWINCH that comes while it handles one.
    program = "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH]); print('go', flush=True)"
    program += "\nwhile signal.sigwait([signal.SIGWINCH]): print('size', *os.get_terminal_size(), flush=True)"
    client.start(Start(command=sys.executable, arguments=("-I", "-S", "-c", program)))
    client.until(b"go\r\n")
    client.resize(132, 50)
    client.until(b"size 132 50\r\n")
    client.resize(0, 40)
    client.until(b"size 132 40\r\n")
    client.link.abort()
    assert agent.finish()[0] == 0


def test_signals_for_programs_reach_the_foreground_and_do_not_end_the_session(client: Client, agent: Agent) -> None:
    os.kill(agent.pid, signal.SIGUSR1)  # there is no program yet
    client.run("trap 'echo first' USR2; trap 'exit 7' XCPU; echo ready; while :; do sleep 0.02; done")
    client.until(b"ready\r\n")
    os.kill(agent.pid, signal.SIGUSR2)
    client.until(b"first\r\n")
    os.kill(agent.pid, signal.SIGXCPU)
    assert client.outcome() == Exit(status=7)
    assert "got SIGUSR2" in end(client, agent)


def test_term_directory_and_arguments(client: Client, agent: Agent, tmp_path: Path) -> None:
    place = tmp_path / "a käse"
    place.mkdir()
    words = ("-c", 'printf "%s|" "$TERM" "$PWD" "$@"', "sh", "\udcff\udc80ä")
    client.start(Start(command="/bin/bash", arguments=words, cwd=str(place), term="vt220"))
    assert client.outcome() == Exit(status=0)
    assert client.output == f"vt220|{place}|".encode() + b"\xff\x80" + "ä|".encode()
    end(client, agent)


def test_typed_utf8_is_edited_by_whole_characters(client: Client, agent: Agent) -> None:
    client.send_control(Start())
    client.control()
    assert b"poe@manta # " in client.until(b"# ")
    client.type("echo $((40+2))[äx")
    client.until("äx".encode())
    client.type("\x7f\x7f]\n")
    client.until(b"42[]\r\n")
    end(client, agent)


def test_paste_into_a_program_that_does_not_read(client: Client, agent: Agent) -> None:
    """Output goes on and the agent holds a bounded part; the rest waits in the network."""
    client.run("(while echo tick; do sleep 0.02; done) & stty raw -echo; printf go; sleep 1000")
    client.until(b"go")
    piece = Binary(b"v" * 65536)
    with pytest.raises(TimeoutError):  # noqa: PT012
        while True:
            client.link.send(piece, 300 * MS)
    client.output = b""
    for _ in range(20):
        client.until(b"tick\n")
    assert client.link.sent < 32 << 20  # most of it in the kernel
    client.link.abort()
    assert "did not take its input" in agent.logged("over: .*")
    assert agent.finish()[0] == 0


def test_child_is_clean(client: Client, agent: Agent) -> None:
    """Descriptors, session, terminal, signals, core limit, environment: nothing of the agent's."""
    shell = client.start().pid
    own = Path(f"/proc/{shell}")
    tty = client.ask("tty").strip().decode()
    links = {name: os.readlink(own / "fd" / name) for name in os.listdir(own / "fd")}
    assert {name for name in links if name != "255"} == {"0", "1", "2"}  # 255 is bash's own
    assert set(links.values()) == {tty}
    fields = (own / "stat").read_text().rsplit(") ", 1)[1].split()
    assert fields[2] == fields[3] == str(shell)
    assert fields[4] != "0"
    status = (own / "status").read_text()
    assert re.findall(r"SigBlk:\s+(\w+)", status) == ["0" * 16]
    # An interactive bash ignores some itself; a command shows what it was given.
    ignored = int(client.ask("grep SigIgn /proc/self/status").split()[1], 16)
    assert ignored & ~LIBRARY_SIGNALS == 0
    assert client.ask("ulimit -Sc") == b"0\r\n"
    environ = dict(item.split("=", 1) for item in (own / "environ").read_text().split("\0") if item)
    expected = job_environ(MANTA_USER="poe", TERM="xterm", LC_CTYPE="C.UTF-8")
    expected["PS1"] = r"\[\e[1m\]${MANTA_USER}@manta # \[\e[0m\]"
    assert environ == expected
    end(client, agent)


def test_secret_is_nowhere_but_in_the_request(dialled: Reflector, client: Client, agent: Agent) -> None:
    secret = b"dG9wLXNlY3JldA"
    assert secret in dialled.heads[0]
    shell = client.start().pid
    for pid in (agent.pid, shell):
        for name in ("cmdline", "environ"):
            assert secret not in Path(f"/proc/{pid}/{name}").read_bytes()
    assert secret.decode() not in end(client, agent)


def test_guard_was_forked_before_the_secret_was_read(client: Client, agent: Agent) -> None:
    client.start()
    guard = next(pid for pid in _children(agent.pid) if not session_members(pid).get(pid, "").startswith("bash"))
    memory = b""
    with open(f"/proc/{guard}/mem", "rb", 0) as mem:
        for line in Path(f"/proc/{guard}/maps").read_text().splitlines():
            start, stop = (int(part, 16) for part in line.split()[0].split("-"))
            if " rw-p " in line and stop - start < 1 << 28:
                mem.seek(start)
                memory += mem.read(stop - start)
    assert b"medusa" in memory
    assert b"dG9wLXNlY3JldA" not in memory
    end(client, agent)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_file_that_is_no_program(client: Client, agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    client.send_control(Start(command=str(path)))
    answer = client.control()
    assert isinstance(answer, Error)
    assert answer.error == f"{path}: Exec format error"
    assert len(_children(agent.pid)) == 1  # the guard
    end(client, agent)


def test_end_of_the_link_is_the_end_of_the_session(client: Client, agent: Agent) -> None:
    """Also of what ignores SIGHUP, and of what is stopped."""
    shell = client.start().pid
    client.ask("nohup sleep 1001 > /dev/null 2>&1 & sleep 1002 & kill -STOP $!; (trap '' HUP TERM; exec sleep 1003) &")
    assert len(session_members(shell)) == 4
    client.link.abort()
    assert agent.finish()[0] == 0
    assert session_members(shell) == {}


def test_daemon_that_left_the_session_dies_with_it(client: Client, agent: Agent, tmp_path: Path) -> None:
    client.start()
    pidfile, of_child = tmp_path / "pid", tmp_path / "child"
    child = f"setsid sleep 1004 & echo $! > {of_child}"
    client.ask(f"setsid -f sh -c 'trap \"\" HUP; ({child}); echo $$ > {pidfile}; sleep 1002'")
    wait_until(lambda: pidfile.exists() and pidfile.read_text())
    daemons = int(pidfile.read_text()), int(of_child.read_text())
    client.type("exit 6\n")
    assert client.outcome() == Exit(status=6)
    client.link.abort()
    assert agent.finish()[0] == 0
    assert not [daemon for daemon in daemons if Path(f"/proc/{daemon}").exists()]


def test_kill_9_of_the_agent_leaves_no_process(client: Client, agent: Agent) -> None:
    shell = client.start().pid
    client.ask("nohup sleep 1001 > /dev/null 2>&1 &")
    family = [agent.pid, *_children(agent.pid)]
    assert len(family) == 3
    os.kill(agent.pid, signal.SIGKILL)
    assert agent.finish()[0] == -signal.SIGKILL  # no other process has the agent's stderr open
    wait_until_session_is_gone(shell)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "the end of guard and child")


def test_ping_is_answered_while_the_child_is_busy(client: Client, agent: Agent) -> None:
    client.run("yes")
    client.until(b"y\r\n")
    client.link.send(Ping(b"alive?"))
    seen = Deadline()
    while getattr(client.link.receive(seen.left), "payload", None) != b"alive?":
        pass
    client.link.abort()
    assert agent.finish()[0] == 0


def test_big_output_arrives_whole_and_does_not_wait_for_a_background_child(client: Client, agent: Agent) -> None:
    size = 30_000_000
    client.run(f"stty -opost; sleep 1000 & head -c {size} /dev/zero | tr '\\0' x; printf end; exit 3")
    assert client.control(Deadline(3 * PATIENCE)) == Exit(status=3)
    assert client.output == b"x" * size + b"end"
    end(client, agent)


def test_background_child_that_writes_for_ever_is_cut_off(client: Client, agent: Agent) -> None:
    shell = client.run("(trap '' HUP; exec yes) & exit 5").pid
    assert client.outcome() == Exit(status=5)
    wait_until_session_is_gone(shell)
    end(client, agent)
