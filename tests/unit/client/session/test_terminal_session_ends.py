"""How a terminal session ends: failures, lost links, signals, terminals that go away."""

from __future__ import annotations

import os
import select
import signal

import pytest

from medusa.client.outcome import Failure, OutcomeUnknown
from medusa.client.session.input.keyboard import HIGH_WATER
from medusa.protocol.control import Error, Started
from medusa.protocol.messages import Close
from tests.unit.client.peers import Peer
from tests.unit.client.session.stages import Stage
from tests.waiting import wait_until


def test_an_agent_that_cannot_start_is_an_error_before_the_session(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(Error("no such shell\x1b[2J"))
        assert peer.hear(Close) == Close(1000, "aborting")

    with pytest.raises(Failure, match=r"no such shell\\x1b\[2J") as caught:
        stage.run(agent)
    assert caught.value.status == 255


def test_an_agent_that_fails_later_leaves_the_outcome_unknown(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(Started(1))
        peer.say(Error("the terminal is gone"))
        assert peer.hear(Close) == Close(1000, "aborting")

    with pytest.raises(OutcomeUnknown):
        stage.run(agent)


def test_a_close_without_a_farewell_leaves_the_outcome_unknown(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        peer.say(b"last words")
        peer.say(Close(1000, "remote connection error"))

    with pytest.raises(OutcomeUnknown, match=r"\(remote connection error\); outcome unknown"):
        stage.run(agent)
    assert stage.shown() == b"last words"


def test_a_lost_link_leaves_the_outcome_unknown(stage: Stage) -> None:
    with pytest.raises(OutcomeUnknown, match="lost"):
        stage.run(lambda peer: peer.transport.abort())


def test_a_signal_ends_it_politely(stage: Stage) -> None:
    def agent(peer: Peer) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert peer.hear(Close) == Close(1000, "interrupted")

    with pytest.raises(OutcomeUnknown, match="ended by SIGTERM; outcome unknown"):
        stage.run(agent)


def test_output_that_nobody_reads_ends_it(stage: Stage) -> None:
    os.close(stage.screen)
    stage.screen = -1

    def agent(peer: Peer) -> None:
        peer.say(b"x")
        assert peer.hear(Close) == Close(1000, "output closed")

    with pytest.raises(OutcomeUnknown, match="cannot write to standard output"):
        stage.run(agent)


def test_a_terminal_that_goes_away_ends_it(at_terminal: Stage) -> None:
    stage = at_terminal

    def agent(peer: Peer) -> None:
        stage.hang_up()
        assert peer.hear(Close) == Close(1000, "disconnected by the user")

    with pytest.raises(OutcomeUnknown, match="the terminal is gone"):
        stage.run(agent)


def test_a_disconnect_is_heard_although_the_agent_reads_nothing(at_terminal: Stage) -> None:
    """As after a paste into a program that is stuck."""
    stage = at_terminal

    def agent(peer: Peer) -> None:
        for _ in range(HIGH_WATER // 512):
            stage.type(b"x" * 1023 + b"\r")
        stage.type(b"~.")
        wait_until(lambda: not select.select([stage.stdin], [], [], 0)[0], "the client to read all of it")
        peer.hear_end()

    with pytest.raises(OutcomeUnknown, match="disconnected"):
        stage.run(agent)
