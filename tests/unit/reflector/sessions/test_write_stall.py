from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from medusa.reflector.relay.pump import Progress
from medusa.reflector.sessions.write_stall import Stalls
from medusa.session import Side


def leg(side: Side = Side.CLIENT) -> Any:
    return SimpleNamespace(side=side, gone=None, backlog=10, transport=SimpleNamespace(sent=100))


def test_who_takes_nothing_for_the_limit() -> None:
    stalls, one = Stalls(4.0, 0.0), leg()
    assert stalls.look([one], 0.0) == []
    assert stalls.next_look == 1.0
    assert stalls.look([one], 3.9) == []
    assert stalls.look([one], 4.0) == [one]


def test_any_progress_counts() -> None:
    stalls, one = Stalls(4.0, 0.0), leg()
    stalls.look([one], 0.0)
    one.backlog = 9
    assert stalls.look([one], 3.0) == []
    one.transport.sent += 1
    one.backlog = 10
    assert stalls.look([one], 6.0) == []
    assert stalls.look([one], 9.9) == []
    assert stalls.look([one], 10.0) == [one]


def test_who_has_nothing_to_take() -> None:
    stalls, one, gone = Stalls(4.0, 0.0), leg(), leg(Side.AGENT)
    one.backlog, gone.gone = 0, Progress.CLOSED
    assert not any(stalls.look([one, gone], float(now)) for now in range(20))
