from __future__ import annotations

import itertools

import pytest

from medusa.reflector.relay.endpoint import states
from medusa.reflector.relay.endpoint.states import TABLE, Action, IllegalInput, Input, State

REPORTS = (Action.REPORT_CLOSED, Action.REPORT_LOST)


@pytest.mark.parametrize(("state", "happened"), list(itertools.product(State, Input)), ids=lambda value: value.name)
def test_every_pair_is_a_step_or_an_error(state: State, happened: Input) -> None:
    entry = TABLE.get((state, happened))
    if entry is None:
        with pytest.raises(IllegalInput, match=f"{happened.name} while {state.name}"):
            states.step(state, happened)
    else:
        assert states.step(state, happened) == entry


@pytest.mark.parametrize(("pair", "step"), TABLE.items(), ids=lambda value: "")
def test_rules_of_every_step(pair: tuple[State, Input], step: states.Step) -> None:
    state, happened = pair
    # The end is reported once; only a dismissal, which the session asks for, is not.
    reported = state in (State.ENDED, State.RELEASED)
    ends = step.next in (State.ENDED, State.RELEASED) and not reported
    reports = sum(action in REPORTS for action in step.actions)
    assert reports == (ends and happened is not Input.DISMISSED)
    assert (Action.RELEASE in step.actions) is (step.next is State.RELEASED and state is not State.RELEASED)
    assert (Action.FORWARD_FIN in step.actions) is (step.next in states.HALF_CLOSED and state not in states.HALF_CLOSED)
    assert (Action.REPORT_BREACH in step.actions) is (step.next is State.DISCARDING and state is not State.DISCARDING)
    if state in states.READING and step.next not in (*states.READING, State.RELEASED):
        assert Action.UNWATCH in step.actions


def test_nothing_is_done_after_the_release() -> None:
    after = {step for (state, _), step in TABLE.items() if state is State.RELEASED}
    assert after == {states.Step(State.RELEASED)}


@pytest.mark.parametrize("happened", [Input.DETACHED, Input.GIVEN_UP, Input.DISMISSED, Input.WRITE_FAILED])
def test_the_reflector_may_do_this_at_any_time(happened: Input) -> None:
    assert all((state, happened) in TABLE for state in State)


def walk(*inputs: Input) -> tuple[State, list[Action]]:
    state, actions = State.DROPPING, list[Action]()
    for happened in inputs:
        step = states.step(state, happened)
        state = step.next
        actions += step.actions
    return state, actions


@pytest.mark.parametrize(
    ("inputs", "state", "actions"),
    [
        ((Input.PEER_CLOSED,), State.ENDED, [Action.UNWATCH, Action.REPORT_CLOSED]),
        ((Input.LINKED, Input.PEER_CLOSED), State.ENDED, [Action.UNWATCH, Action.REPORT_CLOSED]),
        ((Input.LINKED, Input.DETACHED), State.DROPPING, [Action.WATCH]),
        (
            (Input.LINKED, Input.PEER_BROKE_RULES, Input.DETACHED, Input.PEER_LOST),
            State.ENDED,
            [Action.WATCH, Action.REPORT_BREACH, Action.UNWATCH, Action.REPORT_LOST],
        ),
        ((Input.LINKED_PLAIN, Input.PEER_CLOSED), State.HALF_CLOSED, [Action.UNWATCH, Action.FORWARD_FIN]),
        (
            (Input.LINKED_PLAIN, Input.PEER_CLOSED_LAST, Input.BOTH_WRITTEN),
            State.ENDED,
            [Action.UNWATCH, Action.FORWARD_FIN, Action.REPORT_CLOSED],
        ),
        (
            (Input.LINKED_PLAIN, Input.PEER_CLOSED, Input.WRITE_FAILED, Input.WRITE_FAILED, Input.DISMISSED),
            State.RELEASED,
            [Action.UNWATCH, Action.FORWARD_FIN, Action.REPORT_CLOSED, Action.RELEASE],
        ),
        ((Input.LINKED, Input.GIVEN_UP, Input.GIVEN_UP), State.RELEASED, [Action.RELEASE, Action.REPORT_LOST]),
        ((Input.DISMISSED, Input.LINKED, Input.DISMISSED), State.RELEASED, [Action.RELEASE]),
    ],
)
def test_lives(inputs: tuple[Input, ...], state: State, actions: list[Action]) -> None:
    assert walk(*inputs) == (state, actions)
