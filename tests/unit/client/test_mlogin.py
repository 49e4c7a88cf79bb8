from __future__ import annotations

import signal

import pytest

from medusa.client import mlogin
from medusa.client.mlogin import run
from medusa.client.outcome import Failure, Interrupted, OutcomeUnknown
from medusa.client.settings import Settings


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    ("error", "before", "after", "said"),
    [
        (Failure("no\nway"), 255, 255, "mlogin: no\nmlogin: way\n"),
        (OutcomeUnknown("lost"), 254, 254, "mlogin: lost; outcome unknown\n"),
        (Interrupted(signal.SIGTERM), 255, 254, "mlogin: ended by SIGTERM\n"),
        (KeyboardInterrupt(), 130, 254, "mlogin: ended by SIGINT\n"),
        (ZeroDivisionError("a bug"), 255, 254, "mlogin: internal error\n"),
    ],
)
def test_every_way_out_has_a_status_and_a_word(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    started: bool,
    error: BaseException,
    before: int,
    after: int,
    said: str,
) -> None:
    def fail(login: mlogin.Login) -> int:
        login.state.started = started
        raise error

    monkeypatch.setattr(mlogin.Login, "run", fail)
    assert run(Settings(quiet=True)) == (after if started else before)
    assert capfd.readouterr().err.startswith(said)


def test_the_traceback_of_a_bug_cannot_move_the_cursor(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: mlogin.Login) -> int:
        raise ValueError("from afar: \x1b[2J\u202e")

    monkeypatch.setattr(mlogin.Login, "run", fail)
    run(Settings())
    said = capfd.readouterr().err
    assert "mlogin: Traceback (most recent call last):\n" in said
    assert said.endswith("mlogin: ValueError: from afar: \\x1b[2J\\u202e\n")


def test_nothing_is_started_for_a_job_that_cannot_be(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Settings(object="x")) == 255
    assert capfd.readouterr() == (
        "",
        "mlogin: an OBJECT means nothing to the launcher `local`; a command is given by -c\n",
    )
