"""`medusa ssh-proxy` and `ssh-config`: the stock ssh client and what uses it, in a session without any sshd."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cuts import CutProxy
from tests.echoes import echoing, through
from tests.own_sessions import environ, train
from tests.reflectors import running
from tests.sshclients import MEDUSA, Ssh
from tests.terminals import ROOT, assert_nothing_left, processes_of, terminal
from tests.waiting import PATIENCE, wait_until

HOST = "train.medusa"
BYTES = random.Random(15).randbytes(3 << 20)


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    """ssh with a connection to a session that runs."""
    home = tmp_path_factory.mktemp("home")
    with train(home):
        client = Ssh(tmp_path_factory.mktemp("s"), environ(home), "train")
        with client.config.open("a") as config:
            config.write("    SendEnv WHAT\n")
        with client.master(HOST):
            yield client
    assert_nothing_left(home)


def test_many_commands_over_one_connection(ssh: Ssh) -> None:
    cases = {
        **{f"exit {status}": (b"", status, b"", b"") for status in (0, 1, 2, 126, 127, 128, 200, 254, 255)},
        "cat; echo err >&2; exit 3": (BYTES, 3, BYTES, b"err\n"),
        "head -c 3; exec <&-; echo": (BYTES, 0, BYTES[:3] + b"\n", b""),
        "kill -KILL $$": (b"", 255, b"", b""),
        "(sleep 0.5; echo late; echo err >&2) & echo now": (b"", 0, b"now\nlate\n", b"err\n"),
        "sleep 1000 >/dev/null 2>&1 & exit 5": (b"", 5, b"", b""),
        "no-such-command": (b"", 127, b"", b"bash: line 1: no-such-command: command not found\n"),
        'printf %s "$WHAT"': (b"", 0, b"this", b""),
        "": (b"echo in a shell; exit 4\n", 4, b"in a shell\n", b""),
    }
    ssh.environ["WHAT"] = "this"
    runs = [ssh.start(*ssh.shared("-T", HOST, line)) for line in cases]
    for run, (typed, *expected) in zip(runs, cases.values(), strict=True):
        with run:
            out, err = run.communicate(typed, 3 * PATIENCE)
        assert [run.returncode, out, err.replace(b"/bin/bash", b"bash")] == expected


def test_variables_that_the_user_sets(ssh: Ssh) -> None:
    named = 'SetEnv=ONE=1 "TWO=a b=c  d" PATH=/mine:/bin:/usr/bin EMPTY= MEDUSA_X=x'
    words = ["-o", named, HOST, 'printf "%s|" "$ONE" "$TWO" "$PATH" "${EMPTY-unset}" "${MEDUSA_X-unset}"']
    assert ssh.run(*words) == (0, b"1|a b=c  d|/mine:/bin:/usr/bin||unset|", b"")


@pytest.mark.parametrize(("typed", "status"), [(b"", 0), (b"\xff" * 8, 255)])
def test_how_the_sftp_server_ends(ssh: Ssh, typed: bytes, status: int) -> None:
    found, out, err = ssh.run(*ssh.shared("-s", HOST, "sftp"), typed=typed)
    assert (found, out) == (status, b"")
    assert (b"the SFTP server has ended" in err) is bool(typed)


def test_a_terminal(ssh: Ssh) -> None:
    line = "trap 'echo caught' INT; stty size; read x; read x; stty size; exit 6"
    with terminal(ssh.command(*ssh.shared("-t", HOST, line)), ssh.environ, columns=111, lines=33) as screen:
        screen.until("33 111\r\n")
        screen.type("\x03\n")
        screen.until("caught")
        screen.resize(122, 44)
        screen.process.send_signal(28)  # SIGWINCH
        screen.type("go\n")
        screen.until("\\d+ \\d+\r\n")
        assert screen.status() == 6


def test_a_terminal_for_a_client_that_has_none(ssh: Ssh) -> None:
    line = 'read x; echo "<$x>"; test -t 0 && exit 4'
    status, out, _ = ssh.run("-tt", HOST, line, typed=b"abc\n")
    assert (status, out) == (4, b"abc\r\n<abc>\r\n")


def test_no_input(ssh: Ssh) -> None:
    assert ssh.run(*ssh.shared("-n", HOST, "cat; echo end"), typed=b"not read") == (0, b"end\n", b"")


def test_keys_are_changed_on_the_way(ssh: Ssh) -> None:
    assert ssh.run("-o", "RekeyLimit=256K", HOST, "cat", typed=BYTES) == (0, BYTES, b"")


def test_connections_are_forwarded_both_ways(ssh: Ssh, tmp_path: Path) -> None:
    here, there = str(ssh.place / "l"), str(ssh.place / "r")
    with echoing() as port:
        for option, spec in (("-L", f"{here}:127.0.0.1:{port}"), ("-R", f"{there}:127.0.0.1:{port}")):
            assert ssh.run(*ssh.shared("-O", "forward", option, spec, HOST)) == (0, b"", b"")
        status, out, _ = ssh.run(*ssh.shared("-O", "forward", "-R", f"0:127.0.0.1:{port}", HOST))
        assert status == 0
        for address in (here, there, int(out)):
            assert through(address, BYTES) == b"> " + BYTES
        assert ssh.run("-W", f"127.0.0.1:{port}", HOST, typed=b"abc") == (0, b"> abc", b"")
        taken = f"{port}:127.0.0.1:{port}"
        status, _, err = ssh.run(*ssh.shared("-O", "forward", "-R", taken, HOST))
        assert (status, b"remote port forwarding failed" in err) == (255, True)
        ssh.run(*ssh.shared("-O", "cancel", "-R", taken, HOST))  # there is none, and the connection lives
    status, _, err = ssh.run("-W", f"127.0.0.1:{port}", HOST)
    assert (status, f"127.0.0.1:{port}: Connection refused" in err.decode()) == (255, True)


def test_rsync_git_scp_and_sftp(ssh: Ssh, tmp_path: Path) -> None:
    shell = shlex.join(ssh.command(*ssh.shared()))
    source, there = tmp_path / "source", tmp_path / "job"
    for path in (source, there):
        path.mkdir()
    for name in ("a file", "b"):
        (source / name).write_bytes(BYTES[:70000])
    script = f"""
        git init -q {there}/git
        git -C {there}/git -c user.name=x -c user.email=x@y commit -q --allow-empty -m one
        GIT_SSH_COMMAND={shlex.quote(shell)} git clone -q {HOST}:{there}/git clone
        rsync -e {shlex.quote(shell)} -a {source}/ {HOST}:{there}/out/
        rsync -e {shlex.quote(shell)} -a {HOST}:{there}/out/ back/
        scp -O -q -F {ssh.config} -o ControlPath={ssh.socket} {source}/b {HOST}:{there}/copy
        scp -q -F {ssh.config} -o ControlPath={ssh.socket} {HOST}:{there}/copy {there}/again
        echo "get {there}/copy {there}/third" | sftp -q -F {ssh.config} -o ControlPath={ssh.socket} {HOST}
        mkdir ~/below
        echo "put {source}/b fourth" | sftp -q -b - -F {ssh.config} -o ControlPath={ssh.socket} {HOST}:below
        scp -3 -q -F {ssh.config} -o ControlPath={ssh.socket} {HOST}:~/below/fourth {HOST}:below/fifth
        scp -3 -O -q -F {ssh.config} -o ControlPath={ssh.socket} {HOST}:~/below/fifth {HOST}:below/sixth
        {shell} {HOST} 'cat ~/below/sixth; rm -r below' | cmp - {source}/b
    """
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=ssh.environ, check=True, timeout=3 * PATIENCE)
    assert (tmp_path / "clone" / ".git").is_dir()
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }
    for name in ("copy", "again", "third"):
        assert (there / name).read_bytes() == BYTES[:70000]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n" + BYTES[:100_000]])
def test_what_is_not_ssh_is_refused(ssh: Ssh, garbage: bytes) -> None:
    command = [*MEDUSA, "ssh-proxy", "train"]
    done = subprocess.run(command, input=garbage, env=ssh.environ, cwd=ROOT, capture_output=True, timeout=3 * PATIENCE)
    assert (done.returncode, done.stdout[:8]) == (255, b"SSH-2.0-")
    assert b"the ssh client breaks the rules of SSH" in done.stderr


def test_two_sessions_of_one_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    """ssh makes the letters of a host's name small, so `Train` and `train` are one name. It never means one of two."""
    home = tmp_path_factory.mktemp("home")
    ssh = Ssh(tmp_path_factory.mktemp("s"), environ(home))
    command = [*MEDUSA, "ssh-config", "--all", "--write"]
    with train(home, "--name", "Train"):
        assert ssh.run("Train.medusa", "echo one") == (0, b"one\n", b"")
        with train(home):
            wait_until(lambda: len(list(home.glob(f"medusa-{os.geteuid()}/*.json"))) == 2, "the second session")
            for host in ("Train.medusa", HOST):
                status, out, err = ssh.run(host, "echo which")
                assert (status, out) == (255, b"")
                assert b"`train` means 2 sessions; give the id, or more of it:" in err
            done = subprocess.run(command, env=ssh.environ, cwd=ROOT, capture_output=True, text=True)
            assert "medusa ssh-config: 2 sessions have the name train: their ids are used\n" in done.stderr
            hosts = done.stdout.replace("ssh ", "").split()
            assert len(hosts) == 2
            ssh.config = home / ".ssh" / "config"
            for host in hosts:
                assert ssh.run(host, "echo here") == (0, b"here\n", b"")
        done = subprocess.run(command, env=ssh.environ, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == "ssh Train.medusa\n"
    shutil.rmtree(home / ".ssh")
    assert_nothing_left(home)


def test_a_profile_is_started_once_and_survives_lost_links(tmp_path_factory: pytest.TempPathFactory) -> None:
    home, place = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("p")
    with running() as reflector, contextlib.closing(CutProxy(int(reflector.url.rpartition(":")[2]), 1, 1 << 40)) as way:
        profile = "[box]\ntarget = local:\ncommand = cat\n"
        (place / "config").write_text(f"reflector = http://127.0.0.1:{way.port}\n{profile}")
        given = {**environ(home), "MEDUSA_CONFIG": str(place / "config")}
        ssh = Ssh(tmp_path_factory.mktemp("s"), given, "--profile", "box")
        try:
            runs = [ssh.start("box.medusa", "ps -o ppid= -p $$") for _ in range(2)]
            found = []
            for run in runs:
                with run:
                    out, err = run.communicate(timeout=6 * PATIENCE)
                assert run.returncode == 0, err
                found.append((out, len(re.findall(b"starting a session", err))))
            assert found[0][0] == found[1][0]  # one agent
            assert found[0][1] + found[1][1] == 1
            with ssh.start("box.medusa", "cat") as run:
                assert run.stdin is not None
                assert run.stdout is not None
                run.stdin.write(BYTES[:70000])
                run.stdin.flush()
                first = os.read(run.stdout.fileno(), 1000)
                way.cut_all()
                out, err = run.communicate(BYTES[70000:], 6 * PATIENCE)
            assert (run.returncode, first + out == BYTES) == (0, True)
            assert re.search(rb"^medusa ssh-proxy: reconnected after \d+ s\r?$", err, re.MULTILINE)
        finally:
            subprocess.run([*MEDUSA, "kill", "box"], env=given, cwd=ROOT, capture_output=True)
            wait_until(lambda: not processes_of(home), "all processes to end")
