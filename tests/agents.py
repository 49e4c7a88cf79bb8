"""An agent as a process, and a small reflector that it dials, in which the test is the client."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol import control
from medusa.protocol.control import Control, Exit, Linkup, Resize, Start, Started
from medusa.protocol.messages import Binary, Text
from medusa.protocol.websocket.handshake import accept_value
from medusa.transports.base import BrokenTransport, ClosedTransport
from medusa.transports.tls import Tls, TlsSocket
from tests.blocking import BlockingTransport, blocking_websocket
from tests.waiting import PATIENCE, Deadline, wait_until

ROOT = Path(__file__).resolve().parents[1]
SECRET = "signature=dG9wLXNlY3JldA"
PROMPT = b"ready> "
QUIET_SHELL = Start(command="/bin/bash", arguments=("--norc", "--noediting"))


class Client:
    """The client of a session with an agent."""

    def __init__(self, link: BlockingTransport) -> None:
        self.link = link
        self.output = b""

    def start(self, wish: Start = QUIET_SHELL) -> Started:
        """Ask for a command. A bash gets a prompt that the test can wait for."""
        self.send_control(wish)
        started = self.control()
        assert isinstance(started, Started)
        if wish.command.endswith("bash") and "-c" not in wish.arguments:
            self.type("PS1='ready''> '; stty -echo\n")
            self.until(PROMPT)
        return started

    def run(self, script: str, **more: object) -> Started:
        """Ask for `bash -c script`."""
        return self.start(Start(command="/bin/bash", arguments=("-c", script), **more))  # type: ignore[arg-type]

    def send_control(self, message: Control) -> None:
        self.link.send(Text(control.build(message)), PATIENCE)

    def resize(self, columns: int, lines: int) -> None:
        self.send_control(Resize(columns, lines))

    def type(self, data: str | bytes) -> None:
        self.link.send(Binary(data if isinstance(data, bytes) else data.encode()), PATIENCE)

    def ask(self, line: str) -> bytes:
        """The output of one line that is typed at the shell's prompt."""
        self.output = b""
        self.type(line + "\n")
        return self.until(PROMPT)[: -len(PROMPT)]

    def control(self, deadline: Deadline | None = None) -> Control:
        """The next control message; output that comes before it is kept in `output`."""
        deadline = deadline or Deadline()
        output = [self.output]  # joined at the end: += would copy megabytes for each message
        try:
            while True:
                message = self.link.receive(deadline.left)
                if isinstance(message, Binary):
                    output.append(message.data)
                if isinstance(message, Text):
                    found = control.parse(message.text)
                    assert found is not None, message
                    return found
        finally:
            self.output = b"".join(output)

    def until(self, pattern: bytes, deadline: Deadline | None = None) -> bytes:
        """The output up to the end of `pattern`, removed from `output`."""
        deadline = deadline or Deadline()
        while pattern not in self.output:
            try:
                message = self.link.receive(deadline.left)
            except (TimeoutError, BrokenTransport, ClosedTransport) as error:
                raise AssertionError(f"{error!r} after {self.output[-2000:]!r}") from None
            assert not isinstance(message, Text), message
            if isinstance(message, Binary):
                self.output += message.data
        found, _, self.output = self.output.partition(pattern)
        return found + pattern

    def outcome(self) -> Exit:
        """How the command ended. `output` then holds all of its output."""
        last = self.control()
        assert isinstance(last, Exit), last
        return last


class Reflector:
    """Listens for agents, one after the other; with TLS if it is given a context."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)
        self.port = self._socket.getsockname()[1]
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/attach/a-job/slave?{SECRET}&b=%2f%2F"
        self.heads: list[bytes] = []

    def close(self) -> None:
        self._socket.close()

    def accept(self, ticket: str = "", hold: int = 60, *, linked: bool = True, more: str = "") -> Client:
        """Accept an agent and send it `linkup`; or give it a ticket, so that this is its home link. `more`: a field."""
        peer, head, rest = self._read_head()
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        assert key is not None
        accepted = accept_value(key.group(1).decode())
        peer.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: "
            + accepted.encode()
            + b"\r\n"
            + (f"Medusa-Ticket: {ticket}\r\nMedusa-Hold: {hold}\r\n".encode() if ticket else b"")
            + (f"{more}\r\n".encode() if more else b"")
            + b"\r\n"
        )
        link = blocking_websocket(peer, rest)
        if linked and not ticket:
            link.send(Text(control.build(Linkup())), PATIENCE)
        return Client(link)

    def refuse(self, status: str) -> None:
        """Answer the next agent with a status."""
        peer, _, _ = self._read_head()
        with contextlib.closing(peer):
            peer.sendall(b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _read_head(self) -> tuple[socket.socket | TlsSocket, bytes, bytes]:
        accepted, _ = self._socket.accept()
        accepted.settimeout(PATIENCE)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer: socket.socket | TlsSocket = accepted
        if self._tls is not None:
            peer = TlsSocket(accepted, Tls(self._tls))
            try:
                peer.handshake()
            except OSError:
                peer.close()
                raise
        data = b""
        while b"\r\n\r\n" not in data:
            data += peer.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        self.heads.append(head)
        return peer, head, rest


class Agent:
    """An agent's process. `finish` returns its log; `logged` reads it line by line before."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pid = process.pid
        self._log = b""

    def logged(self, pattern: str, seconds: float = PATIENCE) -> str:
        """The log up to the line that `pattern` is found in."""
        deadline = Deadline(seconds)
        assert self.process.stderr is not None
        while not re.search(pattern.encode(), self._log):
            ready, _, _ = select.select([self.process.stderr], [], [], deadline.left)
            data = os.read(self.process.stderr.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"no {pattern!r} in {self._log.decode()!r}")
            self._log += data
        return self._log.decode()

    def finish(self) -> tuple[int, str]:
        """Wait for its end: exit status and log."""
        _, rest = self.process.communicate(timeout=PATIENCE)
        self._log += rest
        return self.process.returncode, self._log.decode()


def end(client: Client, agent: Agent) -> str:
    """Close as a client does after `exit`; the agent's log."""
    client.link.close()
    status, log = agent.finish()
    assert status == 0, log
    return log


def write_config(directory: Path, url: str, **more: object) -> Path:
    path = directory / "config.json"
    path.write_text(json.dumps({"signed_url": url, **more}))
    return path


def job_environ(**more: str) -> dict[str, str]:
    """A job's environment: without TERM, USER, SHELL or locale."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}


@contextlib.contextmanager
def launched(
    command: Sequence[str | Path], environ: Mapping[str, str], cwd: Path | None = None, **more: object
) -> Iterator[Agent]:
    """`command` as an agent; it is killed at the end if it still lives."""
    process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        cwd=cwd,
        **more,
    )
    with process:
        try:
            yield Agent(process)
        finally:
            if process.poll() is None:
                process.kill()


def from_source(*options: str, assets: Path | None = None, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> list[str]:
    """The agent's command line, run from the source tree as it is run from the archive.

    TESTS_AGENT_PYTHON runs these tests with another Python than their own.
    """
    arguments = f"assets={str(assets)!r}, " if assets else ""
    start = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(_ptyprocess())!r}]\n"
    start += "from agent.__main__ import main\nfrom agent.timeouts import Timeouts\n"
    start += f"sys.exit(main({arguments}timeouts={timeouts!r}))"
    return [os.environ.get("TESTS_AGENT_PYTHON", sys.executable), "-I", "-S", "-B", "-c", start, *options]


def _ptyprocess() -> Path:
    import ptyprocess

    return Path(ptyprocess.__file__).parents[1]


def session_members(session: int) -> dict[int, str]:
    """The processes of a kernel session, zombies too, with their names."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid, rest = path.read_text(errors="replace").split(" (", 1)
            name, fields = rest.rsplit(") ", 1)
            if int(fields.split()[3]) == session:
                found[int(pid)] = f"{name} ({fields[0]})"
    return found


def wait_until_session_is_gone(session: int) -> None:
    wait_until(lambda: not session_members(session), f"the end of session {session}")


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def stop(agent: Agent, number: int = signal.SIGTERM) -> None:
    os.kill(agent.pid, number)
