"""Raw peers that come back with tickets, to the same reflector, to the next one, and to one beside it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import legs, rawpeers, sites, tickets
from tests.peers import LINKUP, TEXT, Peer, close_frame
from tests.rawpeers import FramedPeer
from tests.reflectors import Reflector, new_id, running
from tests.signing import Key, allow, attach_path, signed_target
from tests.sites import Site
from tests.tickets import HoldingPeer
from tests.waiting import PATIENCE, wait_until

HOST = "127.0.0.1:21081"


class Session(NamedTuple):
    """A session that is held: its paths of the client and the agent, the client, the agent's home link."""

    client_path: str
    agent_path: str
    client: HoldingPeer
    home: HoldingPeer

    @property
    def name(self) -> str:
        """Its id."""
        return self.client_path.split("/")[2]

    @property
    def tickets(self) -> list[tuple[str, str]]:
        """The path and the ticket of each side."""
        return [(self.client_path, self.client.ticket), (self.agent_path, self.home.ticket)]


def linked(door: Reflector, session: Session) -> Peer:
    """Answers the call for the client. Returns the link of the agent, linked."""
    leg = door.enter(tickets.head(session.agent_path, medusa_leg=legs.called(session.home)))
    session.client.linked()
    leg.expect(TEXT, LINKUP)
    return leg


@contextlib.contextmanager
def held(client_door: Reflector, agent_door: Reflector | None = None) -> Iterator[Session]:
    """A session that is linked, without a login."""
    agent_door, name = agent_door or client_door, new_id()
    paths = f"/attach/{name}/master", f"/attach/{name}/slave"
    client, home = tickets.enter(client_door, paths[0], medusa_about="name=train"), tickets.enter(agent_door, paths[1])
    session = Session(*paths, client, home)
    with client, home, linked(agent_door, session):
        yield session


@contextlib.contextmanager
def back(door: Reflector, session: Session) -> Iterator[Session]:
    """Both sides come back, and are linked."""
    home = tickets.enter(door, session.agent_path, session.home.ticket)
    client = tickets.enter(door, session.client_path, session.client.ticket)
    again = session._replace(client=client, home=home)
    with home, client, linked(door, again):
        yield again


def end(session: Session) -> None:
    """The agent ends the session by its home link, the client by its own."""
    for peer in (session.client, session.home):
        peer.send(close_frame(1000, "done"))


def statuses(door: Reflector, session: Session) -> list[int]:
    """With which the tickets are refused."""
    return [tickets.status(door, path, ticket) for path, ticket in session.tickets]


def test_workers_that_were_killed_take_their_tickets_again(tmp_path: Path) -> None:
    options = ["--state-dir", str(tmp_path / "state"), "--workers", "2"]
    with running(*options, check=False) as first, held(first) as session:
        sites.kill(first)
        with running(*options) as second:
            with back(second, session) as again:
                assert len(second.sessions()) == 1
                end(again)
            assert second.ended(session.name)["session_name"] == "train", "the agent's ticket says it"
            assert statuses(second, session) == [410, 410]
            assert session.client.ticket not in first.raw_log + second.raw_log
        with running(*options[:2]) as third:
            assert statuses(third, session) == [410, 410], "what has ended is known for as long as the tickets last"


def test_a_ticket_opens_its_own_side_of_its_own_session(tmp_path: Path) -> None:
    with running() as reflector, held(reflector) as session, held(reflector) as other:
        assert statuses(reflector, session._replace(client=session.home, home=session.client)) == [403, 403]
        assert statuses(reflector, session._replace(client=other.client, home=other.home)) == [403, 403]
        end(session)
        end(other)


def kill(door: Reflector, session: Session) -> None:
    """An administrator ends the session."""
    request = f"DELETE /sessions/{session.name} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert door.ask(request.encode()).status == 200
    assert session.home.closed() == (1000, "the session was killed")


def test_a_killed_session_is_over_for_its_tickets() -> None:
    with running() as reflector:
        with held(reflector) as session:
            kill(reflector, session)
        reflector.ended(session.name)
        assert statuses(reflector, session) == [410, 410]


def test_a_key_that_was_removed_makes_tickets_void(tmp_path: Path, key: Key) -> None:
    accounts = tmp_path / "accounts"
    accounts.mkdir()
    allow(accounts, "alice", key)
    with running("--accounts", str(accounts)) as reflector:
        name = new_id()
        paths = [attach_path("alice", name, role) for role in ("master", "slave")]
        signed = [signed_target(key, "alice", path, HOST) for path in paths]
        client, home = (tickets.enter(reflector, path) for path in signed)
        session = Session(paths[0], paths[1], client, home)
        with client, home, linked(reflector, session):
            with back(reflector, session) as again:
                allow(accounts, "alice")
                assert statuses(reflector, again) == [403, 403]
            allow(accounts, "alice", key)
            with back(reflector, session) as again:
                end(again)
        assert reflector.logged("request refused", status=403)


def test_a_raw_peer_comes_back_with_a_word() -> None:
    with running("--raw-port", "0") as reflector, held(reflector) as session:
        line = f"MEDUSA/1 {session.client_path} h features=notice,hold join=1 ticket={session.client.ticket} hold=9\n"
        peer = FramedPeer(rawpeers.connect(reflector, line.encode()).sock)
        with peer:
            answer = peer.line().decode().split()
            assert [word.partition("=")[0] for word in answer] == ["OK", "ticket", "hold"]
            assert answer[2] == "hold=9"
        end(session)


class TestSite:
    @pytest.mark.parametrize("crossed", [False, True])
    def test_a_killed_reflector(self, site: Site, crossed: bool) -> None:
        with site.reflector() as one, site.reflector(check=False, timeouts=sites.QUICK) as other:
            with held(other, one if crossed else other) as session:
                sites.kill(other)
                with back(one, session) as again:
                    assert len(one.sessions()) == 1
                    end(again)
            one.ended(session.name)
            assert statuses(one, session) == [410, 410]

    def test_a_reflector_that_drains(self, site: Site) -> None:
        with site.reflector() as one, site.reflector("--drain-timeout", "60") as other, held(other) as session:
            other.signal(signal.SIGTERM)
            for peer in (session.client, session.home):
                assert peer.closed()[0] == 1012
            with back(one, session) as again:
                assert other.process.wait(PATIENCE) == 0, "it does not wait for its drain timeout"
                end(again)

    def test_a_reflector_that_only_forwards_drains(self, site: Site) -> None:
        with site.reflector() as one, site.reflector("--drain-timeout", "60") as other, held(one, other) as session:
            other.signal(signal.SIGTERM)
            session.home.lost()  # without a Close, because the session itself goes on
            again = session._replace(home=tickets.enter(one, session.agent_path, session.home.ticket))
            assert other.process.wait(PATIENCE) == 0
            end(again)
            again.home.close()

    def test_a_killed_session_is_over_at_all_reflectors(self, site: Site) -> None:
        with site.reflector() as one, site.reflector() as other:
            with held(one) as session:
                kill(other, session)
            wait_until(lambda: not site.claimed(session.name), "its end")
            assert statuses(other, session) == statuses(one, session) == [410, 410], "the mark comes before"
