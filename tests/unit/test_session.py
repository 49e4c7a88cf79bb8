from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from medusa.protocol.messages import Close
from medusa.protocol.websocket.header import legal_close_code
from medusa.session import (
    CLOSING,
    OUTCOME_MEANINGS,
    STATUS_NAMES,
    Action,
    IllegalInput,
    Input,
    Outcome,
    SessionMachine,
    Side,
    State,
    holding,
    machine,
)
from medusa.session.document import document
from medusa.session.holding import HOME_TABLE
from medusa.session.machine import TABLE

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
ALL_STEPS: list[machine.Step | holding.HomeStep] = [*TABLE.values(), *holding.HOME_TABLE.values()]
PAIRS = list(itertools.product(State, Input))


def at(state: State) -> SessionMachine:
    session = SessionMachine()
    session.state = state
    return session


@pytest.mark.parametrize(("state", "happened"), PAIRS, ids=lambda value: value.name)
def test_every_pair_is_a_step_of_the_table_or_an_error(state: State, happened: Input) -> None:
    session = at(state)
    step = TABLE.get((state, happened))
    if step is None:
        with pytest.raises(IllegalInput, match=f"{happened.name} while {state.name}"):
            session.process(happened)
        assert (session.state, session.outcome) == (state, None)
    else:
        assert session.process(happened) == step.actions
        assert (session.state, session.outcome) == (step.next, step.outcome)


@pytest.mark.parametrize(("pair", "step"), TABLE.items(), ids=lambda value: "")
def test_what_every_step_keeps_to(pair: tuple[State, Input], step: machine.Step) -> None:
    state, _ = pair
    assert state is not State.ENDED
    assert (Action.RELEASE in step.actions) is (step.next is State.ENDED)
    closes = {Action.CLOSE_CLIENT, Action.CLOSE_AGENT} & set(step.actions)
    if closes:
        assert step.actions[-1] is Action.FINISH
    entered = step.next in CLOSING and state not in CLOSING
    assert (Action.FINISH in step.actions) is entered
    # The outcome is decided when the end begins, and never before or again.
    begins_to_end = state not in CLOSING and (step.next in CLOSING or step.next is State.ENDED)
    assert (step.outcome is not None) is begins_to_end
    if step.close:
        assert closes
        assert legal_close_code(step.close.code or 0)


def test_the_end_can_be_reached_from_everywhere_and_everything_from_the_start() -> None:
    steps = {(state, step.next) for (state, _), step in TABLE.items()}

    def reached(found: set[State]) -> set[State]:
        more = found | {after for before, after in steps if before in found}
        return found if more == found else reached(more)

    assert reached({State.CLAIMED}) == set(State)
    assert all(State.ENDED in reached({state}) for state in State)


def run(*inputs: Input, close: Close | None = None) -> tuple[SessionMachine, list[Action]]:
    session = SessionMachine()
    actions: list[Action] = []
    for happened in inputs:
        actions += session.process(happened, close)
    return session, actions


LINKED = (Input.CLIENT_ATTACHED, Input.AGENT_EXPECTED, Input.AGENT_ATTACHED)


@pytest.mark.parametrize(
    ("inputs", "outcome"),
    [
        ((Input.CLIENT_REFUSED,), Outcome.REFUSED),
        ((Input.CLIENT_ATTACHED, Input.WAIT_PULSE, Input.CLIENT_LOST), Outcome.LONELY),
        ((Input.CLIENT_ATTACHED, Input.CLIENT_CLOSED), Outcome.LONELY),
        ((Input.CLIENT_ATTACHED, Input.WAIT_EXPIRED, Input.CLIENT_CLOSED), Outcome.EXPIRED),
        ((Input.CLIENT_ATTACHED, Input.SHUTDOWN, Input.CLOSE_EXPIRED), Outcome.SHUT_DOWN),
        ((*LINKED, Input.CLIENT_CLOSED, Input.AGENT_CLOSED), Outcome.COMPLETED),
        ((*LINKED, Input.AGENT_CLOSED, Input.CLIENT_LOST), Outcome.COMPLETED),
        (
            (*LINKED, Input.CLIENT_LOST, Input.SHUTDOWN, Input.AGENT_LOST),
            Outcome.LOST,
        ),
        ((*LINKED, Input.AGENT_BROKE_RULES, Input.CLOSE_EXPIRED), Outcome.ENDED),
        ((*LINKED, Input.CLAIM_LOST, Input.CLAIM_LOST, Input.CLIENT_CLOSED, Input.AGENT_CLOSED), Outcome.ENDED),
        ((Input.CLIENT_ATTACHED, Input.CLAIM_LOST, Input.CLIENT_LOST), Outcome.ENDED),
        ((*LINKED, Input.IDLE_NOTICE, Input.IDLE_EXPIRED, Input.CLOSE_EXPIRED), Outcome.IDLE),
        ((*LINKED, Input.DURATION_NOTICE, Input.DURATION_EXPIRED, Input.KILLED, Input.CLOSE_EXPIRED), Outcome.TOO_LONG),
        ((Input.KILLED,), Outcome.KILLED),
        ((Input.CLIENT_ATTACHED, Input.KILLED, Input.CLIENT_CLOSED), Outcome.KILLED),
        ((*LINKED, Input.KILLED, Input.KILLED, Input.CLIENT_LOST, Input.AGENT_CLOSED), Outcome.KILLED),
    ],
)
def test_lives(inputs: tuple[Input, ...], outcome: Outcome) -> None:
    session, actions = run(*inputs)
    assert (session.state, session.outcome) == (State.ENDED, outcome)
    assert actions.count(Action.RELEASE) == 1


@pytest.mark.parametrize(
    ("last", "close"),
    [
        (Input.CLIENT_LOST, Close(1000, "remote connection reset")),
        (Input.AGENT_LOST, Close(1000, "remote connection error")),
        (Input.SHUTDOWN, Close(1001, "the reflector is shutting down")),
        (Input.CLAIM_LOST, Close(1000, "this reflector lost the session's id to another")),
        (Input.CLIENT_BROKE_RULES, Close(1000, "the remote side broke the protocol")),
        (Input.IDLE_EXPIRED, Close(1000, "the session was idle for too long")),
        (Input.DURATION_EXPIRED, Close(1000, "the session has reached its maximum duration")),
        (Input.KILLED, Close(1000, "the session was killed")),
    ],
)
def test_what_the_other_side_is_told(last: Input, close: Close) -> None:
    assert run(*LINKED, last)[0].close == close


@pytest.mark.parametrize("last", [Input.CLIENT_CLOSED, Input.AGENT_CLOSED])
@pytest.mark.parametrize("close", [Close(4242, "because"), Close(None, ""), None])
def test_a_close_is_passed_on_as_1000_with_its_reason(last: Input, close: Close | None) -> None:
    session, _ = run(*LINKED)
    session.process(last, close)
    assert session.close == Close(1000, close.reason if close else "")


@pytest.mark.parametrize("side", list(Side))
def test_the_inputs_of_a_side(side: Side) -> None:
    made = [machine.closed(side), machine.lost(side), machine.broke_rules(side)]
    assert [one.name for one in made] == [f"{side.name}_{what}" for what in ("CLOSED", "LOST", "BROKE_RULES")]


def test_every_state_and_outcome_has_its_words() -> None:
    assert set(STATUS_NAMES) == set(State)
    assert set(STATUS_NAMES.values()) == {"master_wait", "slave_wait", "forwarding", "closing", "post_destroy"}
    assert set(OUTCOME_MEANINGS) == set(Outcome) == {step.outcome for step in ALL_STEPS} - {None}


def test_the_document_shows_this_table() -> None:
    assert DOCUMENT.read_text().endswith("\n\n" + document() + "\n")
    assert all(f"| {state.name} | {happened.name} |" in document() for state, happened in [*TABLE, *HOME_TABLE])
