"""The table of a home link: of a session that its agent holds."""

from __future__ import annotations

import itertools

import pytest

from medusa.protocol.websocket.header import legal_close_code
from medusa.session import COME_BACK, IllegalInput, Outcome
from medusa.session.holding import HOME_TABLE, HomeAction, HomeInput, HomeMachine, HomeState, HomeStep

_S, _I, _O = HomeState, HomeInput, Outcome


@pytest.mark.parametrize(
    ("state", "happened"), list(itertools.product(HomeState, HomeInput)), ids=lambda value: str(value.name)
)
def test_every_pair_is_a_step_of_the_table_or_an_error(state: HomeState, happened: HomeInput) -> None:
    home = HomeMachine(state)
    step = HOME_TABLE.get((state, happened))
    if step is None:
        with pytest.raises(IllegalInput, match=f"{happened.name} while {state.name}"):
            home.process(happened)
        assert (home.state, home.outcome) == (state, None)
    else:
        assert home.process(happened) is step
        assert (home.state, home.outcome) == (step.next, step.outcome)


@pytest.mark.parametrize(("pair", "step"), HOME_TABLE.items(), ids=lambda value: "")
def test_what_every_step_keeps_to(pair: tuple[HomeState, HomeInput], step: HomeStep) -> None:
    state, happened = pair
    assert (HomeAction.RELEASE in step.actions) is (step.next is _S.ENDED and state is not _S.ENDED)
    assert (HomeAction.CLOSE_HOME in step.actions) is (step.next is _S.CLOSING and state is not _S.CLOSING)
    assert (HomeAction.START in step.actions) is (happened is _I.ATTACHED)
    # The outcome is decided when the end begins, and never before or again.
    over = (_S.CLOSING, _S.ENDED)
    assert (step.outcome is not None) is (step.next in over and state not in over)
    assert step.close is None or legal_close_code(step.close.code or 0)


def test_the_end_can_be_reached_from_everywhere_and_everything_from_the_start() -> None:
    steps = {(state, step.next) for (state, _), step in HOME_TABLE.items()}

    def reached(found: set[HomeState]) -> set[HomeState]:
        more = found | {after for before, after in steps if before in found}
        return found if more == found else reached(more)

    assert reached({_S.CLAIMED, _S.AWAITED}) == set(HomeState)
    assert all(_S.ENDED in reached({state}) for state in HomeState)


@pytest.mark.parametrize(
    ("begins", "inputs", "outcome"),
    [
        (_S.CLAIMED, (_I.REFUSED,), _O.REFUSED),
        (_S.CLAIMED, (_I.ATTACHED, _I.NO_PAIR, _I.CLOSED), _O.COMPLETED),
        (_S.CLAIMED, (_I.ATTACHED, _I.LOST, _I.NO_PAIR, _I.ATTACHED, _I.ATTACHED, _I.CLOSED), _O.COMPLETED),
        (_S.CLAIMED, (_I.ATTACHED, _I.LOST, _I.HOLD_EXPIRED), _O.ABANDONED),
        (_S.CLAIMED, (_I.ATTACHED, _I.LOST, _I.KILLED), _O.KILLED),
        (_S.CLAIMED, (_I.ATTACHED, _I.KILLED, _I.MOVE, _I.CLOSE_EXPIRED), _O.KILLED),
        (_S.CLAIMED, (_I.ATTACHED, _I.BROKE_RULES, _I.LOST), _O.ENDED),
        (_S.CLAIMED, (_I.ATTACHED, _I.IDLE, _I.NO_PAIR, _I.CLOSED), _O.IDLE),
        (_S.CLAIMED, (_I.ATTACHED, _I.DURATION_EXPIRED, _I.CLOSED), _O.TOO_LONG),
        (_S.CLAIMED, (_I.ATTACHED, _I.MOVE, _I.CLOSED), _O.SHUT_DOWN),
        (_S.AWAITED, (_I.REFUSED, _I.NO_PAIR), _O.LONELY),
        (_S.AWAITED, (_I.ATTACHED, _I.NO_PAIR, _I.CLAIM_LOST, _I.CLOSED), _O.ENDED),
    ],
)
def test_lives(begins: HomeState, inputs: tuple[HomeInput, ...], outcome: Outcome) -> None:
    home = HomeMachine(begins)
    for happened in inputs:
        home.process(happened)
    assert (home.state, home.outcome) == (_S.ENDED, outcome)


def test_only_an_agent_that_may_come_back_is_told_so() -> None:
    codes = {
        happened: step.close.code for (state, happened), step in HOME_TABLE.items() if step.close and state is _S.HELD
    }
    assert {happened for happened, code in codes.items() if code == COME_BACK} == {_I.MOVE, _I.CLAIM_LOST}
    assert set(codes.values()) == {1000, COME_BACK}
