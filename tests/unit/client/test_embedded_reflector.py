from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from medusa.client.embedded_reflector import embedded_reflector
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure, Interrupted
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import Timeouts
from tests.waiting import MS, PATIENCE, wait_until

STUB = """
import os, sys
lifeline = int(sys.argv[sys.argv.index("--lifeline") + 1])
assert sys.argv[sys.argv.index("--port") + 1] == "0"
%s
"""
LISTENS = 'print("listening http://127.0.0.1:4711 raw tcp://127.0.0.1:4712", flush=True)\n'
LIVES = "os.read(lifeline, 1)\n"


def stub(script: str) -> list[str]:
    return [sys.executable, "-I", "-c", STUB % script]


def test_tells_the_url_and_ends_it_by_the_lifeline() -> None:
    with embedded_reflector(Ledger(), stub(LISTENS + LIVES)) as reflector:
        assert reflector.url() == "http://127.0.0.1:4711"
        assert not reflector.over()
    assert reflector.over()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("sys.exit(3)", "ended with status 3"),
        (r"sys.stderr.write('last\n'); sys.stderr.flush(); os.kill(os.getpid(), 9)", "been killed by SIGKILL"),
        (r"sys.stderr.write('first\nlast\33')", r"ended with status 0; the last line of its log: last\x1b"),
    ],
)
def test_tells_how_it_has_ended(end: str, words: str) -> None:
    with embedded_reflector(Ledger(), stub(LISTENS + "sys.stdin.read()\n" + end)) as reflector:
        assert reflector.end() == ""
        reflector.url()
        wait_until(reflector.over, "its end")
        assert reflector.end() == f"mlogin's own reflector has {words}"


def test_an_end_before_it_is_ready_is_told_by_the_failure_only() -> None:
    with embedded_reflector(Ledger(), stub("sys.exit(3)")) as reflector:
        with pytest.raises(Failure, match="ended with status 3"):
            reflector.url()
        assert reflector.end() == ""


def test_lives_in_a_private_directory_a_session_of_its_own_and_a_cleaned_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDUSA_BIND_IP", "0.0.0.0")
    monkeypatch.setenv("CONFIG_FILE", "/nowhere")
    told = tmp_path / "told"
    script = f"""
foreign = [name for name in os.environ if name.startswith(("MEDUSA", "CONFIG"))]
with open({str(told)!r}, "w") as file:
    print(os.getcwd(), os.getsid(0) == os.getpid(), foreign, os.environ["PYTHONPATH"], sep="\\n", file=file)
"""
    with embedded_reflector(Ledger(), stub(script + LISTENS + LIVES)) as reflector:
        reflector.url()
        directory, own_session, environ, path = told.read_text().splitlines()
        assert os.stat(directory).st_mode & 0o777 == 0o700
    assert not os.path.exists(directory)
    assert (own_session, environ) == ("True", "[]")
    assert [os.path.abspath(entry) for entry in sys.path] == path.split(os.pathsep)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('sys.exit("port in use\\x1b[2J")', r"the embedded reflector ended with status 1\n  port in use\\x1b\[2J$"),
        ('print("hello", flush=True)\n' + LIVES, "said 'hello'"),
        (LIVES, "does not start"),
    ],
    ids=["ends", "says something else", "says nothing"],
)
def test_a_start_that_fails_is_reported(script: str, why: str) -> None:
    timeouts = Timeouts(reflector_start_timeout=50 * MS if script == LIVES else PATIENCE)
    with embedded_reflector(Ledger(), stub(script), timeouts) as reflector, pytest.raises(Failure, match=why):
        reflector.url()


def test_a_signal_ends_the_wait_for_the_greeting(signals: Signals) -> None:
    script = f"import signal; os.kill({os.getpid()}, signal.SIGTERM)\n" + LIVES
    with embedded_reflector(Ledger(), stub(script)) as reflector, pytest.raises(Interrupted), signals.interruptible():
        reflector.url()


def test_one_that_ignores_its_lifeline_is_killed() -> None:
    timeouts = Timeouts(reflector_stop_grace=50 * MS)
    script = LISTENS + "import signal\nwhile True: signal.pause()"
    begun = time.monotonic()
    with embedded_reflector(Ledger(), stub(script), timeouts) as reflector:
        reflector.url()
    assert time.monotonic() - begun >= 50 * MS
