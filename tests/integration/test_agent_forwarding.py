"""An agent that forwards connections; the test is reflector and client, and the programs at both ends."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.timeouts import Timeouts
from tests.agents import Reflector, from_source, job_environ, launched, write_config
from tests.streamclients import Run, StreamClient
from tests.waiting import PATIENCE, wait_until

NOISE = bytes(range(256)) * 4096
MAX_ACCEPTED = 512
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


AGENT_TIMEOUTS = Timeouts(listener_interval=0.05)


class Target:
    """Listens for connections of the agent: by TCP, or at a path."""

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
            self.kind, self.fields = "tcp", {"host": "127.0.0.1", "port": self.socket.getsockname()[1]}
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            self.socket.listen()
            self.kind, self.fields = "unix", {"path": str(path)}
        self.socket.settimeout(PATIENCE)

    def connect(self, stream: StreamClient, **more: object) -> tuple[Run, socket.socket]:
        """Opens a channel to this target. Returns both ends."""
        run = stream.open(self.kind, **{**self.fields, **more}).started()
        peer, _ = self.socket.accept()
        peer.settimeout(PATIENCE)
        return run, peer


@pytest.fixture(params=["tcp", "unix"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path / "target" if request.param == "unix" else None)
    with target.socket:
        yield target


@pytest.fixture
def tcp() -> Iterator[Target]:
    target = Target()
    with target.socket:
        yield target


def everything(sock: socket.socket) -> bytes:
    """All that comes until the end."""
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def closed(run: Run) -> str:
    """The code with which the agent closes the channel."""
    run.client.until(lambda: run.closed is not None)
    return str(run.closed.code)


def _is_refused(sock: socket.socket, data: bytes) -> bool:
    try:
        sock.sendall(data)
    except BrokenPipeError:
        return True
    return False


def listener(stream: StreamClient, **fields: object) -> tuple[Run, dict[str, Any]]:
    run = stream.open("listen", **fields).started()
    assert run.opened is not None
    return run, run.opened


# ---------------------------------------------------------------------- both directions and their ends


def test_the_target_ends_first(stream: StreamClient, target: Target) -> None:
    run, peer = target.connect(stream)
    with peer:
        peer.sendall(b"to the client")
        peer.shutdown(socket.SHUT_WR)
        stream.until(lambda: run.channel.readers[0].complete)
        assert run.output[0] == b"to the client"
        run.give(b"to the target")
        run.end()
        assert everything(peer) == b"to the target"
    assert closed(run) == ""


def test_the_client_ends_first(stream: StreamClient, target: Target) -> None:
    run, peer = target.connect(stream)
    with peer:
        run.give(NOISE[:100_000])
        run.end()
        assert everything(peer) == NOISE[:100_000]
        peer.sendall(b"to the client")
    assert closed(run) == ""
    assert run.output[0] == b"to the client"
    assert run.channel.readers[0].complete


def test_a_reset_of_the_target_is_no_end_in_good_order(stream: StreamClient, tcp: Target) -> None:
    run, peer = tcp.connect(stream)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    peer.close()
    assert closed(run) == "reset"
    assert not run.channel.readers[0].complete


def test_a_reset_of_the_client_is_one_for_the_target(stream: StreamClient, tcp: Target) -> None:
    run, peer = tcp.connect(stream)
    with peer:
        run.give(b"x")
        run.channel.close()
        stream.pump()
        with pytest.raises(ConnectionResetError):
            everything(peer)


def test_a_target_that_reads_no_more(stream: StreamClient, target: Target) -> None:
    """It has ended its own direction, and is gone then. The client is told by STOP."""
    run, peer = target.connect(stream)
    peer.sendall(b"bye")
    peer.shutdown(socket.SHUT_WR)
    stream.until(lambda: run.channel.readers[0].complete)
    peer.close()
    run.give(NOISE)
    assert run.stopped == {0}
    assert closed(run) == ""
    assert run.output[0] == b"bye"


def test_a_client_that_reads_no_more(stream: StreamClient, tmp_path: Path) -> None:
    target = Target(tmp_path / "target")
    with target.socket:
        run, peer = target.connect(stream)
        with peer:
            run.channel.readers[0].stop()
            stream.pump()
            wait_until(lambda: _is_refused(peer, b"x"))
            run.give(b"still read")
            run.end()
            assert peer.recv(100) == b"still read"
        assert closed(run) == ""


def test_what_waits_is_written_after_the_channel_is_closed(stream: StreamClient, tcp: Target) -> None:
    run, peer = tcp.connect(stream)
    with peer:
        peer.shutdown(socket.SHUT_WR)
        stream.until(lambda: run.channel.readers[0].complete)
        size = 0
        while run.channel.room(0) and size < 8 << 20:  # more than the kernel holds; the target does not read
            size += len(NOISE[: run.channel.room(0)])
            run.channel.write(0, NOISE[: run.channel.room(0)])
            stream.pump()
            stream.until(lambda: not stream.stream.kept or run.channel.room(0))
        run.channel.end(0)
        run.channel.close()
        stream.pump()
        assert len(everything(peer)) == size


# ---------------------------------------------------------------------- what is refused

LONG = "x" * 200
REFUSED = [
    ("tcp", {"host": "127.0.0.1", "port": 1}, "refused", "127.0.0.1:1: Connection refused"),
    ("tcp", {"host": "localhost", "port": 1}, "refused", "localhost:1: Connection refused"),
    ("tcp", {"host": LONG, "port": 1}, "unknown-host", f"{LONG}:1: this cannot be the name of a host"),
    ("tcp", {"host": "no.such.host.invalid", "port": 1}, "unknown-host", "no.such.host.invalid:1: "),
    ("unix", {"path": "/no/such"}, "refused", "/no/such: No such file or directory"),
    ("unix", {"path": "/" + LONG}, "refused", f"/{LONG}: AF_UNIX path too long"),
    ("listen", {"host": "192.0.2.1"}, "not-permitted", "192.0.2.1:0: Cannot assign requested address"),
    ("listen", {"path": "/no/such"}, "not-permitted", "/no/such: "),
    ("listen", {"path": "/etc/passwd"}, "in-use", "/etc/passwd: Address already in use; remove this file"),
]


@pytest.mark.parametrize(("kind", "fields", "code", "words"), REFUSED)
def test_refusals(stream: StreamClient, kind: str, fields: dict[str, Any], code: str, words: str) -> None:
    refusal = stream.open(kind, **fields).refusal()
    assert (refusal.code, refusal.words[: len(words)]) == (code, words)


def test_a_port_in_use(stream: StreamClient, tcp: Target) -> None:
    port = tcp.fields["port"]
    assert stream.open("listen", port=port).refusal() == ("in-use", f"127.0.0.1:{port}: Address already in use")


def test_too_many_listeners(stream: StreamClient) -> None:
    runs = [stream.open("listen") for _ in range(65)]
    assert runs.pop().refusal() == ("limit", "no more than 64 listeners")
    assert len({run.started().opened["port"] for run in runs}) == 64  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        (["--no-forwarding"], "", "the job's agent runs with --no-forwarding"),
        ([], "Medusa-Forbid: forwarding", "the reflector forbids forwarding for this login"),
    ],
)
def test_no_forwarding(tmp_path: Path, options: list[str], field: str, words: str) -> None:
    reflector = Reflector()
    command = from_source("--config", str(write_config(tmp_path, reflector.url)), *options)
    with contextlib.closing(reflector), launched(command, job_environ()) as agent:
        stream = StreamClient(reflector.accept(more=field).link).start()
        for kind, fields in (("tcp", {"host": "x", "port": 1}), ("unix", {"path": "/x"}), ("listen", {})):
            assert stream.open(kind, **fields).refusal() == ("forbidden", words)
        assert stream.leave() == "done"
        assert agent.finish()[0] == 0
        stream.link.abort()


# ---------------------------------------------------------------------- listeners


def test_a_listener(stream: StreamClient) -> None:
    run, where = listener(stream)
    assert where["host"] == "127.0.0.1"
    hosts = ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]
    pairs = []
    for address in hosts:
        peer = socket.create_connection((address, where["port"]), PATIENCE)
        stream.until(lambda: stream.offered)
        host, port = peer.getsockname()[:2]
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        assert stream.offered[0][1] == {"listener": run.channel.number, "peer": name}
        (accepted,) = stream.accept()
        pairs.append((peer, accepted))
        peer.sendall(b"one")
        peer.shutdown(socket.SHUT_WR)
        stream.until(lambda: accepted.channel.readers[0].complete)  # noqa: B023
        assert accepted.output[0] == b"one"
    run.channel.close()
    stream.pump()
    for peer, accepted in pairs:
        accepted.give(b"two")  # the connections of a listener that has ended go on
        accepted.end()
        with peer:
            assert everything(peer) == b"two"
        assert closed(accepted) == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", where["port"]))


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_client_that_refuses(stream: StreamClient) -> None:
    _, where = listener(stream, host="localhost")
    with socket.create_connection(("127.0.0.1", where["port"]), PATIENCE) as peer:
        stream.until(lambda: stream.offered)
        stream.offered.pop()[0].refuse("refused", "nothing is there")
        stream.pump()
        with pytest.raises(ConnectionResetError):
            everything(peer)


def test_a_listener_at_a_path(stream: StreamClient, tmp_path: Path) -> None:
    path = tmp_path / "listener"
    run, where = listener(stream, path=str(path))
    assert where == {"path": str(path)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        (accepted,) = stream.accept()
        peer.sendall(b"x")
        peer.shutdown(socket.SHUT_WR)
        accepted.end()
        assert closed(accepted) == ""
    assert accepted.output[0] == b"x"
    run.channel.close()
    stream.pump()
    wait_until(lambda: not path.exists())


def test_a_listener_that_dies(stream: StreamClient, tmp_path: Path) -> None:
    path = tmp_path / "listener"
    run, _ = listener(stream, path=str(path))
    path.unlink()
    assert closed(run) == "lost"
    assert run.closed.words == f"{path}: its file was removed"


def test_more_connections_than_a_stream_may_have(stream: StreamClient, tcp: Target) -> None:
    """The others wait in the kernel, and something else can still be opened."""
    _, where = listener(stream)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.socket()) for _ in range(MAX_ACCEPTED + 88)]
        for peer in peers:
            peer.setblocking(False)
            assert peer.connect_ex(("127.0.0.1", where["port"])) in (0, errno.EINPROGRESS)
        runs = stream.accept(MAX_ACCEPTED)
        run, end = tcp.connect(stream, host="localhost")
        with end:
            end.sendall(b"x")
            run.until(b"x", 0)
        assert not stream.offered
        for accepted in runs[:88]:
            accepted.channel.close()
        stream.pump()
        assert len(stream.accept(88)) == 88


# ---------------------------------------------------------------------- many at once


def test_hundreds_of_connections(stream: StreamClient, tcp: Target) -> None:
    with contextlib.ExitStack() as stack:
        runs = [stream.open("tcp", host="localhost", port=tcp.fields["port"]) for _ in range(600)]
        for run in runs:
            run.started()
        peers = [stack.enter_context(tcp.socket.accept()[0]) for _ in runs]
        for number, run in enumerate(runs):
            run.give(b"%d" % number)
            run.end()
        for peer in peers:
            peer.settimeout(PATIENCE)
            peer.sendall(everything(peer) * 2)
            peer.close()
        for number, run in enumerate(runs):
            assert closed(run) == ""
            assert run.output[0] == b"%d" % number * 2


def test_stalled_connections_stop_no_other(stream: StreamClient, tcp: Target) -> None:
    with contextlib.ExitStack() as stack:
        pairs = [tcp.connect(stream) for _ in range(21)]
        for run, peer in pairs:
            stack.enter_context(peer)
            run.reading = False
            peer.setblocking(False)
        run, peer = pairs.pop()
        run.reading = True
        for stalled, end in pairs:
            with contextlib.suppress(BlockingIOError):
                while True:
                    end.send(NOISE)
            stalled.channel.write(0, NOISE[: stalled.channel.room(0)])
        stream.pump()
        peer.settimeout(PATIENCE)
        for _ in range(4):
            run.give(NOISE[:300_000])
            received = 0
            while received < 300_000:
                received += len(peer.recv(65536))
            peer.sendall(NOISE[:50_000])
            stream.until(lambda: len(run.output[0]) == 50_000)
            run.output[0] = b""
