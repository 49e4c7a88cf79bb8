"""Terminals of an agent that has a home link: they keep it alive; the test is reflector and clients."""

from __future__ import annotations

from pathlib import Path

from medusa.protocol.resume.offer import StreamOffer
from tests.agents import Agent, wait_until_session_is_gone
from tests.integration.agent_home.homes import Home, finish, resume
from tests.streamclients import PTY, StreamClient
from tests.waiting import wait_until

OTHER = StreamOffer("cd" * 16)


def leave(client: StreamClient) -> None:
    assert client.leave() == "done"
    client.link.abort()


def test_a_detached_terminal_keeps_the_session(home: Home, agent: Agent) -> None:
    client = home.stream()
    run = client.run("read x; exit 4", pty=PTY).started()
    run.detach()
    leave(client)
    other = home.stream(OTHER)
    again = other.attach(pty=PTY)
    again.give(b"x\n")
    assert again.outcome() == {"status": 4}
    leave(other)
    assert finish(home, agent)[0] == 0


def test_the_end_that_nobody_saw_keeps_the_session(home: Home, agent: Agent) -> None:
    client = home.stream()
    run = client.run("read x; exit 5", pty=PTY).started()
    pid = run.pid
    run.channel.write(0, b"x\n")  # is sent together with the request to detach: the command ends after that
    run.detach()
    leave(client)
    wait_until_session_is_gone(pid)
    other = home.stream(OTHER)
    assert other.attach(pty=PTY).outcome() == {"status": 5}
    leave(other)
    assert finish(home, agent)[0] == 0


def test_a_terminal_goes_on_over_another_link(home: Home, agent: Agent, tmp_path: Path) -> None:
    client = home.stream()
    run = client.run(f"read x; seq 20000; touch {tmp_path}/done; read x; exit 7", pty=PTY).started()
    run.give(b"x\n")
    run.until(b"100\r\n")
    for _ in range(3):
        client.link.abort()
        resume(home, client)
        client.step(5)
    run.until(b"".join(b"%d\r\n" % number for number in range(19000, 20001)))
    wait_until((tmp_path / "done").exists, "the output")
    run.give(b"x\n")
    assert run.outcome() == {"status": 7}  # and all that came before is there, once
    leave(client)
    assert finish(home, agent)[0] == 0
