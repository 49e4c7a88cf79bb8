"""What an agent keeps after the links of its clients: streams, results, and for how long."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from medusa.protocol.control import Start, StreamAnswer
from medusa.protocol.messages import Ping, Text
from medusa.protocol.resume.offer import StreamOffer
from tests.agents import Agent, alive, stop, wait_until_session_is_gone
from tests.integration.agent_home.homes import Home, finish, resume
from tests.streamclients import PTY, STREAM_ID, StreamClient
from tests.terminals import memory_of
from tests.waiting import PATIENCE, wait_until


def test_a_stream_survives_its_links(home: Home, agent: Agent, tmp_path: Path) -> None:
    client = home.stream()
    run = client.run(f"while read line; do echo $line; echo $line >> {tmp_path}/lines; done; exit 7").started()
    for number in range(20):
        run.give(b"%d\n" % number)
        if number % 3:
            run.until(b"%d\n" % number)
        answer = resume(home, client)  # every second time, the agent has not noticed that the old link is lost
        if number % 2:
            client.link.abort()
            agent.logged(f"(?s)({'.*is kept for'.join([''] * (number // 2 + 2))})")
            resume(home, client)
        assert answer.gone is None
    run.end()
    assert run.outcome() == {"status": 7}
    assert (tmp_path / "lines").read_text().split() == [str(number) for number in range(20)]
    assert client.leave() == "done"
    client.link.abort()
    assert finish(home, agent)[0] == 0


def test_a_result_that_was_not_acknowledged_is_kept(home: Home, agent: Agent, tmp_path: Path) -> None:
    client = home.stream()
    run = client.run(f"read word; echo $word; touch {tmp_path}/ended; exit 9").started()
    run.give(b"word\n")
    wait_until((tmp_path / "ended").exists)
    client.link.abort()
    agent.logged("is kept for")
    resume(home, client)
    assert run.outcome() == {"status": 9}
    assert run.output[1] == b"word\n"
    client.leave()
    client.link.abort()
    assert finish(home, agent)[0] == 0


def test_an_end_that_another_client_was_told_keeps_no_session(home: Home, agent: Agent) -> None:
    client = home.stream()
    client.run("exec sh", pty=PTY).started()
    client.link.abort()
    agent.logged("is kept for")
    other = StreamClient(home.call().link).start(Start(stream=StreamOffer("f" * 32)))
    shown = other.attach(1)
    shown.give(b"exit 7\n")
    assert shown.outcome() == {"status": 7}
    other.leave()
    other.link.abort()
    assert finish(home, agent)[0] == 0


def test_what_cannot_be_resumed(home: Home, agent: Agent) -> None:
    client = home.stream()
    run = client.run("echo $$; exec sleep 1000").started()
    pid = int(run.until(b"\n"))
    client.step(0.1)
    leg = home.call()
    leg.send_control(Start(stream=StreamOffer(STREAM_ID, resume=True, received=1 << 40)))
    answer = leg.control()
    assert isinstance(answer, StreamAnswer)
    assert answer.gone
    assert alive(pid)  # the older link goes on
    leg.link.abort()
    client.leave()
    client.link.abort()
    wait_until_session_is_gone(pid)
    assert finish(home, agent)[0] == 0


@pytest.mark.parametrize("keep", [0, 1])
def test_a_stream_is_kept_for_as_long_as_its_client_asks(home: Home, agent: Agent, keep: int) -> None:
    client = home.stream(StreamOffer(STREAM_ID, keep=keep))
    pid = client.run("trap '' HUP; sleep 1000 & exec sleep 1000").pid
    client.link.abort()
    wait_until_session_is_gone(pid)
    status, log = finish(home, agent)
    assert status == 0
    assert ("session over: nobody came back for 1 s" in log) == bool(keep)


def test_a_signal_ends_what_is_kept_and_says_so_at_home(home: Home, agent: Agent) -> None:
    client = home.stream()
    pid = client.run("exec sleep 1000").pid
    client.link.abort()
    agent.logged("is kept for")
    heard = []
    while not isinstance(message := home.link.link.receive(PATIENCE), Text) or '"what":"parked"' not in message.text:
        heard.append(message)
    assert Ping() in heard, "the home link may be dead as well"
    stop(agent)
    status, log = finish(home, agent)
    assert status == 128 + signal.SIGTERM
    assert "session over: stopped by SIGTERM" in log
    wait_until_session_is_gone(pid)


def test_many_returns_leave_nothing_behind(home: Home, agent: Agent) -> None:
    client = home.stream()
    run = client.run("cat").started()
    fds = os.listdir(f"/proc/{agent.pid}/fd")
    used = 0
    for number in range(20):
        if number == 10:  # the first ones take memory that the C library keeps for the next
            used = memory_of(agent.pid)
        home.lose()
        home.back(f"ticket{number}")
        resume(home, client)
    run.give(b"end\n")
    run.until(b"end\n")
    wait_until(lambda: len(os.listdir(f"/proc/{agent.pid}/fd")) <= len(fds))
    assert memory_of(agent.pid) - used < 2 << 20
    client.leave()
    client.link.abort()
    assert finish(home, agent)[0] == 0


def test_a_client_detaches_over_a_new_link_and_is_gone_at_once(home: Home, agent: Agent) -> None:
    """So does mlogin's guard, after `~d` without a link: what was typed arrives too."""
    client = home.stream(StreamOffer(STREAM_ID, keep=60))
    run = client.run("read x; echo got $x; read y; exit 3", pty=PTY).started()
    client.link.abort()
    other = home.stream(StreamOffer("2" * 32, keep=60))
    parked = other.open("info").started().opened["parked"]  # type: ignore[index]
    assert [0 < left <= 60 for left in parked] == [True]
    assert "; clients whose links are lost: 1, kept for" in other.attach(9).refusal().words
    client.stream.link_down()
    run.channel.write(0, b"one\n")
    run.channel.request("detach")
    resume(home, client)
    client.pump()
    client.link.close(1000, "done")
    client.link.abort()
    again = other.attach(pty=PTY)
    again.until(b"got one\r\n")
    assert other.open("info").started().opened["parked"] == []  # type: ignore[index]
    again.give(b"two\n")
    assert again.outcome() == {"status": 3}
    other.leave()
    other.link.abort()
    assert finish(home, agent)[0] == 0
