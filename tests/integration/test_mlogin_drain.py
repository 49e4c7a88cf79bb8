"""What the user of mlogin is told while the reflector drains, or says nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from medusa.client.timeouts import Timeouts
from tests import sites
from tests.links import CERTIFICATE
from tests.reflectors import Reflector, running
from tests.terminals import environment, mlogin, terminal
from tests.waiting import PATIENCE, wait_until
from tests.workers import stopped

TLS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))


def raw_url(reflector: Reflector) -> str:
    return f"tcp://127.0.0.1:{reflector.raw_port}"


@pytest.mark.parametrize("options", [("--raw-port", "0"), ("--workers", "2", *TLS)], ids=["raw", "workers and TLS"])
def test_a_drain_is_told_of_at_its_beginning_and_before_its_end(home: Path, options: tuple[str, ...]) -> None:
    with running("--drain-timeout", "2", *options, check=False) as reflector:
        url = raw_url(reflector) if reflector.raw_port else reflector.url
        arguments = ["--reflector", url, "-i", "-q", "--keep", "0", "-c", "echo is''up; cat"]
        with terminal(mlogin(*arguments), environment(home)) as window:
            window.until("isup\r\n")
            reflector.signal(signal.SIGTERM)
            window.until("mlogin: the reflector is shutting down; the session ends in [12] s\r\n")
            assert window.status() == 254
            assert b"mlogin: the reflector is shutting down; the session ends in 1 s\r\n" in window.screen
            assert b"the reflector closed the session (the reflector is shutting down)" in window.screen
        assert reflector.process.wait(PATIENCE) == 0


def test_a_client_that_waits_attaches_again_at_once(home: Path) -> None:
    with running("--drain-timeout", "60", check=False) as reflector:
        arguments = ["--reflector", reflector.url, "--launcher", "manual"]
        with terminal(mlogin(*arguments), environment(home)) as window:
            wait_until(reflector.states)
            reflector.signal(signal.SIGTERM)
            window.until(r"the reflector closed the session \(the reflector is shutting down\); attaching again")
            window.type("\x03")
            window.status()
        assert reflector.process.wait(PATIENCE) == 0


def test_a_drain_of_the_reflector_by_which_the_agent_comes(tmp_path: Path, home: Path) -> None:
    with sites.site(tmp_path) as site, site.reflector() as here, site.reflector("--drain-timeout", "2") as there:
        arguments = ["--reflector", here.url, "--launcher", "manual"]
        with terminal(mlogin(*arguments), environment(home)) as window:
            (session,) = wait_until(here.states)
            wait_until(lambda: site.claimed(session))
            with there.attach(session, "slave") as agent:
                agent.frame()
                there.signal(signal.SIGTERM)
                window.until(
                    "mlogin: a reflector on the way to the job is shutting down; the session ends in [12] s\r\n"
                )
                while (message := agent.word()).opcode != 8:
                    pass
                assert message.close == (1001, "the reflector is shutting down")
                agent.close()
                assert window.status() == 254
        assert there.process.wait(PATIENCE) == 0
        assert here.ended(session)["outcome"] == "shut_down"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keep", "0"], [r"the reflector is back after \d+ s\r\n"]),
        ([], [r"reconnecting \.\.\. 0:\d\d \(~\. ends it\)", r"reconnected after \d+ s\r\n"]),
    ],
    ids=["ends with its link", "comes back"],
)
def test_a_silence_is_told_of_and_its_end(home: Path, options: list[str], words: list[str]) -> None:
    quick = Timeouts(ask_interval=0.2, silence_timeout=0.6)
    with running(check=False) as reflector:
        arguments = ["--reflector", reflector.url, *options, "-c", "echo is''up; read x; echo go''ne"]
        with terminal(mlogin(*arguments, timeouts=quick), environment(home)) as window:
            window.until("isup\r\n")
            with stopped(reflector.process.pid):
                for pattern in [r"no word from the reflector for \d+ s\r\n", *words[:-1]]:
                    window.until("mlogin: " + pattern)
            window.until("mlogin: " + words[-1])
            window.type("\r")
            window.until("gone\r\n")
            assert window.status() == 0
