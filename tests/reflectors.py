"""A reflector as a process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tests.links import client_context
from tests.peers import (
    LINKUP,
    TEXT,
    Answer,
    Peer,
    upgrade,
)
from tests.waiting import MS, PATIENCE, Deadline, wait_until

ROOT = Path(__file__).resolve().parents[1]

DEFAULTS = ("--port", "0", "--log-format", "json", "--drain-timeout", "0.1")

OF_THE_MACHINE = "few descriptors"
"""Logged or not, by the limits that the tests happen to run under."""

_LAUNCH = """
import json, sys
from medusa.commands.reflector.command import main
from medusa.reflector.config import Timeouts
sys.exit(main(sys.argv[2:], Timeouts(**json.loads(sys.argv[1]))))
"""


_INSTALLED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from medusa.commands.main import main
sys.exit(main())
"""


class Reflector:
    """A reflector process. `log` is all that it has written to its log, parsed. `tls`: what its peers trust.

    `raw_port`: of raw TCP, 0 without it.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str, raw_port: int, log_file: BinaryIO) -> None:
        self.process = process
        self.url = url
        self.raw_port = raw_port
        self.port = int(url.rpartition(":")[2])
        self.tls = client_context() if url.startswith("https:") else None
        self._log_file = log_file
        self._log: list[dict[str, Any]] = []
        self._half_line = b""

    @property
    def log(self) -> list[dict[str, Any]]:
        *whole, self._half_line = (self._half_line + self._log_file.read()).split(b"\n")
        self._log += [entry for entry in map(json.loads, whole) if entry["msg"] != OF_THE_MACHINE]
        return self._log

    @property
    def raw_log(self) -> str:
        return Path(self._log_file.name).read_bytes().decode("ascii")

    def logged(self, msg: str, **fields: object) -> list[dict[str, Any]]:
        """The log's entries with these fields."""
        wanted = {"msg": msg, **fields}
        return [entry for entry in self.log if all(entry.get(name) == value for name, value in wanted.items())]

    def ended(self, session: str) -> dict[str, Any]:
        """The usage record of a session, which is to be the only one; waits for it."""
        (record,) = wait_until(lambda: self.logged("session ended", session=session), f"the end of {session}")
        return record

    def refusal(self, before: int) -> dict[str, Any]:
        """The one refusal in the log since there were `before` of them; waits for it."""
        (entry,) = wait_until(lambda: self.logged("request refused")[before:], "a refusal in the log")
        return entry

    def dial(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection on which nothing was sent yet, not even of TLS; `source`: another of this host's addresses."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE, source_address=(source, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def open(self, data: bytes = b"", source: str = "127.0.0.1") -> Peer:
        """A raw connection on which `data` was sent."""
        sock = self.dial(source)
        peer = Peer(self.tls.wrap_socket(sock, server_hostname="localhost") if self.tls else sock)
        peer.send(data)
        return peer

    def ask(self, data: bytes, source: str = "127.0.0.1") -> Answer:
        """The answer to a raw request."""
        with self.open(data, source) as peer:
            return peer.answer()

    def get(self, path: str) -> Answer:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def attach(self, session: str, role: str, behind: bytes = b"") -> Peer:
        """An upgraded connection; `behind` is sent in one segment with the head."""
        return self.enter(upgrade(f"/attach/{session}/{role}") + behind)

    def enter(self, request: bytes, source: str = "127.0.0.1") -> Peer:
        """The upgraded connection of a raw request."""
        peer = self.open(request, source)
        try:
            answer = peer.head()
            assert answer.status == 101, answer
        except BaseException:
            peer.close()
            raise
        return peer

    @contextlib.contextmanager
    def pair(self, session: str = "") -> Iterator[tuple[Peer, Peer]]:
        """A client and an agent that are linked."""
        session = session or new_id()
        with self.attach(session, "master") as client:
            wait_until(lambda: self.states().get(session) == "slave_wait")
            with self.attach(session, "slave") as agent:
                client.linked()
                agent.expect(TEXT, LINKUP)
                yield client, agent

    def status(self, whole: bool = True) -> dict[str, Any]:
        """What /status tells; where it is to be whole, asks until all workers have answered in time."""
        status: dict[str, Any] = {}

        def told() -> bool:
            status.update(self.get("/status").json())
            return not whole or not any("error" in worker for worker in status.get("workers", ()))

        wait_until(told, "all workers")
        return status

    def sessions(self, whole: bool = True) -> list[dict[str, Any]]:
        """As /status shows them."""
        found: list[dict[str, Any]] = self.status(whole)["sessions"]["sessions"]
        return found

    def states(self) -> dict[str, str]:
        return {session["id"]: session["state"] for session in self.sessions()}

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @contextlib.contextmanager
    def memory_grows_less_than(self, limit: int) -> Iterator[None]:
        """At its highest within the block, beside what it is at its beginning."""
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # see proc(5): the peak is reset
        before = self._peak()
        yield
        assert self._peak() - before < limit

    def _peak(self) -> int:
        statuses = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self._pids())
        return 1024 * sum(map(int, re.findall(r"VmHWM:\s*(\d+) kB", statuses)))

    def rests(self) -> bool:
        """Whether it uses next to no processor for a moment."""
        before, moment = self._cpu(), Deadline(200 * MS)
        wait_until(lambda: moment.passed)
        return self._cpu() - before <= 0.02

    def _cpu(self) -> float:
        fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split() for pid in self._pids()]
        return sum(int(ticks) for process in fields for ticks in process[11:13]) / os.sysconf("SC_CLK_TCK")

    def _pids(self) -> list[int]:
        """The process, and its workers."""
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._pids())

    def check(self) -> None:
        """Nothing lives on, and the log tells of nothing that should not be."""
        if self.process.poll() is None:
            wait_until(lambda: not self.sessions(), "the end of all sessions")
        started = [entry["session"] for entry in self.logged("session started")]
        wait_until(lambda: len(self.logged("session ended")) >= len(started), "a record for each session")
        assert sorted(entry["session"] for entry in self.logged("session ended")) == sorted(started)
        errors = [entry for entry in self.log if entry["level"] > 40]
        assert not errors, errors


def new_id() -> str:
    return str(uuid.uuid4())


def command(arguments: Sequence[str], timeouts: Mapping[str, float] = {}, installed: Path | None = None) -> list[str]:
    """The command line of a reflector. `timeouts`: fields of its Timeouts, for tests that cannot wait that long.

    `installed`: where another version is, see tests.wheels.
    """
    if installed is not None:
        return [sys.executable, "-c", _INSTALLED, str(installed), "reflector", *arguments]
    if timeouts:
        return [sys.executable, "-c", _LAUNCH, json.dumps(timeouts), *arguments]
    return [sys.executable, "-m", "medusa", "reflector", *arguments]


@contextlib.contextmanager
def running(
    *arguments: str,
    timeouts: Mapping[str, float] = {},
    check: bool = True,
    pass_fds: Sequence[int] = (),
    limits: tuple[int, int] | None = None,
    installed: Path | None = None,
) -> Iterator[Reflector]:
    """A reflector on a free port; stopped by SIGTERM, if it still runs then, and checked.

    Args:
        limits: of its descriptors, the soft and the hard one.
        installed: where another version is, see tests.wheels.
    """
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [*_limited(limits), *command([*DEFAULTS, *arguments], timeouts, installed)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log.fileno(),
            pass_fds=pass_fds,
        )
        try:
            with open(log.name, "rb") as log_file:
                reflector = Reflector(process, *_listening(process, log_file), log_file)
                yield reflector
                if check:
                    reflector.check()
                _stop(reflector, check)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _limited(limits: tuple[int, int] | None) -> list[str]:
    """A command that runs another with these limits."""
    if limits is None:
        return []
    return ["sh", "-c", f'ulimit -Sn {limits[0]} && ulimit -Hn {limits[1]} && exec "$@"', "sh"]


def _listening(process: subprocess.Popen[bytes], log_file: BinaryIO) -> tuple[str, int]:
    """Its URL, and its port of raw TCP, or 0."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], PATIENCE)[0], "does not say that it listens"
    line = process.stdout.readline().decode()
    match = re.fullmatch(r"listening (https?://127\.0\.0\.1:\d+)(?: raw tcp://127\.0\.0\.1:(\d+))?\n", line)
    assert match, line + log_file.read().decode()
    return match[1], int(match[2] or 0)


def _stop(reflector: Reflector, check: bool) -> None:
    if reflector.process.poll() is None:
        reflector.signal(signal.SIGTERM)
        assert reflector.process.wait(PATIENCE) == 0
    assert reflector.process.stdout is not None
    assert reflector.process.stdout.read() == b"", "one line on stdout and no more"
    if check:
        reflector.check()
