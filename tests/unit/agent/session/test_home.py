from __future__ import annotations

import pytest

from agent.dial.announce import Holding
from agent.poller import READ
from agent.process.context import Context
from agent.session.home import Home
from agent.timeouts import Timeouts
from medusa.protocol.messages import Ping
from tests.unit.client.peers import link_ends
from tests.waiting import Clock


@pytest.mark.parametrize("answers", [True, False])
def test_a_home_link_under_suspicion_is_soon_lost_unless_the_reflector_answers(answers: bool) -> None:
    near, far = link_ends()
    clock, log = Clock(), [""]
    context = Context(None, None, {}, log.append, Timeouts(), clock)  # type: ignore[arg-type]  # no signals, no guard
    home = Home(near, Holding("a" * 32), None, context, log.append, lambda: clock.now)  # type: ignore[arg-type]  # it dials later
    home.suspect()
    home.serve({})
    if answers:
        assert far.receive_nowait() == Ping()  # it sends a pong as well
        home.serve({near.fileno(): READ})
    clock.now += Timeouts().home_timeout
    home.serve({})
    lost = "home link lost: link lost: silent for 6 s; the agent dials again for 3600 s"
    assert log[-1] == ("" if answers else lost)
    near.abort()
    far.abort()
