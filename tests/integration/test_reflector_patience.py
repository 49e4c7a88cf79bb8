"""Sessions that are idle, or last, for longer than they may: told in words, ended with an outcome of their own."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from tests.peers import BINARY, PONG, TEXT, WAIT, Peer, close_frame, frame
from tests.reflectors import new_id, running
from tests.terminals import MLOGIN, environment, terminal
from tests.waiting import MS, Deadline

NOTICE = b"medusa:"


def notice(peer: Peer) -> str:
    message = peer.word()
    assert message.opcode == TEXT
    assert message.payload.startswith(NOTICE)
    body = json.loads(message.payload[len(NOTICE) :])
    assert body.pop("type") == "notice"
    text = body.pop("text")
    assert body == {}
    return str(text)


def test_an_idle_session() -> None:
    session = new_id()
    with running("--idle-timeout", "4") as reflector, reflector.pair(session) as (client, agent):
        words = r"nothing has passed for [0-9]+ s; unless something does, the session ends in [0-9]+ s"
        assert re.fullmatch(words, notice(client))
        for peer in (client, agent):
            message = peer.word()
            assert message.close == (1000, "the session was idle for too long")
            peer.send(close_frame())
            peer.until_fin()
        record = reflector.ended(session)
        assert (record["outcome"], record["reason"]) == ("idle", "the session was idle for too long")
        assert record["linked_s"] > 3.9


def test_only_terminal_bytes_are_activity() -> None:
    session = new_id()
    with running("--idle-timeout", "3", "--keepalive", "1") as reflector, reflector.pair(session) as pair:
        client, agent = pair
        with agent.breathing():
            while (message := client.frame()).opcode != 8:
                client.send(frame(PONG) + frame(TEXT, b"ping") + frame(BINARY))
        assert message.close[1] == "the session was idle for too long"
        client.send(close_frame())
        agent.close()


def test_each_byte_is() -> None:
    session, enough = new_id(), Deadline(4500 * MS)
    with running("--idle-timeout", "4") as reflector, reflector.pair(session) as (client, agent):
        while not enough.passed:
            agent.send(frame(BINARY, b"."))
            client.expect(BINARY, b".")
            client.quiet(50 * MS)
        assert reflector.states() == {session: "forwarding"}


def test_a_session_that_lasts() -> None:
    session = new_id()
    with running("--max-duration", "4") as reflector, reflector.pair(session) as (client, agent):
        assert notice(client).endswith("it may not last longer than 4 s")
        assert client.word().close == (1000, "the session has reached its maximum duration")
        client.send(close_frame())
        assert agent.word().close == (1000, "the session has reached its maximum duration")
        agent.send(close_frame())
        assert reflector.ended(session)["outcome"] == "too_long"


def test_who_waits_is_not_idle() -> None:
    session = new_id()
    timeouts = {"wait_interval": 0.2}
    options = ["--idle-timeout", "0.2", "--max-duration", "0.2"]
    with running(*options, timeouts=timeouts) as reflector, reflector.attach(session, "master") as client:
        assert [client.frame() for _ in range(4)] == [(TEXT, WAIT, True)] * 4
        with reflector.attach(session, "slave"):
            client.linked()


def test_a_client_that_reads_nothing_does_not_hold_it_up() -> None:
    session = new_id()
    timeouts = {"close_timeout": 0.3}
    with running("--max-duration", "1.5", timeouts=timeouts) as reflector, reflector.pair(session) as pair:
        client, agent = pair
        with client.breathing():
            with contextlib.suppress(OSError):  # on a slow machine the end comes before all is full
                while agent.writable():
                    agent.send(frame(BINARY, bytes(1 << 16)))
            assert reflector.ended(session)["outcome"] == "too_long"


def test_what_the_user_sees(home: Path) -> None:
    with running("--idle-timeout", "6") as reflector:
        command = [*MLOGIN, "--reflector", reflector.url]
        with terminal(command, environment(home), columns=100, lines=30) as shell:
            shell.until(r"#\x1b\[0m ")
            shell.until(r"mlogin: nothing has passed for \d s; unless something does, the session ends in \d s\r\n")
            shell.until(r"mlogin: the reflector closed the session \(the session was idle for too long\)")
            shell.until("outcome unknown")
            assert shell.status() == 254
            assert shell.modes() == shell.modes_at_start
