"""Failures of several reflectors and their directory: what is lost, what is reported, and what recovers by itself."""

from __future__ import annotations

import contextlib
import signal
from functools import partial

from tests import sites
from tests.peers import CLOSE, TEXT, Peer, close_frame, upgrade
from tests.ports import free_port
from tests.reflectors import Reflector, new_id
from tests.sites import LONG, QUICK, Site
from tests.waiting import PATIENCE, wait_until

LOST = "this reflector lost the session's id to another"


def talk(client: Peer, agent: Peer) -> None:
    """Both ways."""
    client.text("to the agent")
    agent.expect(TEXT, b"to the agent")
    agent.text("to the client")
    client.expect(TEXT, b"to the client")


def status(reflector: Reflector, session: str, role: str = "master") -> int:
    """The answer to a peer that attaches, which hangs up at once if it is accepted."""
    with reflector.open(upgrade(f"/attach/{session}/{role}")) as peer:
        answer = peer.head()
        assert (answer.status == 503) is ("retry-after" in answer.headers)
        return answer.status


def opens(reflector: Reflector) -> bool:
    """Whether new sessions can begin."""
    return status(reflector, new_id()) == 101


class TestDirectory:
    """Live sessions go on without it, and new ones begin when it is back."""

    def test_is_away_for_a_while(self, own_site: Site) -> None:
        reflector = partial(own_site.reflector, timeouts=QUICK, check=False)
        with reflector() as here, reflector() as there:
            session = new_id()
            with sites.pair(here, there, session) as (client, agent):
                own_site.redis.kill()
                for _ in range(3):
                    assert status(here, new_id()) == 503
                assert status(there, new_id(), "slave") == 503
                talk(client, agent)
                own_site.redis.start()
                wait_until(lambda: opens(here) and opens(there), "new sessions")
                wait_until(lambda: own_site.claimed(session), "the claim")
                talk(client, agent)
                assert status(there, session) == 409
                client.send(close_frame())
                agent.closed()
            assert here.ended(session)["outcome"] == "completed"
            wait_until(lambda: here.logged("directory is back"))
            assert len(here.logged("directory unavailable")) == len(here.logged("directory is back")) == 1
            assert "Traceback" not in here.raw_log + there.raw_log

    def test_is_not_there_at_the_start(self, own_site: Site) -> None:
        own_site.redis.kill()
        with own_site.reflector(timeouts=QUICK, check=False) as here:
            wait_until(lambda: here.logged("directory unavailable"))
            assert status(here, new_id()) == 503
            own_site.redis.start()
            wait_until(lambda: opens(here), "new sessions")


class TestOwner:
    def test_is_suspended_until_another_has_its_id(self, own_site: Site) -> None:
        with own_site.reflector(timeouts=QUICK) as here, own_site.reflector(timeouts=QUICK) as there:
            session = new_id()
            with contextlib.ExitStack() as stack:
                ends = stack.enter_context(sites.pair(here, here, session))
                here.signal(signal.SIGSTOP)
                try:
                    wait_until(lambda: status(there, session, "slave") == 404, "the end of the claim")
                    new = stack.enter_context(sites.pair(there, there, session))
                finally:
                    here.signal(signal.SIGCONT)
                for end in ends:
                    while (message := end.frame()).opcode != CLOSE:
                        pass
                    assert message.close == (1000, LOST)
                    end.send(close_frame())
                    end.until_fin()
                record = here.ended(session)
                assert (record["outcome"], record["reason"]) == ("ended", LOST)
                talk(*new)
                assert own_site.claimed(session), "the end of the old session has freed nothing"

    def test_is_killed(self, own_site: Site) -> None:
        with own_site.reflector(check=False) as here, own_site.reflector() as there:
            session = new_id()
            with sites.pair(here, there, session) as (client, agent):
                sites.kill(here)
                client.until_fin()
                agent.until_fin()
            assert status(there, session, "slave") == 503
            assert status(there, session) == 503
            own_site.expire(session)
            assert status(there, session) == 101

    def test_stops_while_the_directory_is_asked(self, own_site: Site) -> None:
        before, session = new_id(), new_id()
        with own_site.reflector(timeouts=LONG) as here:
            assert status(here, before) == 101
            wait_until(lambda: not own_site.claimed(before), "the release of its claim")
            with own_site.redis.writes_held(), here.open(upgrade(f"/attach/{session}/master")) as peer:
                wait_until(own_site.redis.held, "the claim")
                here.signal(signal.SIGTERM)
                wait_until(lambda: here.logged("draining"), "the end of new sessions")
                own_site.redis.ask("CLIENT", "UNPAUSE")
                assert peer.head().status == 503
            assert here.process.wait(PATIENCE) == 0
            assert not own_site.claimed(session)

    def test_lets_no_more_in_while_the_directory_is_slow(self, own_site: Site) -> None:
        with own_site.reflector("--max-sessions", "3", timeouts=LONG) as here, contextlib.ExitStack() as stack:
            with own_site.redis.writes_held():
                peers = [stack.enter_context(here.open(upgrade(f"/attach/{new_id()}/master"))) for _ in range(12)]
                wait_until(lambda: len(here.logged("request refused", status=503)) == 9, "the refusals")
            assert sorted(peer.head().status for peer in peers) == [101] * 3 + [503] * 9

    def test_is_started_again(self, own_site: Site) -> None:
        """At the same address its ids are free at once."""
        session = new_id()
        port = str(free_port())
        with own_site.reflector("--port", port, check=False) as here, own_site.reflector() as there:
            with sites.pair(here, there, session):
                sites.kill(here)
            with own_site.reflector("--port", port) as again:
                assert status(there, session) == 503
                with sites.pair(again, there, session) as (client, agent):
                    talk(client, agent)
