"""Sessions whose links are cut, again and again, at any byte: they go on, with every byte and the exact outcome."""

from __future__ import annotations

import hashlib
import random
import subprocess
import threading
from pathlib import Path

from tests.cuts import cuts
from tests.ports import HOST, dials, free_port, swallowing
from tests.reflectors import running
from tests.terminals import ROOT, environment, mlogin, processes_of, terminal
from tests.waiting import PATIENCE, wait_until

SEED = 14
PIPED = random.Random(SEED).randbytes(6_000_000)
SHOWN = b"".join(b"%08d line of output\r\n" % number for number in range(10_000))
TYPED = bytes(random.Random(SEED).choices(range(32, 127), k=50_000))


def test_pipes(home: Path) -> None:
    with running() as reflector, cuts(reflector.port, SEED, mean=2_000_000) as proxy:
        command = mlogin("-q", "--reflector", f"http://127.0.0.1:{proxy.port}", "-c", "cat; exit 7")
        run = subprocess.run(
            command, input=PIPED, capture_output=True, cwd=ROOT, env=environment(home), timeout=10 * PATIENCE
        )
        assert (run.returncode, hashlib.sha256(run.stdout).digest()) == (7, hashlib.sha256(PIPED).digest()), run.stderr
        assert proxy.cuts >= 3


def test_a_terminal(home: Path) -> None:
    (home.parent / "shown").write_bytes(SHOWN)
    line = f"stty raw -echo; echo ready; cat {home.parent / 'shown'}; head -c {len(TYPED)} | sha256sum; exit 7"
    with running() as reflector, cuts(reflector.port, SEED, mean=60_000) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        command = mlogin("-q", "-t", "-e", "none", "--reflector", url, "-c", line)
        # Without mlogin's own words, which would stand amid the output.
        with terminal(["sh", "-c", 'exec "$@" 2>/dev/null', "sh", *command], environment(home)) as opened:
            opened.until("ready")
            typist = threading.Thread(target=opened.type, args=(TYPED,))
            typist.start()
            opened.until(hashlib.sha256(TYPED).hexdigest())
            typist.join()
            assert opened.status() == 7
            assert SHOWN in opened.screen
        assert proxy.cuts >= 3


def test_the_agent_is_killed(home: Path) -> None:
    with (
        running(check=False) as reflector,  # it expects the agent back for an hour
        terminal(mlogin("--reflector", reflector.url, "--no-login"), environment(home)) as opened,
    ):
        opened.type("kill -KILL $PPID\r")
        opened.until(r"mlogin: local job \d+ killed by SIGKILL")
        opened.until("outcome unknown")
        assert opened.status() == 254
        wait_until(lambda: not reflector.sessions(), "mlogin's guard, which tells that the job is over")


def test_the_user_gives_up(home: Path) -> None:
    port = str(free_port())
    with (
        running("--port", port, check=False) as reflector,
        terminal(mlogin("--reflector", reflector.url), environment(home)) as opened,
    ):
        opened.until("you are in the job")
        reflector.process.kill()
        opened.until(r"reconnecting \.\.\. .*~\. ends it")
        opened.type("\r~.")
        opened.until("disconnected; outcome unknown")
        assert opened.status() == 254
        assert opened.modes() == opened.modes_at_start
    with running("--port", port):  # it does not know the ticket, so that the guard stops dialling
        wait_until(lambda: not processes_of(home), "the end of the job")


def test_the_user_gives_up_while_the_host_does_not_answer_at_all(home: Path) -> None:
    port = free_port()
    with (
        running("--port", str(port), check=False) as reflector,
        terminal(mlogin("--reflector", reflector.url), environment(home)) as opened,
    ):
        opened.until("you are in the job")
        reflector.process.kill()
        reflector.process.wait()
        with swallowing(HOST, port):
            wait_until(lambda: dials(opened.process.pid, port), "the attempt to connect")
            opened.type("\r~.")
            opened.until("disconnected; outcome unknown")
            assert opened.status() == 254
    with running("--port", str(port)):
        wait_until(lambda: not processes_of(home), "the end of the job")
