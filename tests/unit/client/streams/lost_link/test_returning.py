from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from medusa.client.streams.lost_link.backoff import Backoff
from medusa.client.streams.lost_link.job_silence import WATCH_INTERVAL
from medusa.client.streams.lost_link.redial import NOT_THERE_TIMEOUT, NoReturn, Redial
from medusa.protocol.channels.frames import REQUEST, RESULT
from medusa.protocol.channels.kinds import STDIN, STDOUT
from medusa.protocol.control import Linkup, Notice, StreamAnswer, Ticket, Wait
from medusa.protocol.messages import Close, Pong
from medusa.session import JOB_OVER
from medusa.transports.base import ClosedTransport
from medusa.transports.dial import ConnectRefused
from medusa.transports.link import LinkLost, Loss
from tests.unit.client.streams.returns import AGENT, World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_a_stream_goes_on_over_another_link_without_a_lost_or_doubled_byte(world: World) -> None:
    mine = world.conversation.open("session", command="cat")
    world.talk()
    agents = world.channel
    assert agents is not None
    mine.write(STDIN, b"a")
    world.conversation.send()
    agents.write(STDOUT, b"1")
    assert world.end.next_message(world.now)  # both are lost on their way
    world.cut()
    mine.write(STDIN, b"b")
    agents.write(STDOUT, b"2")
    assert world.conversation.parted
    offer = world.resume()
    assert (offer.received, offer.number) == (world.conversation.stream.received, 2)
    world.talk()
    world.talk()
    assert bytes(agents.readers[STDIN].read(9, 0.0)) == b"ab"
    assert bytes(mine.readers[STDOUT].read(9, 0.0)) == b"12"
    agents.result(status=7)
    world.talk()
    assert [event.value["status"] for event in world.events() if event.type == RESULT] == [7]


@pytest.mark.parametrize(
    ("lost", "returns"),
    [
        (LinkLost(Loss.BROKEN, "reset"), True),
        (LinkLost(Loss.SILENT), True),
        (LinkLost(Loss.ILLEGAL, "a reserved bit"), True),
        (LinkLost(Loss.CLOSED, "the reflector is shutting down", 1001), True),
        (LinkLost(Loss.CLOSED, "come back", 1012), True),
        (LinkLost(Loss.CLOSED, "remote connection error", 1000), True),
        (LinkLost(Loss.CLOSED, "the session was killed", 1000), False),
        (LinkLost(Loss.CLOSED, "taken over", 1000), False),
        (LinkLost(Loss.CLOSED, "too long", 1009), False),
    ],
)
def test_after_which_ends_of_a_link_the_stream_goes_on(world: World, lost: LinkLost, returns: bool) -> None:
    if returns:
        world.cut(lost)
        world.resume()
    else:
        with pytest.raises(LinkLost, match=lost.detail):
            world.cut(lost)
    assert not world.conversation.parted


@pytest.mark.parametrize(("keep", "features", "ticket"), [(0, ("hold",), "t"), (9, (), "t"), (9, ("hold",), None)])
def test_the_stream_ends_with_its_link_if_one_of_the_three_cannot_hold(
    keep: int, features: tuple[str, ...], ticket: str | None
) -> None:
    world = World(keep, features)
    world.reflector.ticket = ticket
    with pytest.raises(LinkLost, match="reset"):
        world.cut()
    assert world.keep == keep
    world.close()


def test_the_reflector_is_dialled_again_and_again_with_longer_and_longer_pauses(world: World) -> None:
    world.reflector.answers = [ConnectRefused("no", retry_after=after) for after in (0, 0, 0, 30, 0, 0, 0, 0)]
    world.cut()
    world.until_there()
    times = world.reflector.attempts
    assert [after - before for before, after in itertools.pairwise(times)] == [
        0.125, 0.25, 0.5, 31.0, 2.0, 4.0, 4.0, 4.0,
    ]  # fmt: skip


def test_the_link_may_be_lost_again_at_any_step(world: World) -> None:
    world.cut()
    world.until_there()
    world.reflector.far.abort()
    world.until_there()
    world.say(Wait(), Linkup())
    world.round()
    world.hear_start()
    world.bye(1012, "come back")
    assert world.conversation.parted
    world.until_there()
    world.say(Linkup())
    world.round()
    world.wait(60)  # a link with a dead other half, and then a reflector that is silent
    assert len(world.reflector.attempts) >= 4
    world.resume()


def test_another_agent_of_the_session_may_answer_first(world: World) -> None:
    world.cut()
    world.until_there()
    world.say(Linkup())
    world.round()
    world.hear_start()
    world.say(StreamAnswer(world.id, 0, "b" * 32, gone=True))
    world.round()
    assert world.conversation.parted
    world.resume()


def test_an_agent_that_has_given_the_stream_up(world: World) -> None:
    world.cut()
    world.until_there()
    world.say(Linkup())
    world.round()
    world.say(StreamAnswer(world.id, 0, AGENT, gone=True))
    with pytest.raises(NoReturn, match="given the session up"):
        world.round()


@pytest.mark.parametrize(
    ("refusals", "words"),
    [
        ([(410, "over")], "has ended"),
        ([(403, "a bad ticket"), (403, "no account")], "back into the session .no account"),
    ],
)
def test_a_refusal_for_good(world: World, refusals: list[tuple[int, str]], words: str) -> None:
    world.reflector.answers = [ConnectRefused(why, status) for status, why in refusals]
    world.cut()
    with pytest.raises(NoReturn, match=words):
        world.wait(1)
    assert not world.conversation.parted


def test_a_refused_ticket_is_replaced_by_a_signature(world: World) -> None:
    world.reflector.answers = [ConnectRefused("expired", 403)]
    world.cut()
    world.resume()
    assert world.conversation.lasting
    world.say(Ticket("second"))
    world.round()
    assert world.reflector.ticket == "second"


def test_a_session_that_the_reflector_does_not_know_for_a_while(world: World) -> None:
    world.reflector.answers = [ConnectRefused("no such session", 404) for _ in range(99)]
    world.cut()
    world.wait(NOT_THERE_TIMEOUT - 10)
    with pytest.raises(NoReturn, match="does not know the session"):
        world.wait(30)


def test_the_time_of_keep() -> None:
    world = World(keep=100)
    world.reflector.answers = [ConnectRefused("down") for _ in range(99)]
    world.cut()
    world.wait(99)
    with pytest.raises(NoReturn, match="100 s, the time of --keep"):
        world.wait(2)
    world.close()


@pytest.mark.parametrize("there", [False, True], ids=["no reflector", "no agent"])
def test_a_job_that_has_ended_does_not_come_back(world: World, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medusa.client.streams.lost_link.way_back.CLOSE_TIMEOUT", 0.01)
    world.reflector.answers = [] if there else [ConnectRefused("down") for _ in range(99)]
    world.cut()
    world.wait(10)
    assert world.conversation.parted
    world.over = True
    with pytest.raises(LinkLost, match="reset"):
        world.wait(WATCH_INTERVAL)
    assert not world.conversation.parted
    assert world.returning.job_over, "the reflector has not answered"
    if there:
        with pytest.raises(ClosedTransport) as told:
            world.hear()
        assert told.value.close == Close(JOB_OVER, "the job is over")


def test_an_agent_that_answers_at_once_is_not_given_up(world: World) -> None:
    world.over = True
    world.cut()
    world.resume()
    world.wait(10)
    assert not world.conversation.parted


def test_a_machine_that_wakes_dials_at_once(world: World) -> None:
    world.asleep = 3000.0
    world.wait(0.5)
    assert world.conversation.parted
    assert world.reflector.attempts == [0.0]
    assert world.told() == []
    world.resume()
    world.wait(10)
    world.reflector.answers = [ConnectRefused("no net yet", retry_after=1000)]
    world.cut()
    world.wait(10)
    world.asleep = 4000.0
    world.wait(5)
    assert world.reflector.attempts[-1] <= world.now


def test_what_the_user_is_told(world: World) -> None:
    world.cut()
    world.resume()
    assert world.told() == []
    world.reflector.answers = [ConnectRefused("connection refused") for _ in range(99)]
    world.cut()
    world.wait(100)
    world.reflector.answers = []
    world.resume()
    world.say(Notice("a notice"))
    *waits, back = world.told()
    assert waits == [
        "mlogin: reconnecting ... 0:05 (~. ends it; connection refused)",
        "mlogin: reconnecting ... 0:30 (~. ends it; connection refused)",
        "mlogin: reconnecting ... 1:00 (~. ends it; connection refused)",
    ]
    assert back.startswith("mlogin: reconnected after 1")


def test_the_reason_of_an_attempt_is_forgotten_after_one_that_succeeds(world: World) -> None:
    redial = Redial(world.reflector, Backoff(lambda: 0.0), lambda: world.now)
    world.reflector.answers, reasons = [ConnectRefused("connection refused")], []
    redial.begin()
    while (link := redial.step({})) is None:
        world.now = max(world.now, redial.deadline())
        reasons.append(redial.reason)
    link.abort()
    assert ("connection refused" in reasons, redial.reason) == (True, "")


def test_a_drain_costs_one_line_at_most(world: World) -> None:
    world.reflector.answers = [ConnectRefused("starting", 503) for _ in range(5)]
    world.cut(LinkLost(Loss.CLOSED, "the reflector stops", 1012))
    world.resume()
    assert world.told() == ["mlogin: reconnected after 4 s"]


def test_only_the_job_is_silent(world: World) -> None:
    mine = world.conversation.open("session", command="cat")
    world.talk()
    mine.write(STDIN, b"a")
    world.wait(3)
    world.say(Pong())
    world.wait(4)
    assert world.told() == ["mlogin: no word from the job for 6 s; the reflector answers"]
    world.talk()
    world.now += 1
    world.talk()
    assert world.told() == ["mlogin: the job answers again after 8 s"]


def test_a_silent_reflector_is_not_said_to_answer(world: World) -> None:
    mine = world.conversation.open("session", command="cat")
    world.talk()
    mine.write(STDIN, b"a")
    world.wait(7)
    assert world.told() == []
    world.say(Pong())
    world.round()
    assert world.told() == ["mlogin: no word from the job for 7 s; the reflector answers"]


def test_an_end_without_a_link_leaves_a_farewell(world: World) -> None:
    world.cut()
    assert not world.conversation.close("disconnected by the user", reason=None, timeout=0.0)  # type: ignore[arg-type]
    world.returning.close()
    assert world.returning.unsaid is not None
    assert world.returning.unsaid.offer.id == world.id
    assert not world.conversation.parted


def test_what_was_not_sent_is_left_to_the_guard(world: World) -> None:
    mine = world.conversation.open("session", command="cat")
    world.talk()
    mine.write(STDIN, b"lost")
    world.round()
    world.cut()
    mine.write(STDIN, b" and late")
    mine.request("detach")
    world.conversation.part()
    unsaid = world.returning.unsaid
    assert unsaid is not None
    assert unsaid.offer.id == world.id
    assert world.end.link_up(unsaid.offer.received)
    events = [event for message in unsaid.messages for event in world.end.receive(message, world.now)]
    assert [event.value for event in events if event.type == REQUEST] == [{"type": "detach"}]
    assert world.channel is not None
    assert world.channel.readers[STDIN].read(100, world.now) == b"lost and late"


def test_links_over_which_nothing_arrives_are_not_replaced_many_times_a_second(world: World) -> None:
    for pause in (0.0, 0.125, 0.25, 0.5, 0.5):
        lost_at = world.now
        world.cut()
        world.resume()
        assert world.reflector.attempts[-1] == lost_at + pause


def test_a_silent_job_that_is_over_is_not_waited_for(world: World) -> None:
    mine = world.conversation.open("session", command="cat")
    world.talk()
    world.over = True
    mine.write(STDIN, b"a")
    world.wait(3)
    world.say(Pong())
    world.wait(4)
    assert not world.conversation.parted
    world.wait(2)
    assert world.conversation.parted
    assert world.returning.active
