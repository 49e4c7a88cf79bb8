"""Sessions that an agent holds, through every kind of door: a real reflector, and raw peers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import legs
from tests.homes import home, leg, shown
from tests.links import CERTIFICATE, client_context
from tests.peers import BINARY, CLOSE, Peer, upgrade
from tests.reflectors import Reflector, new_id, running
from tests.sites import Site
from tests.waiting import PATIENCE, wait_until

TLS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE))


class Doors(NamedTuple):
    """Where the agent and the client enter, and which kind of link the agent makes."""

    agent: Reflector
    client: Reflector
    kind: str = "websocket"


@contextlib.contextmanager
def doors(way: str, site: Site) -> Iterator[Doors]:
    with contextlib.ExitStack() as stack:
        if way == "site":
            yield Doors(stack.enter_context(site.reflector()), stack.enter_context(site.reflector()))
            return
        options = {"tls": TLS, "workers": ("--workers", "2"), "raw": ("--raw-port", "0")}.get(way, ())
        reflector = stack.enter_context(running(*options))
        reflector.tls = client_context() if way == "tls" else None
        yield Doors(reflector, reflector, "framed" if way == "raw" else "websocket")


def close_of(peer: Peer) -> tuple[int, str]:
    """The Close that comes after texts."""
    while (message := peer.word()).opcode != CLOSE:
        pass
    return message.close


@pytest.mark.parametrize("way", ["http", "raw", "tls", "workers", "site"])
def test_a_session_from_its_first_agent_to_its_last(way: str, site: Site) -> None:
    """The agent comes first, is called for a client, is lost and comes back, and ends the session."""
    session = new_id()
    with doors(way, site) as (first, second, kind):
        agent = home(first, session, kind)
        assert shown(second, session)["state"] == "held"
        assert first.states()[session] == "master_wait"
        with agent.peer as link:
            with second.attach(session, "master") as client, leg(second, session, link, kind) as answer:
                client.linked()
                answer.control(BINARY, b"from the job")
                client.expect(BINARY, b"from the job")
                assert (shown(first, session)["state"], shown(first, session)["clients"]) == ("linked", 1)
                assert legs.refused(second, upgrade(f"/attach/{session}/master"))[0] == 409
            wait_until(lambda: shown(first, session)["state"] == "held")
        wait_until(lambda: shown(second, session)["state"] == "absent")
        assert shown(second, session)["held_until"]
        with home(second, session, kind, agent.ticket).peer as link:
            wait_until(lambda: shown(first, session)["state"] == "held")
            link.control(CLOSE, b"\x03\xe8done")
            wait_until(lambda: not shown(first, session))
        said = {"medusa_features": "call,hold", "medusa_ticket": agent.ticket}
        assert first.ask(upgrade(f"/attach/{session}/slave", **said)).status == 410


def test_a_drain_takes_as_long_as_moving_takes(tmp_path: Path) -> None:
    """All sides that hold are sent away at once; the others may go on."""
    session = new_id()
    with running("--drain-timeout", "600", "--state-dir", str(tmp_path / "state")) as reflector:
        link = home(reflector, session).peer
        holding = upgrade(f"/attach/{session}/master", medusa_features="notice,hold")
        with link, reflector.enter(holding) as client, leg(reflector, session, link) as answer:
            client.linked()
            reflector.signal(signal.SIGTERM)
            assert [close_of(peer)[0] for peer in (link, client, answer)] == [1012] * 3
        assert reflector.process.wait(PATIENCE) == 0
        assert reflector.ended(session)["outcome"] == "shut_down"
