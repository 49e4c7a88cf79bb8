from __future__ import annotations

import signal

import pytest

from medusa.client.outcome import Failure, Interrupted, OutcomeUnknown, status_of
from medusa.protocol.control import Exit


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (Exit(), 0),
        (Exit(status=0), 0),
        (Exit(status=7), 7),
        (Exit(status=255), 255),
        (Exit(signal="SIGTERM"), 143),
        (Exit(signal="SIGKILL"), 137),
        (Exit(signal="SIGNOSUCH"), 128),
        (Exit(status=0, signal="SIGHUP"), 129),
    ],
)
def test_the_status_for_what_the_agent_said(end: Exit, status: int) -> None:
    assert status_of(end) == status


def test_a_lost_session_is_told_apart_from_none_at_all() -> None:
    assert Failure("no").status == 255
    assert OutcomeUnknown("link lost").status == 254
    assert str(OutcomeUnknown("link lost")) == "link lost; outcome unknown"


def test_an_interruption_is_not_caught_as_an_error() -> None:
    assert not isinstance(Interrupted(signal.SIGTERM), Exception)
    assert str(Interrupted(signal.SIGTERM)) == "ended by SIGTERM"
