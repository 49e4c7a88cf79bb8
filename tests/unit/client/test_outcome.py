from __future__ import annotations

import pytest

from medusa.client.outcome import status_of
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
