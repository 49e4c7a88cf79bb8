"""An agent with a home link: it is called there, dials again with its ticket, and keeps what its clients have lost."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.protocol.control import Call, Start, StreamAnswer, Ticket
from medusa.protocol.messages import Binary, Close, Ping, Text
from medusa.protocol.resume.offer import StreamOffer
from tests.agents import Agent, Client, Reflector, alive, stop, wait_until_session_is_gone
from tests.streamclients import PTY, STREAM_ID, StreamClient
from tests.waiting import PATIENCE, wait_until

FINAL = [
    (Close(1000, "an administrator ended the session"), "closed: an administrator ended the session"),
    (Close(1008, "a rule"), "closed: a rule"),
]
LOSSES = [Close(1012, "the reflector is shutting down"), Close(1000, "replaced"), Close(1001, ""), None]


class Home:
    """The reflector's end of the agent's home link."""

    def __init__(self, reflector: Reflector) -> None:
        self.reflector, self.count = reflector, 0
        self.link = reflector.accept("first", 60)

    @property
    def head(self) -> str:
        """The head of the last request, in lower case."""
        return self.reflector.heads[-1].decode().lower() + "\r\n"

    def call(self) -> Client:
        """A link of one more client."""
        self.count += 1
        self.link.send_control(Call(f"{self.count:032x}"))
        client = self.reflector.accept()
        assert f"medusa-leg: {self.count:032x}\r\n" in self.head
        return client

    def stream(self, wish: StreamOffer | None = None) -> StreamClient:
        return StreamClient(self.call().link).start(None if wish is None else Start(stream=wish))

    def lose(self, close: Close | None = None) -> None:
        if close is not None:
            self.link.link.send(close, PATIENCE)
        self.link.link.abort()

    def back(self, ticket: str = "second", hold: int = 60) -> None:
        self.link = self.reflector.accept(ticket, hold)


@pytest.fixture
def home(dialled: Reflector, agent: Agent) -> Iterator[Home]:
    home = Home(dialled)
    yield home
    home.link.link.abort()


def resume(home: Home, client: StreamClient, keep: int = 60) -> StreamAnswer:
    """The stream goes on over a new link."""
    leg = home.call()
    offer = StreamOffer(STREAM_ID, resume=True, received=client.stream.received, keep=keep)
    leg.send_control(Start(stream=offer))
    answer = leg.control()
    assert isinstance(answer, StreamAnswer)
    client.link.abort()
    client.link = leg.link
    if not answer.gone:
        client.stream.link_down()
        assert client.stream.link_up(answer.received)
    return answer


def finish(home: Home, agent: Agent, reason: str = "done") -> tuple[int, str]:
    """The agent closes the home link last, and ends."""
    while isinstance(message := home.link.link.receive(PATIENCE), (Ping, Text)):
        pass
    assert message == Close(1000, reason)
    home.link.link.abort()
    return agent.finish()


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


def test_many_returns_leave_nothing_behind(home: Home, agent: Agent) -> None:
    client = home.stream()
    run = client.run("cat").started()
    fds = os.listdir(f"/proc/{agent.pid}/fd")
    used = 0
    for number in range(20):
        if number == 10:  # the first ones take memory that the C library keeps for the next
            used = _memory(agent.pid)
        home.lose()
        home.back(f"ticket{number}")
        resume(home, client)
    run.give(b"end\n")
    run.until(b"end\n")
    wait_until(lambda: len(os.listdir(f"/proc/{agent.pid}/fd")) <= len(fds))
    assert _memory(agent.pid) - used < 2048
    client.leave()
    client.link.abort()
    assert finish(home, agent)[0] == 0


def _memory(pid: int) -> int:
    """KiB that the process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(pid)


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
