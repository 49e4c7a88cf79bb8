from __future__ import annotations

import pytest

from medusa.client.launchers.base import JobRequest, JobState, Settings
from medusa.client.launchers.existing import ExistingLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure


def existing(session: str | None, **more: str) -> ExistingLauncher:
    return ExistingLauncher(Settings(session=session, **more), Ledger(None))  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "meant"), [("A/b@c", "a/b@c"), (" 4711 ", "4711"), ("a+b", "a+b")])
def test_an_id_is_parsed_as_the_reflector_parses_it(given: str, meant: str) -> None:
    assert existing(given).create() == meant


@pytest.mark.parametrize("given", ["", "-", "a//b", "a%41", "\x1b[2J", "é", "x" * 256])
def test_an_id_that_no_reflector_accepts_is_refused(given: str) -> None:
    with pytest.raises(Failure, match="is no session's id") as caught:
        existing(given)
    assert str(caught.value).isprintable()


def test_nothing_is_started_and_the_state_is_known() -> None:
    with existing("4711") as launcher:
        launcher.submit(JobRequest(session_url=lambda _: pytest.fail("a URL was made")))
        assert launcher.instructions() == []
        assert launcher.describe() == "an agent that is started elsewhere"
        assert launcher.poll() == JobState(alive=True, words="not here yet")
        launcher.joined()
        assert launcher.poll() == JobState(alive=True, words="running")
        assert "dial this reflector" in launcher.log_tail()[0]


def test_unusable_settings_are_refused() -> None:
    with pytest.raises(Failure, match="OBJECT"):
        existing("4711", object="x")
    with pytest.raises(Failure, match="--session"):
        existing(None)
