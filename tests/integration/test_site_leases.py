"""One lease for each reflector keeps the names of all its sessions, and its end frees them."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from tests import reflectors, sites
from tests.peers import CLOSE, Peer, upgrade
from tests.reflectors import Reflector, new_id
from tests.sites import QUICK, Site
from tests.waiting import wait_until
from tests.wheels import earlier

LOST = "this reflector lost the session's id to another"
LEASES, ROWS = "medusa:lease:*", "medusa:session:*"


def status(reflector: Reflector, session: str, role: str = "master") -> int:
    with reflector.open(upgrade(f"/attach/{session}/{role}")) as peer:
        return peer.head().status


def lasts(site: Site, session: str) -> bool:
    """The row of the session is valid for longer than any lease: only the lease decides."""
    return int(site.redis.ask("PTTL", f"medusa:session:{session}")) > 60_000


def close_of(peer: Peer) -> object:
    while (message := peer.frame()).opcode != CLOSE:
        pass
    return message.close


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "workers"])
def test_the_names_of_a_reflector_that_was_killed_are_free_after_its_lease(
    own_site: Site, workers: tuple[str, ...]
) -> None:
    sessions = [new_id() for _ in range(3)]
    with (
        own_site.reflector(*workers, timeouts=QUICK, check=False) as here,
        own_site.reflector(timeouts=QUICK) as there,
        contextlib.ExitStack() as stack,
    ):
        for session in sessions:
            stack.enter_context(sites.pair(here, there, session))
        wait_until(lambda: all(lasts(own_site, session) for session in sessions), "rows that last")
        assert [status(there, session) for session in sessions] == [409] * 3
        sites.kill(here)
        for session in sessions:
            wait_until(lambda: status(there, session) == 101, "the end of the lease")  # noqa: B023


def test_a_reflector_that_stops_leaves_nothing(own_site: Site) -> None:
    with own_site.reflector(timeouts=QUICK, check=False) as here, here.attach(new_id(), "master"):
        wait_until(lambda: own_site.redis.ask("KEYS", LEASES))
        here.signal(signal.SIGTERM)
        wait_until(lambda: not own_site.redis.ask("KEYS", "medusa:*"), "an empty directory")


def test_a_name_that_was_lost_is_not_served_after_a_pause(own_site: Site) -> None:
    """An agent that comes at once gets the session of the new owner, not the one that waits here."""
    with own_site.reflector(timeouts=QUICK) as here, own_site.reflector(timeouts=QUICK) as there:
        session = new_id()
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(here.attach(session, "master"))
            sites.waits(here, session)
            here.signal(signal.SIGSTOP)
            try:
                wait_until(lambda: status(there, session, "slave") == 404, "the end of the lease")
                stack.enter_context(sites.pair(there, there, session))
                agent = stack.enter_context(here.open(upgrade(f"/attach/{session}/slave")))
            finally:
                here.signal(signal.SIGCONT)
            assert agent.head().status == 409
            assert close_of(client) == (1000, LOST)


def test_a_lease_that_was_deleted(own_site: Site) -> None:
    """A new one takes its place, and all names are claimed under it; the sessions notice nothing."""
    sessions = [new_id() for _ in range(3)]
    with own_site.reflector(timeouts=QUICK) as here, contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(sites.pair(here, here, session)) for session in sessions]
        rows = own_site.redis.ask("MGET", *own_site.redis.ask("KEYS", ROWS))
        for lease in own_site.redis.ask("KEYS", LEASES):
            own_site.redis.ask("DEL", lease)
        wait_until(lambda: here.logged("lease lost"))
        wait_until(
            lambda: not {*rows} & {*own_site.redis.ask("MGET", *own_site.redis.ask("KEYS", ROWS))}, "all rows anew"
        )
        wait_until(lambda: all(lasts(own_site, session) for session in sessions), "rows that last")
        for client, agent in pairs:
            client.text("x")
            agent.expect(1, b"x")
        assert not here.logged("claim lost")


def test_a_reflector_of_an_earlier_version(own_site: Site, tmp_path: Path) -> None:
    """Each forwards agents to the other's sessions, and refuses names that the other has."""
    with (
        reflectors.running(*own_site.options(), installed=earlier(tmp_path / "earlier")) as old,
        own_site.reflector(timeouts=QUICK) as new,
    ):
        for owner, other in ((old, new), (new, old)):
            session = new_id()
            with sites.pair(owner, other, session) as (client, agent):
                if owner is new:
                    wait_until(lambda: lasts(own_site, session), "a row that lasts")  # noqa: B023
                client.text("x")
                agent.expect(1, b"x")
                assert status(other, session) in (404, 409), "the earlier one knows no clients of another reflector"
