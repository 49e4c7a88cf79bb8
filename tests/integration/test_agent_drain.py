"""What the child wrote arrives whole after its end; what others write then does not hold up the session."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import sys
from pathlib import Path

import pytest

from medusa.protocol.control import Exit
from tests.agents import Agent, Client, end, wait_until_session_is_gone
from tests.waiting import MS, PATIENCE, Deadline, wait_until


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


TRICKLE = "trap '' HUP; (while echo x; do sleep 0.1; done) &"


def test_background_child_that_trickles_for_ever_is_cut_off(client: Client, agent: Agent) -> None:
    shell = client.run(f"{TRICKLE} read go; exit 3").pid
    client.until(b"x\r\n")
    client.type("\n")
    assert client.control() == Exit(status=3)
    assert client.output.count(b"x\r\n") < 50
    wait_until_session_is_gone(shell)
    end(client, agent)


# Writes until neither the terminal nor the link takes more, leaves the count of bytes in a file, and ends.
FILL = """
import os, select, sys
os.set_blocking(1, False)
count = 0
while select.select([], [1], [], 0.5)[1]:
    count += os.write(1, b"y" * 1000)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(count))
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


@pytest.mark.parametrize("background", ["", TRICKLE, "(trap '' HUP; exec yes x 2>&-) &"])
def test_drain_waits_for_a_link_that_stands_still(
    client: Client, agent: Agent, tmp_path: Path, background: str
) -> None:
    count = tmp_path / "count"
    fill = shlex.join([sys.executable, "-I", "-S", "-c", FILL, str(count)])
    shell = client.run(f"stty -opost; {fill}; {background} exit 3").pid
    wait_until(count.exists, "the link to be full")
    for columns in range(1, 21):
        client.resize(columns, 25)  # makes the agent look at its clock
        with contextlib.suppress(AssertionError):  # unless the kernel finds room for the rest
            agent.logged("ended", seconds=125 * MS)
    assert client.outcome() == Exit(status=3)
    assert client.output.count(b"y") == int(count.read_text())
    wait_until_session_is_gone(shell)
    end(client, agent)
