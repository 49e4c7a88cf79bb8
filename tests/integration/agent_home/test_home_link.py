"""An agent with a home link: it is called there, dials again with its ticket, and keeps what its clients have lost."""

from __future__ import annotations

import contextlib
import signal

import pytest

from medusa.protocol.control import Call, Ticket
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.protocol.resume.offer import StreamOffer
from tests.agents import Agent, Reflector, stop, wait_until_session_is_gone
from tests.integration.agent_home.homes import Home, finish
from tests.streamclients import STREAM_ID
from tests.waiting import PATIENCE

FINAL = [
    (Close(1000, "the session was killed"), "closed: the session was killed"),
    (Close(1008, "a rule"), "closed: a rule"),
]
LOSSES = [Close(1012, "the reflector is shutting down"), Close(1000, "replaced"), Close(1001, ""), None]


def test_it_announces_itself_and_is_called(home: Home, agent: Agent) -> None:
    assert "medusa-features: call,hold\r\nmedusa-hold: 3600\r\nmedusa-incarnation: " in home.head.replace(
        f"medusa-about: {_about(home.head)}\r\n", ""
    )
    incarnation = home.head.partition("medusa-incarnation: ")[2][:32]
    client = home.stream()
    assert client.answer is not None
    assert client.answer.incarnation == incarnation
    assert client.answer.features == ("hold",)
    other = home.call()
    assert other.start().pid  # also a client that knows no streams
    assert client.run("exit 3").outcome() == {"status": 3}
    assert client.leave() == "done"
    client.link.abort()
    other.link.close()
    assert finish(home, agent)[0] == 0


def _about(head: str) -> str:
    return head.partition("medusa-about: ")[2].partition("\r\n")[0]


@pytest.mark.parametrize("close", LOSSES, ids=repr)
def test_a_lost_home_link_is_dialled_again_while_clients_go_on(home: Home, agent: Agent, close: Close | None) -> None:
    client = home.stream()
    run = client.run("cat").started()
    home.link.send_control(Ticket("renewed"))
    home.lose(close)
    home.reflector.refuse("503 busy")
    run.give(b"one\n")
    run.until(b"one\n")
    home.back()
    assert "medusa-ticket: renewed\r\n" in home.head
    assert home.head.startswith("get /attach/a-job/slave http")  # without the signature
    run.give(b"two\n")
    run.until(b"two\n")
    run.end()
    assert run.outcome() == {"status": 0}
    client.leave()
    client.link.abort()
    status, log = finish(home, agent)
    assert status == 0
    assert "status 503" in log
    assert "home link is back" in log


@pytest.mark.parametrize(("close", "words"), FINAL, ids=repr)
def test_a_final_close_ends_the_session_and_what_is_kept(home: Home, agent: Agent, close: Close, words: str) -> None:
    client = home.stream(StreamOffer(STREAM_ID, keep=60))
    pid = client.run("exec sleep 1000").pid
    client.link.abort()
    agent.logged("is kept for 60 s")
    home.lose(close)
    status, log = agent.finish()
    assert status == 0
    assert "session over: " + words in log
    wait_until_session_is_gone(pid)


@pytest.mark.parametrize(("answer", "status"), [("410 over", 410), ("403 no", 403)])
def test_a_refused_ticket_is_the_end(home: Home, agent: Agent, answer: str, status: int) -> None:
    client = home.stream()
    client.run("true").outcome()
    home.lose()
    home.reflector.refuse(answer)
    agent.logged(f"session over: .*status {status}")
    client.leave()
    client.link.abort()
    assert agent.finish()[0] == 0


def test_a_leg_that_ends_before_its_client_is_linked_was_no_client(home: Home, agent: Agent) -> None:
    home.link.send_control(Call("f" * 32))
    leg = home.reflector.accept(linked=False)
    leg.link.close(1000, "the session is over", PATIENCE)
    client = home.stream()
    assert client.run("exit 3").outcome() == {"status": 3}
    assert client.leave() == "done"
    client.link.abort()
    assert finish(home, agent)[0] == 0


def test_nobody_comes(dialled: Reflector, agent: Agent) -> None:
    link = dialled.accept("ticket", 1).link
    assert link.receive(PATIENCE) == Text('mlogin:{"type":"kept","what":"first","seconds":1}')
    assert link.receive(PATIENCE) == Close(1000, "done")
    link.abort()
    status, log = agent.finish()
    assert (status, log.splitlines()[-1].partition(": ")[2]) == (3, "session over: nobody came in 1 s")


def test_the_home_link_cannot_be_had_back(home: Home, agent: Agent) -> None:
    client = home.stream(StreamOffer(STREAM_ID, keep=60))
    pid = client.run("exec sleep 1000").pid
    home.lose()
    home.back(hold=1)
    client.link.abort()
    home.lose()
    home.reflector.close()
    status, log = agent.finish()
    assert status == 0
    assert "session over: the reflector could not be reached for 1 s" in log
    wait_until_session_is_gone(pid)


def test_a_client_that_acknowledges_nothing_has_the_home_link_checked(home: Home, agent: Agent) -> None:
    client = home.stream()
    client.run("echo unheard; exec sleep 1000")
    while home.link.link.receive(PATIENCE) != Ping():
        pass
    stop(agent)
    client.link.abort()
    assert finish(home, agent)[0] == 128 + signal.SIGTERM


def test_the_home_link_is_read_while_a_terminal_takes_no_input(home: Home, agent: Agent) -> None:
    full = home.call()
    full.run("stty -icanon -echo; echo go; exec sleep 1000")
    full.until(b"go")
    with contextlib.suppress(TimeoutError):
        while True:
            full.link.send(Binary(bytes(65536)), 0.2)
    client = home.stream()
    assert client.run("exit 3").outcome() == {"status": 3}
    client.leave()
    client.link.abort()
    stop(agent)
    full.link.abort()
    assert finish(home, agent)[0] == 128 + signal.SIGTERM
