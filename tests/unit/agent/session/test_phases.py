"""The whole table, written out once more in the short form in which a person would check it."""

from __future__ import annotations

import itertools

import pytest

from agent.session.phases import TABLE, Action, Input, Phase, Step

END = "ENDING: HANG_UP CLOSE_LINK"
STOP = "ENDING: SEND_STOPPED HANG_UP CLOSE_LINK"

# Phases as columns: WAITING, RUNNING, DRAINING, LEAVING, ENDING. "=": nothing changes. None: cannot happen.
EXPECTED: dict[Input, tuple[str | None, ...]] = {
    Input.START: ("WAITING: START_CHILD", "=", "=", "=", None),
    Input.STARTED: ("RUNNING: SEND_STARTED", None, None, None, None),
    Input.NOT_STARTED: ("LEAVING: SEND_ERROR", None, None, None, None),
    Input.DATA: ("=", "RUNNING: WRITE_INPUT", "=", "=", None),
    Input.RESIZE: ("WAITING: KEEP_SIZE", "RUNNING: KEEP_SIZE RESIZE_TERMINAL", "=", "=", None),
    Input.CHILD_EXITED: (None, "DRAINING: BEGIN_DRAIN", "=", "=", None),
    Input.DRAINED: (None, None, "LEAVING: SEND_EXIT HANG_UP", None, None),
    Input.CLIENT_CLOSED: (END, END, END, END, None),
    Input.LINK_LOST: (END, END, END, END, None),
    Input.PEER_BROKE_PROTOCOL: (END, END, END, END, None),
    Input.STOPPED: (STOP, STOP, STOP, END, None),
    Input.LEAVE_EXPIRED: (None, None, None, END, None),
    Input.FAILED: (END, END, END, END, None),
}


def step(phase: Phase, text: str | None) -> Step | None:
    if text is None:
        return None
    if text == "=":
        return Step(phase)
    name, _, actions = text.partition(":")
    return Step(Phase[name], tuple(Action[action] for action in actions.split()))


@pytest.mark.parametrize(("phase", "event"), list(itertools.product(Phase, Input)))
def test_every_pair(phase: Phase, event: Input) -> None:
    expected = step(phase, EXPECTED[event][list(Phase).index(phase)])
    assert TABLE.get((phase, event)) == expected
