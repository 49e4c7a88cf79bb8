"""Shows how the directory in Redis behaves with very many sessions: `python -m bench.scale --rows 1000000`.

Fills a Redis of its own with rows of simulated reflectors, whose leases and checks are those of real ones, and measures
memory, commands at rest, a reflector that fails, one that loses its lease, and the list. Prints a table, as Markdown.
"""

from __future__ import annotations

# ruff: noqa: E402 - first of all
from gevent import monkey

monkey.patch_all()

import argparse
import gc
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import redis
import structlog

from bench.processes import reserved_ports, serving
from bench.scale_list import Answerer, measure_list
from bench.site import redis_command
from medusa.directory import Claim
from medusa.directory.redis import RedisDirectory
from medusa.directory.tokens import new_token
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.names import Claims

SECRET = b"of a site that is simulated"
BATCH = 5000
LOGIN_EVERY = 100
"""So many sessions have the same login."""


class SimulatedReflector:
    """The claims of a reflector process with many sessions, which it checks as a real one does."""

    def __init__(self, url: str, number: int, timeouts: Timeouts) -> None:
        self.directory = RedisDirectory(url, timeouts.directory_timeout, 16, SECRET)
        self.answerer = Answerer(SECRET, self.directory, lambda: self.claims._claims)
        self.owner = self.answerer.owner
        self.directory.leases().claim(self.owner.address, self.owner, 24 * 3600.0)
        self.claims = Claims(self.directory, self.owner, timeouts)
        self.lease = self.claims._requests.lease
        self.lease.keep()
        self._number = number
        self._ttl = timeouts.leased_claim_ttl

    def names(self, count: int) -> Iterator[SessionName]:
        """Yields the names of `count` sessions: ids such as mlogin makes, and logins."""
        for at in range(count):
            yield SessionName(secrets.token_hex(16), "user%d-%d" % (self._number, at // LOGIN_EVERY))

    def fill(self, client: Any, count: int) -> None:
        """Writes the rows of `count` sessions, as they are after their first check."""
        pipeline, renewal = client.pipeline(transaction=False), self.claims._renewal
        for name in self.names(count):
            claim = Claim(str(name), self.owner, new_token(time.time(), self.lease.id))
            pipeline.set(self.directory._key(str(name)), self.directory._entry(claim), px=int(1000 * self._ttl))
            renewal.claims[name] = claim
            if len(pipeline) >= BATCH:
                pipeline.execute()
        pipeline.execute()


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints the table. Raises Unavailable if there is no redis-server."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="sessions in all (%(default)s)")
    parser.add_argument("--reflectors", type=int, default=100, metavar="N", help="processes (%(default)s)")
    parser.add_argument(
        "--rest", type=float, default=20.0, metavar="S", help="seconds of rest to measure: n * 20 (%(default)s)"
    )
    options = parser.parse_args(arguments)
    structlog.configure(processors=[_drop])
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        [port] = stack.enter_context(reserved_ports(1))
        stack.enter_context(serving("redis-server", redis_command(scratch, port), None, port))
        secret = scratch / "secret"
        secret.touch(mode=0o600)
        secret.write_bytes(SECRET)
        print("| What | Figure |\n|---|---|")
        for what, figure in measure(port, options.rows, options.reflectors, options.rest, secret):
            print("| %s | %s |" % (what, figure), flush=True)


def measure(port: int, rows: int, reflectors: int, rest: float, secret: Path) -> Iterator[tuple[str, str]]:
    """Yields what was measured, and the figure.

    Args:
        port: the port of an empty Redis on loopback.
        rows: the number of sessions.
        reflectors: the number of processes that share them.
        rest: seconds to measure at rest.
        secret: a file with SECRET.
    """
    url, timeouts, each = "redis://127.0.0.1:%d" % port, Timeouts(directory_timeout=20.0), rows // reflectors
    client = redis.Redis(port=port, socket_timeout=60)
    before = client.info("memory")["used_memory"]
    site = [SimulatedReflector(url, number, timeouts) for number in range(reflectors)]
    keeping = gevent.spawn(_keep_leases, site)
    for reflector in site:
        reflector.fill(client, each)
    gc.freeze()  # no single process has so many objects, and looks at them again and again
    memory = client.info("memory")["used_memory"] - before
    yield "sessions; reflector processes", "%d; %d" % (rows, reflectors)
    yield "memory of Redis", "%.0f MiB, %.0f bytes a session" % (memory / 2**20, memory / rows)
    keeping.kill()
    yield from _rest(client, site, rest)
    keeping = gevent.spawn(_keep_leases, site)
    for reflector in site:
        reflector.answerer.prepare()
    yield from measure_list(url, secret)
    first, second, last, some = site[0], site[1], site[-1], min(2000, each)
    yield "a claim on a free name", _us(_claims(second, list(second.names(some))))
    left = list(first.claims._claims)
    first.claims._requests.lease.end()  # as when its 60 s are over
    yield "a name of a reflector that has failed: look-up", _us(_lookups(second, left[:some]))
    yield "the same: claim at another reflector", _us(_claims(second, left[:some]))
    begun = time.monotonic()
    gevent.joinall([gevent.spawn(_claims, other, left[some + at :: 10]) for at, other in enumerate(site[1:11])])
    yield (
        "all of its names: claimed by ten others, at the same time",
        "%d in %.1f s" % (len(left) - some, _since(begun)),
    )
    keeping.kill()
    client.delete(last.directory._lease(last.lease.id))
    begun = time.monotonic()
    last.claims._renewal._keep_leases()
    last.claims._renewal._check_all()
    last.claims._renewal._check_all()
    yield "a lease that was lost: all %d sessions claimed again, and checked" % each, "%.1f s" % _since(begun)


def _rest(client: Any, site: list[SimulatedReflector], seconds: float) -> Iterator[tuple[str, str]]:
    """Lets the reflectors keep their claims for some time after their start."""
    for reflector in site:
        reflector.claims._renewal._known = (reflector.lease.id, reflector.lease.touches)
    loops = [gevent.spawn(_keep_forever, reflector) for reflector in site]
    gevent.sleep(seconds)  # the first claims are checked after a period
    before, begun = _spent(client), time.monotonic()
    gevent.sleep(seconds)
    after, took = _spent(client), _since(begun)
    gevent.killall(loops)
    yield "commands a second at rest", "%.0f" % ((after[0] - before[0]) / took)
    yield "Redis's processor at rest", "%.2f %%" % (100 * (after[1] - before[1]) / took)
    rows = sum(len(reflector.claims._claims) for reflector in site)
    yield "the same with one renewal for each session every 20 s", "%.0f commands a second" % (rows / 20)


def _keep_leases(site: list[SimulatedReflector]) -> None:
    while True:
        gevent.sleep(5)
        for reflector in site:
            reflector.lease.keep()


def _keep_forever(reflector: SimulatedReflector) -> None:
    gevent.sleep(secrets.randbelow(1000) / 500)  # they were not started at the same time
    while True:
        reflector.claims._renewal._wait_for_trouble()


def _spent(client: Any) -> tuple[int, float]:
    """Returns the number of commands from clients so far, and the processor time of Redis."""
    stats, processor = client.info("commandstats"), client.info("cpu")
    inner = ("cmdstat_getrange", "cmdstat_pexpire", "cmdstat_info")  # those that scripts run
    calls = sum(entry["calls"] for name, entry in stats.items() if name not in inner)
    return calls, processor["used_cpu_user"] + processor["used_cpu_sys"]


def _claims(reflector: SimulatedReflector, names: list[SessionName]) -> float:
    if not names:
        return 0.0
    begun = time.monotonic()
    for name in names:
        reflector.claims.take(name)
    return _since(begun) / len(names)


def _lookups(reflector: SimulatedReflector, names: list[SessionName]) -> float:
    begun = time.monotonic()
    for name in names:
        assert reflector.claims.elsewhere(name) is None
    return _since(begun) / len(names)


def _since(begun: float) -> float:
    return time.monotonic() - begun


def _us(seconds: float) -> str:
    return "%.0f us" % (1e6 * seconds)


def _drop(*_: object) -> Any:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
