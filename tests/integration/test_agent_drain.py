"""The child's output arrives whole after its end; what other processes write then does not delay `exit` for long."""

from __future__ import annotations

import hashlib

import pytest

from medusa.protocol.control import Exit
from tests.agents import Agent, Client, end, wait_until_session_is_gone
from tests.waiting import PATIENCE, Deadline


@pytest.mark.parametrize("background", ["", "sleep 1000 & "])
def test_big_output_arrives_whole(client: Client, agent: Agent, background: str) -> None:
    size = 30_000_000
    client.run(f"stty -opost; {background}head -c {size} /dev/zero | tr '\\0' x; printf end; exit 3")
    assert client.control(Deadline(3 * PATIENCE)) == Exit(status=3)
    assert len(client.output) == size + 3
    assert hashlib.sha256(client.output).digest() == hashlib.sha256(b"x" * size + b"end").digest()
    end(client, agent)


def test_output_is_whole_on_a_link_that_is_read_late(client: Client, agent: Agent) -> None:
    client.run("stty -opost; sleep 1000 & head -c 3000000 /dev/zero | tr '\\0' x")
    agent.logged("started")
    assert client.outcome() == Exit(status=0)
    assert client.output == b"x" * 3_000_000
    end(client, agent)


def test_exit_does_not_wait_for_a_background_child(client: Client, agent: Agent) -> None:
    shell = client.run("sleep 1000 & echo last words").pid
    assert client.outcome() == Exit(status=0)
    assert client.output == b"last words\r\n"
    wait_until_session_is_gone(shell)
    end(client, agent)


def test_background_child_that_writes_for_ever_is_cut_off(client: Client, agent: Agent) -> None:
    shell = client.run("(trap '' HUP; exec yes) & exit 5").pid
    assert client.outcome() == Exit(status=5)
    wait_until_session_is_gone(shell)
    end(client, agent)


def test_background_child_that_trickles_for_ever_is_cut_off(client: Client, agent: Agent) -> None:
    shell = client.run("trap '' HUP; (while echo x; do sleep 0.1; done) & read go; exit 3").pid
    client.until(b"x\r\n")
    client.type("\n")
    assert client.control() == Exit(status=3)
    assert client.output.count(b"x\r\n") < 50
    wait_until_session_is_gone(shell)
    end(client, agent)
