"""What a round of the loop serves: all parts, or only the terminals and the links."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agent.process.commands import Commands
from agent.process.context import Context
from agent.session.loop import SessionLoop
from agent.terminals.registry import Terminals
from medusa.protocol.channels.channel import State
from medusa.protocol.channels.kinds import Role
from medusa.protocol.control import Start, StreamAnswer
from medusa.protocol.messages import Binary
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.streams.end import StreamEnd
from tests.streamclients import PTY, STREAM_ID
from tests.unit.agent.session.stage import TIMEOUTS, Script, Stage
from tests.waiting import Clock


def test_a_round_in_which_only_input_and_output_move_leaves_out_all_other_parts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[float] = []  # when the events and the deadlines of all parts were asked for
    prepare = SessionLoop._prepare

    def prepared(loop: SessionLoop) -> None:
        whole.append(stage.clock.now)
        prepare(loop)

    monkeypatch.setattr(SessionLoop, "_prepare", prepared)
    client = StreamEnd(Role.CLIENT)
    client.link_up(0)
    channel = client.channels.open("session", command="stty raw; exec cat", pty=PTY)
    found: list[bytes] = []

    def exchange() -> None:
        for message in [each for each in stage.received if isinstance(each, Binary)]:
            stage.received.remove(message)
            client.receive(message.data, stage.clock.now)
        found.append(channel.readers[1].read(1000, stage.clock.now) if 1 in channel.readers else b"")
        while (pieces := client.next_message(stage.clock.now)) is not None:
            stage.tell(b"".join(pieces))

    def script(stage: Stage) -> Script:
        stage.tell(Start(stream=StreamOffer(STREAM_ID)))
        yield from stage.until(StreamAnswer)
        exchange()
        while channel.state is not State.OPEN:
            yield
            exchange()
        yield
        begun, rounds = len(whole), 0
        for key in (b"a", b"b", b"c", b"d"):
            channel.write(0, key)
            while key * 2 not in b"".join(found):  # cat repeats what the terminal has echoed
                exchange()
                rounds += 1
                yield
        assert rounds > len(whole) - begun
        assert all(later - earlier >= TIMEOUTS.doubt_timeout for earlier, later in pairwise(whole[begun - 1 :]))
        stage.clock.now += TIMEOUTS.doubt_timeout
        begun = len(whole)
        channel.write(0, b"e")
        while len(whole) == begun:  # the other parts do not wait for longer
            exchange()
            yield
        channel.request("signal", name="KILL")
        while not channel.has_result:
            exchange()
            yield
        client.go_away()
        exchange()

    stage.run(script)
    stage.check_nothing_is_left()


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (Commands, "deadline", lambda self, now: 0.0),  # processes are being ended
        (SessionLoop, "_dials", True),
        (Terminals, "calm", False),  # a command has ended
    ],
)
def test_what_else_is_to_be_done_makes_a_round_a_whole_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, value: object
) -> None:
    context = Context(stage.signals, stage.guard, {}, stage.log.append, TIMEOUTS, stage.clock)
    loop = SessionLoop(stage.near, context, poller=stage)
    assert not loop._calm  # nothing was served yet
    loop._shared.calm = True
    assert loop._calm
    with monkeypatch.context() as changed:
        changed.setattr(owner, name, value)
        assert not loop._calm
    loop._legs.clear()
    assert not loop._calm  # without clients, the session may be over


def test_what_is_to_be_done_at_once_is_not_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []
    wait = Stage.wait

    def waited(stage: Stage, timeout: float | None) -> dict[int, int]:
        waits.append(timeout)
        return wait(stage, timeout)

    class Ticking(Clock):
        """A clock that no two calls find at the same time, as the real one."""

        def __call__(self) -> float:
            self.now += 1e-5
            return self.now

    def script(stage: Stage) -> Script:
        stage.far.close()
        yield

    monkeypatch.setattr(Stage, "wait", waited)
    stage.clock = Ticking()
    stage.run(script)
    assert waits[0] == 0.0  # bytes may have come with the link: that is not known yet
