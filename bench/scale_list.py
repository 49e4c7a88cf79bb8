"""Measures `medusa sessions list` at a site of simulated reflectors, each with many sessions: for bench.scale."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import gevent.subprocess
from gevent.server import StreamServer

from bench.processes import serving
from medusa.directory import Owner
from medusa.directory.redis import RedisDirectory
from medusa.protocol.http.head import HeadReader, parse_request
from medusa.reflector.admin.lists.cursor import asked
from medusa.reflector.admin.lists.list_answer import list_json
from medusa.reflector.admin.lists.pages import Entry
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.cluster.peer_auth import QUESTION_HEADER, PeerAuth
from medusa.reflector.net.http_response import build_fields, build_head, status_line
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.registry import Registry

LINKED: Entry = {
    "state": "linked",
    "created": 1790000000.123,
    "age_s": 4711.123,
    "idle_s": 12.345,
    "legs": 1,
    "clients": 1,
    "held_until": None,
    "held_for": None,
    "name": "train",
    "host": "gpu0042.example.com",
    "job": "slurm 47110815",
    "until": 1790086400,
    "client": "198.51.100.17:50123",
    "agent": "203.0.113.205:41234",
    "client_messages": 1234,
    "client_bytes": 12345,
    "agent_messages": 12345,
    "agent_bytes": 1234567,
    "typed_bytes": 4321,
    "shown_bytes": 1234321,
}
"""What a list tells of a usual session, besides its name and owner."""


class Named(NamedTuple):
    """Stands for a session of which only the name is real."""

    name: SessionName


class Sessions:
    """Stands for a registry: the sessions with these names. `held` is the registry's, too: no agent waits."""

    def __init__(self, names: Callable[[], Iterable[SessionName]]) -> None:
        self._names = names
        self.held = self

    def all(self, login: str | None = None) -> list[Any]:
        """Returns nothing."""
        return []

    def sessions(self) -> list[Named]:
        """Returns all sessions."""
        return list(map(Named, self._names()))

    def get(self, name: SessionName) -> Named:
        """Returns the session `name`, which exists."""
        return Named(name)


class SimulatedList(SessionList):
    """The list of a simulated reflector."""

    _sorted: list[tuple[str, SessionName]] | None = None

    def _sorted_names(self, *, fresh: bool) -> list[tuple[str, SessionName]]:
        # All simulated reflectors share one process, which has no time to sort all names again and again.
        self._names_until = time.monotonic() + 3600
        self._sorted = self._sorted or super()._sorted_names(fresh=False)
        return self._sorted

    def _describe(self, each: Any) -> Entry:
        return {"id": each.name.session_id, "login": each.name.login or None, "owner": self._owner, **LINKED}


class Answerer:
    """Answers the questions of other reflectors for a simulated one, with the real list, checks and marks.

    Attributes:
        owner: the address at which it listens.
    """

    def __init__(self, secret: bytes, directory: RedisDirectory, names: Callable[[], Iterable[SessionName]]) -> None:
        self._auth, self._directory = PeerAuth(secret), directory
        self._server = StreamServer(("127.0.0.1", 0), self._answer)
        self._server.start()
        self.owner = Owner("http://127.0.0.1:%d" % cast("int", self._server.server_port))
        self._list = SimulatedList(cast("Registry", Sessions(names)), self.owner.address)

    def prepare(self) -> None:
        """Sorts the names."""
        self._list._sorted_names(fresh=True)

    def _answer(self, sock: Any, _: object) -> None:
        reader, found = HeadReader(), None
        while found is None:
            found = reader.feed(sock.recv(1 << 16))
        request = parse_request(found[0])
        value = request.headers.get(QUESTION_HEADER.lower()) or ""
        nonce = self._auth.check_question(value, "GET", request.target, self.owner.address)
        assert self._directory.spend("question " + nonce, 120.0)
        query, _cursor, _pages = asked(request)
        entries, upto = self._list.here(query)
        answer = list_json(entries, {} if upto is None else {"upto": upto})
        with contextlib.suppress(OSError):
            sock.sendall(build_head(status_line(200), build_fields(answer, time.time())) + answer[2])


def measure_list(url: str, secret: Path) -> Iterator[tuple[str, str]]:
    """Asks a real reflector at the Redis `url` for the list of all sessions. Yields what was measured, and the figure.

    `secret`: the file of the site's secret.
    """
    options = ["--port", "0", "--directory", url, "--site-secret-file", str(secret)]
    with serving("medusa", [sys.executable, "-m", "medusa", "reflector", *options], None, None) as (pid, line):
        reflector, before = line.split()[1], _peak(pid)
        yield "the first page of the list, 5,000 sessions", "%.2f s" % _first_page(reflector)
        begun, worked = time.monotonic(), _processor(pid)
        command = [sys.executable, "-m", "medusa", "sessions", "list", "--json", "--reflector", reflector]
        read, write = os.pipe()
        counter = gevent.subprocess.Popen(["grep", "-c", '"id"'], stdin=read, stdout=subprocess.PIPE)
        listing = gevent.subprocess.Popen(command, stdout=write)
        os.close(read)
        os.close(write)
        peak, processor = 0, 0.0
        while listing.poll() is None:
            peak, processor = max(peak, _peak(listing.pid)), max(processor, _processor(listing.pid))
            gevent.sleep(0.2)
        count = int(counter.communicate()[0])
        assert listing.returncode == 0
        yield "medusa sessions list --json", "%d sessions in %.0f s" % (count, time.monotonic() - begun)
        yield "its memory at most", "%d MiB" % peak
        yield "its processor time, and that of the reflector", "%.1f, %.1f s" % (processor, _processor(pid) - worked)
        yield "memory of the reflector that was asked, before and at most", "%d, %d MiB" % (before, _peak(pid))


def _first_page(reflector: str) -> float:
    begun = time.monotonic()
    command = [
        "-c",
        "import sys, urllib.request as r; r.urlopen(sys.argv[1]).read()",
        reflector + "/sessions?limit=5000",
    ]
    gevent.subprocess.check_call([sys.executable, *command])
    return time.monotonic() - begun


def _processor(pid: int) -> float:
    """Returns the seconds of processor time that a process has had so far; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def _peak(pid: int) -> int:
    """Returns the most memory that a process has had so far, in MiB; 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) >> 10
    return 0
