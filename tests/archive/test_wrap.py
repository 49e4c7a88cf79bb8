"""`agent.sh wrap` by the archive: a step runs as if it ran alone, and a terminal is offered if it fails."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medusa.protocol.control import Error, Exit, Started
from tests.agents import PROMPT, QUIET_SHELL, SECRET, Agent, Reflector, job_environ, launched
from tests.reflectors import running
from tests.streamclients import PTY, StreamClient
from tests.terminals import MLOGIN, environment, run_alone
from tests.waiting import PATIENCE, wait_until

NOWHERE = "http://127.0.0.1:1/attach/x/slave"


def wrap(
    archive: Path, *words: str | Path, environ: dict[str, str] | None = None, **more: object
) -> contextlib.AbstractContextManager[Agent]:
    command = ["sh", archive, "wrap", *words]
    return launched(command, job_environ(MEDUSA_PYTHON=sys.executable, **(environ or {})), **more)  # type: ignore[arg-type]


def run(archive: Path, *words: str, url: str = NOWHERE, **more: object) -> subprocess.CompletedProcess[bytes]:
    environ = job_environ(MEDUSA_PYTHON=sys.executable, MEDUSA_SIGNED_URL=url, MEDUSA_HOLD="0")
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        ["sh", str(archive), "wrap", *words], env=environ, capture_output=True, timeout=PATIENCE, **more
    )


# ------------------------------------------------------------------ as if it ran alone


def test_stdin_words_and_status_are_the_steps(archive: Path) -> None:
    done = run(archive, "--", "sh", "-c", 'cat; echo "$0"; exit 7', "https://a.b/c", input=b"\0words\n")
    assert (done.returncode, done.stdout) == (7, b"\0words\nhttps://a.b/c\n")
    assert done.stderr == b"medusa agent: step failed with status 7; no session: not asked for\n"


def test_the_environment_and_the_directory_are_the_steps(archive: Path, tmp_path: Path) -> None:
    own = dict.fromkeys(("self", "found", "program", "python", "version", "probe", "word", "line"), "the job's")
    environ = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": "/x", "ODD": "a\nb \xff", **own}
    plain = subprocess.run(["env", "-0"], env=environ, capture_output=True)
    shim = tmp_path / "bin" / "python3"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\nSHIM=1 PATH=/changed exec '{sys.executable}' \"$@\"\n")
    shim.chmod(0o755)
    environ["MEDUSA_SIGNED_URL"] = NOWHERE
    command = ["sh", str(archive), "wrap", "--hold", "0", "--", "env", "-0"]
    wrapped = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, timeout=PATIENCE)
    given = {word for word in wrapped.stdout.split(b"\0") if not word.startswith((b"PWD=", b"_=", b"OLDPWD="))}
    assert given == set(plain.stdout.split(b"\0"))
    assert wrapped.stderr == b""


def test_a_control_c_ends_it_as_it_would_have_ended_the_step(archive: Path) -> None:
    """A shell script goes on after a status, but not after SIGINT."""
    assert run(archive, "--", "sh", "-c", "kill -INT $$").returncode == -signal.SIGINT


def test_what_a_child_still_writes_outlives_a_hangup(archive: Path, tmp_path: Path) -> None:
    out, go = tmp_path / "out", tmp_path / "go"
    os.mkfifo(go)
    script = f"trap '' HUP; (read x <{shlex.quote(str(go))}; echo second) & echo first; exit 0"
    command = ["sh", str(archive), "wrap", "--hold", "0", "--", "sh", "-c", script]
    with out.open("wb") as file:
        environ = job_environ(MEDUSA_SIGNED_URL=NOWHERE)
        process = subprocess.Popen(command, env=environ, stdout=file, start_new_session=True)
        assert process.wait(PATIENCE) == 0
    os.killpg(process.pid, signal.SIGHUP)
    go.write_text("\n")
    wait_until(lambda: out.read_bytes() == b"first\nsecond\n", "what the child wrote later")


def test_output_that_nobody_reads_does_not_outlive_the_end_that_was_asked_for(archive: Path) -> None:
    with wrap(archive, "--", "yes", environ={"MEDUSA_SIGNED_URL": NOWHERE}) as agent:
        assert agent.process.stdout is not None
        assert agent.process.stdout.read(1) == b"y"
        agent.process.terminate()
        assert agent.process.wait(PATIENCE) == 128 + signal.SIGTERM


SEEN = """
exec 2>&1
cat /proc/*/environ /proc/*/cmdline; cat /proc/self/fd/[3-9] </dev/null; env; ps axeww
"""


@pytest.mark.parametrize("name", ["MEDUSA_CI_KEY", "MEDUSA_SIGNED_URL"])
def test_a_step_sees_no_secret_of_the_agent(archive: Path, name: str) -> None:
    """Neither in the agent, nor in its guard. The processes above are not the agent's: the test passes them nothing."""
    url = f"{NOWHERE}?signature={secrets.token_hex(12)}"  # no other test has the same
    options = ["--url-command", f"echo '{url}'"] if name == "MEDUSA_CI_KEY" else []
    environ = {name: url, "MEDUSA_HOLD": "0"}
    with wrap(archive, *options, "--", "sh", "-c", SEEN, environ=environ) as agent:
        out, _ = agent.process.communicate(timeout=PATIENCE)
    assert b"agent.sh" in out
    assert url.encode() not in out


def test_dispositions_and_limits_are_the_steps(archive: Path) -> None:
    """Python ignores SIGPIPE, and the agent writes no core files."""
    step = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -c; ulimit -Hc"
    command = ["sh", str(archive), "wrap", "--hold", "0", "--", "sh", "-c", step]
    environ = job_environ(MEDUSA_PYTHON=sys.executable)
    for before in ("", "trap '' PIPE XFSZ CHLD USR1; ulimit -c 0", "trap '' HUP INT"):
        plain, wrapped = (
            subprocess.run(["bash", "-c", f'{before}\nexec "$@"', "bash", *words], env=environ, capture_output=True)
            for words in (["sh", "-c", step], command)
        )
        assert wrapped.stdout == plain.stdout != b""


def test_no_signal_ends_it_before_its_step(archive: Path) -> None:
    numbers = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD})
    step = f'for n in {" ".join(str(int(n)) for n in numbers)}; do trap "echo $n" $n; done; echo up; '
    with wrap(archive, "--hold", "0", "--", "bash", "-c", step + "while :; do sleep 0.01; done") as agent:
        assert agent.process.stdout is not None
        assert agent.process.stdout.readline() == b"up\n"
        for number in numbers:
            agent.process.send_signal(number)
            assert agent.process.stdout.readline() == b"%d\n" % number


# ------------------------------------------------------------------ what can be wrong


@pytest.mark.parametrize(
    ("options", "warned", "reason"),
    [
        ([], True, "no configuration"),
        (["--hold", "x"], True, "argument --hold"),
        (["--url-command", "echo no"], False, "the URL command's output: "),
    ],
)
def test_what_is_wrong_is_logged_and_the_step_runs(
    archive: Path, options: list[str], warned: bool, reason: str
) -> None:
    with wrap(archive, *options, "--", "sh", "-c", "exec sh -c 'echo out; exit 4'") as agent:
        status, log = agent.finish()
    assert status == 4
    *first, last = log.splitlines()
    assert [line.endswith("should the step fail, there will be no session") for line in first] == [True] * warned
    assert last.startswith("medusa agent: step failed with status 4; no session: " + reason)


def test_without_a_step_there_is_nothing_to_run(archive: Path) -> None:
    for words in ([], ["make"], ["--hold", "3"], ["--hold", "3", "--"]):
        done = run(archive, *words)
        assert done.returncode == 2
        assert b"usage: wrap" in done.stderr


def test_without_python_the_step_runs_alone(archive: Path) -> None:
    environ = {"PATH": "/nowhere", "MEDUSA_SIGNED_URL": NOWHERE, "MEDUSA_RUNS": "1"}
    step = ["/bin/sh", "-c", "echo ${MEDUSA_SIGNED_URL-unset}${MEDUSA_RUNS-}; exit 5"]
    command = ["/bin/sh", str(archive), "wrap", "--hold", "9", "--", *step]
    done = subprocess.run(command, env=environ, capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (5, b"unset\n")
    assert b"no Python 3.8 or later" in done.stderr


def test_signals_end_the_wait_once(archive: Path, reflector: Reflector) -> None:
    with wrap(archive, "--", "sh", "-c", "exit 3", environ={"MEDUSA_SIGNED_URL": reflector.url}) as agent:
        agent.logged("holding for 600 s")
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
            agent.process.send_signal(number)
        status, log = agent.finish()
    assert (status, "Traceback" in log) == (3, False)
    assert "stopped by SIG" in log


def test_a_log_that_is_read_late_still_says_where_to_look(archive: Path, reflector: Reflector) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo 'a line of a step that says a lot' >&2; i=$((i+1)); done; exit 3"
    with wrap(archive, "--", "sh", "-c", script, environ={"MEDUSA_SIGNED_URL": reflector.url}) as agent:
        agent.logged("to look into it: ")
        agent.process.terminate()
        assert agent.finish()[0] == 3


# ------------------------------------------------------------------ the session


def test_a_session_in_place_of_the_step(archive: Path, reflector: Reflector, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"env -0 >'{seen}'; pwd; printf 'odd \\377\\n'; printf end; exit 7"
    environ = {"MEDUSA_SIGNED_URL": reflector.url, "MINE": "1"}
    with wrap(archive, "--", "sh", "-c", script, environ=environ, cwd=tmp_path) as agent:
        client = reflector.accept()
        client.send_control(QUIET_SHELL)
        assert isinstance(client.control(), Started)
        title, *shown = client.until(b"\r\n---\r\n").split(b"\r\n")
        assert title.startswith(b"--- last output of: sh -c ")
        assert title.endswith(b" (status 7)")
        assert shown[:4] == [str(tmp_path).encode(), b"odd \xff", b"end", b"---"]
        client.type("PS1='ready''> '; stty -echo\n")
        client.until(PROMPT)
        assert client.ask("pwd") == str(tmp_path).encode() + b"\r\n"
        mine = tmp_path / "mine"
        client.ask(f"env -0 >'{mine}'")
        client.type("exit 0\n")
        assert client.outcome() == Exit(status=0)
        client.link.close()
        status, log = agent.finish()
    assert status == 7
    changed = (b"TERM=", b"PS1=", b"LC_CTYPE=", b"SHLVL=", b"_=", b"PWD=", b"OLDPWD=")
    step, session = (
        {word for word in path.read_bytes().split(b"\0") if not word.startswith(changed)} for path in (seen, mine)
    )
    assert step == session
    assert SECRET not in log


def test_a_hold_takes_one_visitor_after_the_other(archive: Path, reflector: Reflector) -> None:
    """However they leave: by the end of the shell, by a Close, without a word, and while the link breaks down."""
    url = reflector.url.partition("?")[0].partition("/attach")[0]
    seen = set()
    with wrap(archive, "--reflector", url, "--", "sh", "-c", "exit 3") as agent:
        for leave in ("exit", "close", "abort", "refuse"):
            client = reflector.accept()
            started = client.start()
            seen.add(started.pid)
            if leave == "exit":
                client.type("exit 5\n")
                assert client.outcome() == Exit(status=5)
            if leave == "abort":
                client.link.abort()
            else:
                client.link.close()
            if leave == "refuse":
                reflector.refuse("409 Conflict")
        client = reflector.accept()
        client.run("trap 'echo signalled' USR1; echo ready; while :; do sleep 0.02; done")
        client.until(b"ready\r\n")
        agent.process.send_signal(signal.SIGUSR1)
        client.until(b"signalled\r\n")
        agent.process.terminate()
        assert client.control() == Error("the agent was stopped by SIGTERM")
        client.link.close()
        status, log = agent.finish()
    assert (status, len(seen), log.count("holding for")) == (3, 4, 1), log


def test_a_visitor_who_speaks_streams(archive: Path, reflector: Reflector) -> None:
    """What the step wrote last goes before the first terminal's output, and into no pipe. A shell is no login shell."""
    with wrap(archive, "--", "sh", "-c", "echo failed; exit 3", environ={"MEDUSA_SIGNED_URL": reflector.url}) as agent:
        client = StreamClient(reflector.accept().link).start()
        script = "shopt -q login_shell || echo plain $0"
        pipes = client.run(None)
        pipes.give(script.encode())
        pipes.end()
        assert pipes.outcome() == {"status": 0}
        assert pipes.output[1] == b"plain /bin/bash\n"
        for preface in (True, False):
            terminal = client.run(script, pty=PTY)
            assert terminal.outcome() == {"status": 0}
            assert terminal.output[1].startswith(b"--- last output of: sh -c") is preface
            assert (b"\r\nfailed\r\n" in terminal.output[1]) is preface
            assert terminal.output[1].endswith(b"plain /bin/bash\r\n")
        assert client.leave() == "done"
        assert agent.finish()[0] == 3
        client.link.abort()


def test_sigterm_ends_the_session_and_the_status_stays(archive: Path, reflector: Reflector) -> None:
    with wrap(archive, "--", "sh", "-c", "exit 3", environ={"MEDUSA_SIGNED_URL": reflector.url}) as agent:
        client = reflector.accept()
        client.start()
        agent.process.terminate()
        assert client.control() == Error("the agent was stopped by SIGTERM")
        client.link.close()
        assert agent.finish()[0] == 3


def test_a_reflector_without_accounts(archive: Path, tmp_path: Path) -> None:
    """The user runs what the log says. tests/archive/test_ci_recipes.py has a reflector with accounts."""
    step = ["--", "sh", "-c", "echo broken; exit 2"]
    with running() as server, wrap(archive, "--reflector", server.url, *step) as agent:
        found = re.search("mlogin (.*)\n", agent.logged("to look into it: mlogin .*\n"))
        assert found is not None
        user = {**environment(tmp_path), "MEDUSA_ACCOUNT": "jill"}  # as a config file may say
        done = run_alone([*MLOGIN, *shlex.split(found[1]), "-t", "-c", "exit 0"], user)
        assert done.returncode == 0, done.stderr
        assert "broken" in done.stdout
        agent.process.terminate()
        assert agent.finish()[0] == 2
