"""An agent that forwards connections; the test is reflector and client, and the programs at both ends."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from agent.timeouts import Timeouts
from tests.agents import Reflector, from_source, job_environ, launched, write_config
from tests.integration.agent_forwarding.targets import NOISE, RESET_AT_CLOSE, Target, closed, everything, listener
from tests.streamclients import StreamClient
from tests.waiting import PATIENCE, wait_until

MAX_ACCEPTED = 512

AGENT_TIMEOUTS = Timeouts(listener_interval=0.05)


def _is_refused(sock: socket.socket, data: bytes) -> bool:
    try:
        sock.sendall(data)
    except BrokenPipeError:
        return True
    return False


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
