"""An agent from source, with a real terminal and a real socket; the test is both reflector and client."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from medusa.protocol.control import Error, Exit, Start
from medusa.protocol.messages import Binary, Ping, Text
from medusa.transports.base import ClosedTransport
from tests.agents import (
    PROMPT,
    Agent,
    Client,
    Reflector,
    end,
    job_environ,
    session_members,
    wait_until_session_is_gone,
)
from tests.waiting import MS, Deadline, wait_until

LIBRARY_SIGNALS = 3 << 31
"""32 and 33 belong to the C library: they cannot be set, and a process started by posix_spawn ignores them."""


def test_prompt_of_the_default_shell(client: Client, agent: Agent) -> None:
    client.send_control(Start())
    client.control()
    assert b"poe@manta # " in client.until(b"# ")
    client.type("exit\n")
    assert client.outcome() == Exit(status=0)
    end(client, agent)


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


def test_second_start_is_ignored(client: Client, agent: Agent) -> None:
    client.start()
    client.send_control(Start(command="/bin/false"))
    assert client.ask("echo still $((40 + 2))") == b"still 42\r\n"
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


def test_term_directory_and_arguments(client: Client, agent: Agent, tmp_path: Path) -> None:
    place = tmp_path / "a käse"
    place.mkdir()
    client.run('printf "%s|" "$TERM" "$PWD" "$0" "$1"', cwd=str(place), term="vt220")
    assert client.outcome() == Exit(status=0)
    assert client.output.decode() == f"vt220|{place}|/bin/bash||"
    end(client, agent)


def test_words_that_are_no_utf8_arrive_as_they_were(client: Client, agent: Agent) -> None:
    client.start(Start(command="/usr/bin/printf", arguments=("%s", "\udcff\udc80ä")))
    assert client.outcome() == Exit(status=0)
    assert client.output == b"\xff\x80" + "ä".encode()
    end(client, agent)


def test_all_bytes_pass_both_ways(client: Client, agent: Agent) -> None:
    client.run("stty raw -echo; printf ready; head -c 256")
    client.until(b"ready")
    client.type(bytes(range(256)))
    assert client.outcome() == Exit(status=0)
    assert client.output == bytes(range(256))
    end(client, agent)


def test_typed_utf8_is_edited_by_whole_characters(client: Client, agent: Agent) -> None:
    client.send_control(Start())
    client.control()
    client.until(b"# ")
    client.type("echo $((40+2))[äx")
    client.until("äx".encode())
    client.type("\x7f\x7f]\n")
    client.until(b"42[]\r\n")
    end(client, agent)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("exit 255", Exit(status=255)),
        ("kill -SEGV $$", Exit(signal="SIGSEGV")),
    ],
)
def test_how_the_command_ended(client: Client, agent: Agent, script: str, outcome: Exit) -> None:
    client.run(script)
    assert client.outcome() == outcome
    end(client, agent)


def test_control_c_and_control_z_reach_the_job(client: Client, agent: Agent) -> None:
    client.start()
    client.type("sleep 1000\n\x03")
    client.until(PROMPT)
    client.type("echo $?\n")
    client.until(b"130\r\n")
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


def test_paste_of_a_megabyte_is_read_later(client: Client, agent: Agent) -> None:
    client.run("stty raw -echo; printf go; dd bs=1 count=1 status=none; head -c 1048576 | sha256sum")
    client.until(b"go")
    data = os.urandom(1 << 20)
    client.type(b"!")
    for at in range(0, len(data), 4096):
        client.link.send(Binary(data[at : at + 4096]))
    assert client.outcome() == Exit(status=0)
    assert client.output[1:65].decode() == hashlib.sha256(data).hexdigest()
    end(client, agent)


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


def test_agent_leaves_no_zombie(client: Client, agent: Agent) -> None:
    shell = client.run("exit 0").pid
    client.outcome()
    wait_until(lambda: shell not in session_members(shell), "the child to be reaped")
    end(client, agent)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Start(command="/no/such/program"), "/no/such/program: not found or not executable"),
        (Start(command="/bin/bash", cwd="/etc/passwd"), "cannot start in /etc/passwd: Not a directory"),
    ],
)
def test_what_cannot_be_started_is_an_error_in_words(client: Client, agent: Agent, wish: Start, words: str) -> None:
    client.send_control(wish)
    answer = client.control()
    assert isinstance(answer, Error)
    assert words in answer.error
    assert end(client, agent).count(words) == 1


def test_file_that_is_no_program(client: Client, agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    client.send_control(Start(command=str(path)))
    answer = client.control()
    assert isinstance(answer, Error)
    assert answer.error == f"{path}: Exec format error"
    assert _guard_only(agent)
    end(client, agent)


def _guard_only(agent: Agent) -> bool:
    return len(_children(agent.pid)) == 1


def test_ctrun_is_left_out_where_there_is_none(client: Client, agent: Agent) -> None:
    words = ("-i", "core", "-l", "child", "/bin/bash", "-c", "echo $0 $1", "one", "two")
    client.send_control(Start(command="/usr/bin/ctrun", arguments=words))
    client.control()
    assert client.outcome() == Exit(status=0)
    assert client.output == b"one two\r\n"
    assert "no /usr/bin/ctrun here" in end(client, agent)


@pytest.mark.parametrize("way", ["close", "abort", "reset"])
def test_end_of_the_link_is_the_end_of_the_session(client: Client, agent: Agent, way: str) -> None:
    """Also of what ignores SIGHUP, and of what is stopped."""
    shell = client.start().pid
    client.ask("nohup sleep 1001 > /dev/null 2>&1 & sleep 1002 & kill -STOP $!; (trap '' HUP TERM; exec sleep 1003) &")
    assert len(session_members(shell)) == 4
    if way == "close":
        client.link.close(reason="remote connection reset")
    elif way == "abort":
        client.link.abort()
    else:
        client.link._stream._sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # type: ignore[attr-defined]  # SO_LINGER 0: RST
        client.link._stream._sock.close()  # type: ignore[attr-defined]
    status, log = agent.finish()
    assert status == 0
    assert session_members(shell) == {}
    assert ("remote connection reset" in log) == (way == "close")


def test_agent_that_is_asked_to_stop_ends_everything(client: Client, agent: Agent) -> None:
    shell = client.start().pid
    client.ask("nohup sleep 1001 > /dev/null 2>&1 &")
    os.kill(agent.pid, signal.SIGHUP)
    assert client.control() == Error("the agent was stopped by SIGHUP")
    status, log = agent.finish()
    assert status == 128 + signal.SIGHUP
    assert session_members(shell) == {}
    assert "stopped by SIGHUP" in log


@pytest.mark.parametrize("way", ["exit", "abort"])
def test_daemon_that_left_the_session_dies_with_it(client: Client, agent: Agent, tmp_path: Path, way: str) -> None:
    client.start()
    pidfile, of_child = tmp_path / "pid", tmp_path / "child"
    child = f"setsid sleep 1004 & echo $! > {of_child}"
    client.ask(f"setsid -f sh -c 'trap \"\" HUP; ({child}); echo $$ > {pidfile}; sleep 1002'")
    wait_until(lambda: pidfile.exists() and pidfile.read_text())
    daemons = int(pidfile.read_text()), int(of_child.read_text())
    if way == "exit":
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


def test_child_that_closes_its_terminal_costs_no_time(client: Client, agent: Agent) -> None:
    client.run("exec 3<&0 <&- >&- 2>&- 3<&-; sleep 0.5; exec > /dev/tty; echo back")
    before = _cpu_ticks(agent.pid)
    assert client.outcome() == Exit(status=0)
    assert client.output == b"back\r\n"
    assert _cpu_ticks(agent.pid) - before < 20
    end(client, agent)


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_ping_is_answered_while_the_child_is_busy(client: Client, agent: Agent) -> None:
    client.run("yes")
    client.until(b"y\r\n")
    client.link.send(Ping(b"alive?"))
    seen = Deadline()
    while getattr(client.link.receive(seen.left), "payload", None) != b"alive?":
        pass
    client.link.abort()
    assert agent.finish()[0] == 0


def test_peer_that_breaks_the_protocol(client: Client, agent: Agent) -> None:
    shell = client.start().pid
    client.link._stream.send(b"\xff\xff\xff\xff")
    with pytest.raises(ClosedTransport):  # noqa: PT012
        while True:
            client.link.receive(Deadline().left)
    assert "broke the protocol" in agent.finish()[1]
    assert session_members(shell) == {}
