"""Two reflectors of one address, and an address that others cannot use: the second does not start, and says why."""

from __future__ import annotations

import contextlib
import signal
import subprocess

from tests import reflectors, sites
from tests.peers import upgrade
from tests.reflectors import Reflector, new_id
from tests.sites import QUICK, Site
from tests.waiting import PATIENCE, wait_until

SHARED = "node.example:8381"


def complaint(site: Site, *arguments: str) -> str:
    """What a reflector says that does not start."""
    command = reflectors.command([*reflectors.DEFAULTS, *site.options(), *arguments])
    done = subprocess.run(command, cwd=reflectors.ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_second_reflector_of_an_address(own_site: Site) -> None:
    """It starts if the first one, with all its workers, has been killed, or has stopped."""
    with own_site.reflector("--advertise", SHARED, "--workers", "2", check=False) as here, here.pair():
        said = complaint(own_site, "--advertise", SHARED)
        assert f"process {here.process.pid} on host " in said
        assert f"has the address http://{SHARED}" in said
        sites.kill(here)
        with own_site.reflector("--advertise", SHARED):
            pass
        assert own_site.redis.ask("KEYS", "medusa:reflector:*") == []


def status(reflector: Reflector) -> int:
    with reflector.open(upgrade(f"/attach/{new_id()}/master")) as peer:
        return peer.head().status


def test_an_address_that_another_has_meanwhile(own_site: Site) -> None:
    """Live sessions go on, and new ones begin when the other has gone."""
    with own_site.reflector("--advertise", SHARED, timeouts=QUICK, check=False) as here, here.pair() as (client, agent):
        with contextlib.ExitStack() as stack:
            here.signal(signal.SIGSTOP)
            try:
                wait_until(lambda: not own_site.redis.ask("KEYS", "medusa:reflector:*"), "the end of its lease")
                there = stack.enter_context(own_site.reflector("--advertise", SHARED))
            finally:
                here.signal(signal.SIGCONT)
            wait_until(lambda: here.logged("address lost"))
            assert (status(here), here.get("/readyz").status) == (503, 503)
            assert (status(there), there.get("/readyz").status) == (101, 200)
            client.text("x")
            agent.expect(1, b"x")
        wait_until(lambda: here.logged("address regained"))
        assert status(here) == 101


def test_a_loopback_address_with_a_directory_elsewhere(own_site: Site) -> None:
    said = complaint(own_site, "--directory", "redis://:secret@192.0.2.1", "--advertise", "localhost")
    assert "is a loopback address, but the directory is on another host, 192.0.2.1" in said
    assert "secret" not in said
