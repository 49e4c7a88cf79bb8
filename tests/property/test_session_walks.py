"""Whatever happens in whatever order, a session ends, with one outcome, and is released once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medusa.session import Action, Input, SessionMachine, State
from medusa.session.machine import TABLE

CLOSES = {Action.CLOSE_CLIENT, Action.CLOSE_AGENT}


@given(data=st.data(), length=st.integers(0, 30))
def test_random_walks(data: st.DataObject, length: int) -> None:
    session, outcomes = SessionMachine(), set()
    actions: list[Action] = []
    # However long peers and reflector go on, both deadlines come in the end.
    for last in [False] * length + [True] * 3:
        legal = [happened for happened in Input if (session.state, happened) in TABLE]
        if session.state is State.ENDED:
            assert legal == []
            break
        final = [i for i in (Input.SHUTDOWN, Input.CLOSE_EXPIRED) if i in legal]
        happened = final[-1] if last else data.draw(st.sampled_from(legal))
        actions += session.process(happened)
        outcomes |= {session.outcome} - {None}
    assert session.state is State.ENDED
    assert outcomes == {session.outcome}
    assert actions.count(Action.RELEASE) == 1
    assert actions[-1] is Action.RELEASE
    assert actions.count(Action.LINK_UP) <= 1
    assert all(actions.count(close) <= 1 for close in (*CLOSES, Action.FINISH))
    assert Action.CLOSE_AGENT not in actions or Action.LINK_UP in actions
